// What passes the check can be read in full: names rise and are found, texts lie inside; written
// again it is the same. Nothing else can be opened.
#include "base/snapshot.h"
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

static int sealed(const uint8_t *data, size_t size) {
    int fd = mg_snapshot_memfd();
    must(write(fd, data, size) == (ssize_t)size);
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
    return fd;
}

static void differs(void *arg, mg_str name, char what) {
    (void)arg;
    (void)name;
    must(what == 0); // it is never
}

static void check_names(const mg_snapshot *s) {
    for (size_t i = 0; i < mg_snapshot_count(s); i++) {
        mg_str name, text, found;
        mg_snapshot_at(s, i, &name, &text);
        must(mg_snapshot_find(s, name, &found) && found.p == text.p && found.n == text.n);
    }
}

// Texts may overlap in what is read, not in what is written: that may be much larger.
static size_t bytes_of(const mg_snapshot *s) {
    size_t sum = 0;
    for (size_t i = 0; i < mg_snapshot_count(s); i++) {
        mg_str name, text;
        mg_snapshot_at(s, i, &name, &text);
        sum += name.n + text.n;
    }
    return sum;
}

static void check_written(const mg_snapshot *s) {
    mg_snapshot_writer w = {0};
    mg_snapshot *again;
    for (size_t i = mg_snapshot_count(s); i > 0; i--) {
        mg_str name, text;
        mg_snapshot_at(s, i - 1, &name, &text);
        mg_snapshot_add(&w, name, text);
        mg_snapshot_add(&w, name, MG_STR("late"));
    }
    int fd = mg_snapshot_memfd();
    must(mg_snapshot_write(&w, fd) == MG_OK);
    mg_snapshot_writer_deinit(&w);
    must(mg_snapshot_open(&again, fd, NULL) == MG_OK);
    must(mg_snapshot_count(again) == mg_snapshot_count(s));
    mg_snapshot_compare(s, again, differs, NULL);
    mg_snapshot_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_snapshot *s;
    int rc = mg_snapshot_check((const char *)data, size);
    must(mg_snapshot_open(&s, sealed(data, size), NULL) == rc);
    if (rc == MG_OK) {
        check_names(s);
        if (bytes_of(s) < 1 << 20) {
            check_written(s);
        }
    }
    mg_snapshot_unref(s);
    return 0;
}
