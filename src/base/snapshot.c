// The format: magic, count, then for each text four 32-bit numbers (name's place and length, text's
// place and length) sorted by name, then the bytes. In the machine's own order: it never leaves it.

#include "base/snapshot.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mg_snapshot_entry {
    char *name;
    char *text;
    size_t name_n, text_n;
    size_t order;
};
typedef struct mg_snapshot_entry entry;

typedef struct head {
    char magic[8];
    uint32_t count;
    uint32_t zero;
} head;

typedef struct place {
    uint32_t name_at, name_n, text_at, text_n;
} place;

struct mg_snapshot {
    atomic_uint refs;
    int fd;
    const char *p;
    size_t n;
};

static const char magic[8] = "mgsnap1";

enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

// --- writing ---

void mg_snapshot_add(mg_snapshot_writer *w, mg_str name, mg_str text) {
    if ((w->count & (w->count - 1)) == 0) { // a power of two: full
        w->entries = mg_realloc(w->entries, (w->count == 0 ? 1 : w->count * 2) * sizeof(entry));
    }
    w->entries[w->count] = (entry){.name = mg_strndup(name.p, name.n),
                                   .text = mg_strndup(text.p, text.n),
                                   .name_n = name.n,
                                   .text_n = text.n,
                                   .order = w->count};
    w->count++;
}

void mg_snapshot_writer_deinit(mg_snapshot_writer *w) {
    for (size_t i = 0; i < w->count; i++) {
        mg_free(w->entries[i].name);
        mg_free(w->entries[i].text);
    }
    mg_free(w->entries);
    *w = (mg_snapshot_writer){0};
}

static int order_of(mg_str a, mg_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n); // an empty string may be NULL
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static mg_str name_of(const entry *e) {
    return (mg_str){e->name, e->name_n};
}

mg_str mg_snapshot_writer_name(const mg_snapshot_writer *w, size_t i) {
    return name_of(&w->entries[i]);
}

mg_str mg_snapshot_writer_text(const mg_snapshot_writer *w, size_t i) {
    return (mg_str){w->entries[i].text, w->entries[i].text_n};
}

static int by_name(const void *a, const void *b) {
    const entry *x = a;
    const entry *y = b;
    int order = order_of(name_of(x), name_of(y));
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

// Frees all but the first of equal names.
static void drop_doubles(mg_snapshot_writer *w) {
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        entry *e = &w->entries[i];
        if (n > 0 && order_of(name_of(&w->entries[n - 1]), name_of(e)) == 0) {
            mg_free(e->name);
            mg_free(e->text);
        } else {
            w->entries[n++] = *e;
        }
    }
    w->count = n;
}

static void lay_out(const mg_snapshot_writer *w, mg_buf *out) {
    head h = {.count = (uint32_t)w->count};
    memcpy(h.magic, magic, sizeof magic);
    mg_buf_append(out, &h, sizeof h);
    size_t at = sizeof h + w->count * sizeof(place);
    for (size_t i = 0; i < w->count; i++) {
        const entry *e = &w->entries[i];
        place p = {(uint32_t)at, (uint32_t)e->name_n, (uint32_t)(at + e->name_n),
                   (uint32_t)e->text_n};
        mg_buf_append(out, &p, sizeof p);
        at += e->name_n + e->text_n;
    }
    for (size_t i = 0; i < w->count; i++) {
        mg_buf_append(out, w->entries[i].name, w->entries[i].name_n);
        mg_buf_append(out, w->entries[i].text, w->entries[i].text_n);
    }
}

int mg_snapshot_write(mg_snapshot_writer *w, int fd) {
    mg_buf out = {0};
    if (w->count > 0) {
        qsort(w->entries, w->count, sizeof(entry), by_name);
    }
    drop_doubles(w);
    lay_out(w, &out);
    int rc = out.n > INT32_MAX ? -EFBIG : mg_io_write(fd, mg_buf_str(&out));
    mg_buf_deinit(&out);
    if (rc == MG_OK && fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        rc = -errno;
    }
    return rc;
}

int mg_snapshot_memfd(void) {
    int fd = memfd_create("moongate-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && fchmod(fd, 0600) != 0) { // not to be opened by way of /proc
        close(fd);
        fd = -1;
    }
    return fd < 0 ? -errno : fd;
}

// --- reading ---

static place place_at(const char *p, size_t i) {
    place out;
    memcpy(&out, p + sizeof(head) + i * sizeof out, sizeof out);
    return out;
}

