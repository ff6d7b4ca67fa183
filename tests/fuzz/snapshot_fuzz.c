// A snapshot that passes the check can be read in full: names are sorted and found, texts lie
// inside.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || mg_snapshot_check((const char *)data, size) != MG_OK) {
        return 0;
    }
    mg_snapshot *s;
    unsigned sum = 0;
    must(mg_snapshot_open(&s, sealed(data, size), NULL) == MG_OK);
    for (size_t i = 0; i < mg_snapshot_count(s); i++) {
        mg_str name, text, found;
        mg_snapshot_at(s, i, &name, &text);
        must(mg_snapshot_find(s, name, &found) && found.p == text.p && found.n == text.n);
        for (size_t j = 0; j < text.n; j++) {
            sum += (unsigned char)text.p[j];
        }
    }
    must(sum < UINT32_MAX);
    mg_snapshot_unref(s);
    return 0;
}
