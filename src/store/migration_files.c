#include "store/migration_files.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 10000, FILE_BYTES = 16 << 20 };

typedef struct reading {
    mg_arena *arena;
    const char *folder;
    const char *kind;
    mg_migration *items; // heap, until all are known
    size_t n;
    mg_error *err;
} reading;

static bool is_sql(const char *name) {
    size_t n = strlen(name);
    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".sql") == 0;
}

static bool ends_in(const char *name, const char *kind) {
    size_t n = strlen(name);
    size_t m = strlen(kind) + 5; // "." and ".sql"
    return n > m && name[n - m] == '.' && strncmp(name + n - m + 1, kind, m - 5) == 0;
}

static bool is_for_another(const reading *r, const char *name) {
    static const char *const kinds[] = {MG_MIGRATION_SQLITE, MG_MIGRATION_POSTGRES};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (ends_in(name, kinds[i])) {
            return strcmp(kinds[i], r->kind) != 0;
        }
    }
    return false;
}

static bool read_number(const char *name, uint64_t *number) {
    size_t digits = strspn(name, "0123456789");
    char behind = name[digits];
    return digits > 0 && (behind == '_' || behind == '-' || behind == '.') &&
           mg_str_to_u64((mg_str){name, digits}, INT64_MAX, number);
}

static int fail(const reading *r, const char *path, const char *what) {
    return mg_error_set(r->err, MG_ECONFIG, "%s: %s", path, what);
}

// The bytes, or NULL with errno; EFBIG: there are too many.
static char *read_bytes(const reading *r, int fd, size_t *n) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES) {
        errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
        return NULL;
    }
    size_t size = (size_t)st.st_size;
    char *p = mg_arena_alloc(r->arena, size + 1);
    for (*n = 0; *n < size;) {
        ssize_t got = read(fd, p + *n, size - *n);
        if (got < 0) {
            return NULL;
        }
        if (got == 0) {
            break;
        }
        *n += (size_t)got;
    }
    p[*n] = '\0';
    return p;
}

static int read_text(const reading *r, mg_migration *m) {
    int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail(r, m->path, strerror(errno));
    }
    m->text.p = read_bytes(r, fd, &m->text.n);
    int rc = m->text.p != NULL ? MG_OK : fail(r, m->path, strerror(errno));
    close(fd);
    return rc;
}

static int add(reading *r, const char *name) {
    char path[PATH_MAX];
    mg_migration m = {.name = mg_arena_copy(r->arena, mg_str_of(name))};
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    m.path = mg_arena_copy(r->arena, mg_str_of(path));
    if (!read_number(name, &m.number)) {
        return fail(r, path, "its name must begin with a number, as 0001_users.sql");
    }
    if (r->n == FILES_MAX) {
        return fail(r, r->folder, "10000 files are the most");
    }
    int rc = read_text(r, &m);
    if (rc == MG_OK) {
        r->items = mg_realloc(r->items, (r->n + 1) * sizeof m);
        r->items[r->n++] = m;
    }
    return rc;
}

static int add_folder(reading *r) {
    DIR *d = opendir(r->folder);
    if (d == NULL) {
        return fail(r, r->folder, strerror(errno));
    }
    int rc = MG_OK;
    for (struct dirent *e; rc == MG_OK && (e = readdir(d)) != NULL;) {
        bool ours = is_sql(e->d_name) && !is_for_another(r, e->d_name);
        rc = ours ? add(r, e->d_name) : MG_OK;
    }
    closedir(d);
    return rc;
}

static int by_number(const void *a, const void *b) {
    const mg_migration *x = a;
    const mg_migration *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : strcmp(x->name, y->name);
}

static int refuse_twins(const reading *r) {
    for (size_t i = 1; i < r->n; i++) {
        const mg_migration *m = &r->items[i - 1];
        if (m[0].number == m[1].number) {
            return mg_error_set(r->err, MG_ECONFIG, "%s: %s and %s have the same number", r->folder,
                                m[0].name, m[1].name);
        }
    }
    return MG_OK;
}

int mg_migration_files_read(mg_migrations *out, mg_arena *a, const char *folder, const char *kind,
                            mg_error *err) {
    reading r = {.arena = a, .folder = folder, .kind = kind, .err = err};
    *out = (mg_migrations){0};
    int rc = add_folder(&r);
    if (r.n > 0) {
        qsort(r.items, r.n, sizeof *r.items, by_number);
    }
    if (rc == MG_OK) {
        rc = refuse_twins(&r);
    }
    if (rc == MG_OK && r.n > 0) {
        out->items = mg_arena_alloc(a, r.n * sizeof *r.items);
        memcpy(out->items, r.items, r.n * sizeof *r.items);
        out->n = r.n;
    }
    mg_free(r.items);
    return rc;
}