static bool is_inside(uint32_t at, uint32_t n, size_t all) {
    return at <= all && n <= all - at;
}

int mg_snapshot_check(const char *p, size_t n) {
    head h;
    if (n < sizeof h) {
        return MG_ESYNTAX;
    }
    memcpy(&h, p, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.count > (n - sizeof h) / sizeof(place)) {
        return MG_ESYNTAX;
    }
    mg_str before = {0};
    for (size_t i = 0; i < h.count; i++) {
        place at = place_at(p, i);
        if (!is_inside(at.name_at, at.name_n, n) || !is_inside(at.text_at, at.text_n, n)) {
            return MG_ESYNTAX;
        }
        mg_str name = {p + at.name_at, at.name_n};
        if (i > 0 && order_of(before, name) >= 0) {
            return MG_ESYNTAX;
        }
        before = name;
    }
    return MG_OK;
}

static int refuse(int fd, const char *why, mg_error *err) {
    close(fd);
    return mg_error_set(err, MG_ESYNTAX, "the snapshot %s", why);
}

int mg_snapshot_open(mg_snapshot **out, int fd, mg_error *err) {
    struct stat st;
    *out = NULL;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0) {
        return refuse(fd, "is not complete", err);
    }
    // Linux before 6.7 refuses MAP_SHARED of what is sealed against writing, even to read.
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        return refuse(fd, mg_strerror(-errno), err);
    }
    if (mg_snapshot_check(p, (size_t)st.st_size) != MG_OK) {
        munmap(p, (size_t)st.st_size);
        return refuse(fd, "is malformed", err);
    }
    mg_snapshot *s = mg_calloc(1, sizeof *s);
    atomic_init(&s->refs, 1);
    s->fd = fd;
    s->p = p;
    s->n = (size_t)st.st_size;
    *out = s;
    return MG_OK;
}

void mg_snapshot_rest(const mg_snapshot *s) {
    (void)madvise((void *)(uintptr_t)s->p, s->n, MADV_DONTNEED); // they come back out of the memfd
}

mg_snapshot *mg_snapshot_ref(mg_snapshot *s) {
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void mg_snapshot_unref(mg_snapshot *s) {
    if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1) {
        munmap((void *)(uintptr_t)s->p, s->n);
        mg_snapshot_hide(s);
        mg_free(s);
    }
}

int mg_snapshot_fd(const mg_snapshot *s) {
    return s->fd;
}

void mg_snapshot_hide(mg_snapshot *s) {
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

size_t mg_snapshot_count(const mg_snapshot *s) {
    head h;
    memcpy(&h, s->p, sizeof h);
    return h.count;
}

void mg_snapshot_at(const mg_snapshot *s, size_t i, mg_str *name, mg_str *text) {
    place at = place_at(s->p, i);
    *name = (mg_str){s->p + at.name_at, at.name_n};
    *text = (mg_str){s->p + at.text_at, at.text_n};
}

bool mg_snapshot_find(const mg_snapshot *s, mg_str name, mg_str *text) {
    size_t low = 0;
    size_t high = mg_snapshot_count(s);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        mg_str seen, its_text;
        mg_snapshot_at(s, middle, &seen, &its_text);
        int order = order_of(seen, name);
        if (order == 0) {
            *text = its_text;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

// Behind the end comes nothing: a name that is greater than all.
static bool next(const mg_snapshot *s, size_t i, mg_str *name, mg_str *text) {
    if (i >= mg_snapshot_count(s)) {
        return false;
    }
    mg_snapshot_at(s, i, name, text);
    return true;
}

void mg_snapshot_compare(const mg_snapshot *a, const mg_snapshot *b,
                         void (*each)(void *arg, mg_str name, char what), void *arg) {
    size_t i = 0;
    size_t j = 0;
    for (;;) {
        mg_str name_a, text_a, name_b, text_b;
        bool in_a = next(a, i, &name_a, &text_a);
        bool in_b = next(b, j, &name_b, &text_b);
        if (!in_a && !in_b) {
            return;
        }
        int order = !in_a ? 1 : (!in_b ? -1 : order_of(name_a, name_b));
        if (order < 0) {
            each(arg, name_a, '-');
        } else if (order > 0) {
            each(arg, name_b, '+');
        } else if (!mg_str_eq(text_a, text_b)) {
            each(arg, name_a, '~');
        }
        i += order <= 0;
        j += order >= 0;
    }
}
