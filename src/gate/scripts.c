#include "gate/scripts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "config/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_BYTES = 8 << 20,
    ALL_BYTES = 128 << 20,
    FILES = 20000,
    ENTRIES = 1000000,
    LINKS = 10000,
    DEPTH = 32,
    SECONDS = 8,
    NAMED = 3, // of what is left out
};

#define TOO_LARGE "larger than 8 MiB"
#define TOO_MANY  "more than 20,000 scripts or 128 MiB of them"

typedef struct top {
    const char *real;
    dev_t dev;
    ino_t ino;
} top;

void mg_scripts_init(mg_scripts *s, mg_snapshot_writer *writer) {
    *s = (mg_scripts){.writer = writer, .until_ms = mg_monotonic_ms() + SECONDS * 1000};
}

void mg_scripts_deinit(mg_scripts *s) {
    mg_buf_deinit(&s->tops);
    mg_buf_deinit(&s->links);
    mg_buf_deinit(&s->left_out);
    mg_arena_deinit(&s->arena);
}

static void leave_out(mg_scripts *s, const char *path, const char *why) {
    if (s->left_out_count++ < NAMED) {
        mg_buf_printf(&s->left_out, "%s%s (%s)", s->left_out.n > 0 ? ", " : "", path, why);
    }
}

// --- files -------------------------------------------------------------------

static int read_all(int fd, size_t bytes, mg_buf *out) {
    char *p = mg_buf_reserve(out, bytes + 1);
    while (out->n <= bytes) {
        ssize_t n = read(fd, p + out->n, bytes + 1 - out->n);
        if (n <= 0) {
            return n < 0 ? -errno : MG_OK;
        }
        out->n += (size_t)n;
    }
    return MG_OK; // it grows: what has come will do
}

// Counts it. NULL, or why there is no room.
static const char *take_room(mg_scripts *s, uint64_t bytes) {
    if (bytes > FILE_BYTES) {
        return TOO_LARGE;
    }
    if (s->bytes + bytes > ALL_BYTES || s->files >= FILES) {
        return TOO_MANY;
    }
    s->bytes += bytes;
    s->files++;
    return NULL;
}

// NULL, or what is wrong with it. What is no file is none of ours.
static const char *read_file(mg_scripts *s, const char *path) {
    mg_buf text = {0};
    struct stat st;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        why = strerror(errno);
    } else if (S_ISREG(st.st_mode) && (why = take_room(s, (uint64_t)st.st_size)) == NULL) {
        int rc = read_all(fd, (size_t)st.st_size, &text);
        why = rc == MG_OK ? NULL : strerror(-rc);
    }
    if (why == NULL && S_ISREG(st.st_mode)) {
        mg_snapshot_add(s->writer, mg_str_of(path), mg_buf_str(&text));
    }
    if (fd >= 0) {
        close(fd);
    }
    mg_buf_deinit(&text);
    return why;
}

int mg_scripts_add_file(mg_scripts *s, const char *path, mg_error *err) {
    const char *why = read_file(s, path);
    return why == NULL ? MG_OK : mg_error_set(err, MG_ECONFIG, "%s: %s", path, why);
}

static void add_script(mg_scripts *s, const char *path) {
    const char *why = read_file(s, path);
    if (why != NULL) {
        leave_out(s, path, why);
    }
}

static bool ends_in(const char *name, const char *ending) {
    mg_str s = mg_str_of(name);
    mg_str end = mg_str_of(ending);
    return s.n > end.n && mg_str_ends(s, end);
}

// Templates belong to the scripts that render them.
static bool is_script(const char *name) {
    return ends_in(name, ".lua") || ends_in(name, ".etlua");
}

static bool is_skipped(const char *name) {
    return name[0] == '.' || strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

// --- folders -----------------------------------------------------------------

static const top *top_at(const mg_scripts *s, size_t i) {
    return (const top *)(const void *)s->tops.p + i;
}

// Below one top another one may lie, which was read already; nothing else is met twice, since links
// are not followed on the way.
static bool was_read(const mg_scripts *s, const struct stat *st) {
    for (size_t i = 0; i < s->tops.n / sizeof(top); i++) {
        const top *t = top_at(s, i);
        if (t->dev == st->st_dev && t->ino == st->st_ino) {
            return true;
        }
    }
    return false;
}

static bool is_enough(mg_scripts *s, const char *path) {
    bool late = s->entries % 1024 == 0 && mg_monotonic_ms() > s->until_ms;
    if (!s->over && (late || s->entries >= ENTRIES)) {
        s->over = true;
        leave_out(s, path,
                  late ? "it takes too long: name the folders of scripts in `scripts`"
                       : "more than 1,000,000 files: name the folders of scripts in `scripts`");
    }
    s->entries++;
    return s->over;
}

static void add_link(mg_scripts *s, const char *path) {
    const char *kept = mg_arena_copy(&s->arena, mg_str_of(path));
    if (s->links.n / sizeof kept < LINKS) {
        mg_buf_append(&s->links, &kept, sizeof kept);
    } else {
        leave_out(s, path, "more than 10,000 links");
    }
}

static int add_folder(mg_scripts *s, const char *path, int depth);

static void add_entry(mg_scripts *s, int fd, const char *path, const char *name, int depth) {
    char full[PATH_MAX];
    struct stat st;
    int n = snprintf(full, sizeof full, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name);
    if (is_skipped(name) || n <= 0 || (size_t)n >= sizeof full ||
        fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }
    if (S_ISLNK(st.st_mode)) {
        add_link(s, full);
    } else if (S_ISDIR(st.st_mode)) {
        add_folder(s, full, depth + 1); // one that is closed to us is not ours
    } else if (is_script(name)) {
        add_script(s, full);
    }
}

static int add_folder(mg_scripts *s, const char *path, int depth) {
    struct stat st;
    if (depth > DEPTH) {
        leave_out(s, path, "more than 32 folders deep");
        return MG_OK;
    }
    DIR *d = opendir(path);
    if (d == NULL || fstat(dirfd(d), &st) != 0) {
        int rc = -errno;
        if (d != NULL) {
            closedir(d);
        }
        return rc;
    }
    bool fresh = depth == 0 || !was_read(s, &st);
    for (struct dirent *e; fresh && (e = readdir(d)) != NULL && !is_enough(s, path);) {
        add_entry(s, dirfd(d), path, e->d_name, depth);
    }
    closedir(d);
    return MG_OK;
}

static bool is_below(const char *path, const char *above) {
    size_t n = strlen(above);
    return strcmp(above, "/") == 0 ||
           (strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static bool is_inside(const mg_scripts *s, const char *real) {
    for (size_t i = 0; i < s->tops.n / sizeof(top); i++) {
        if (is_below(real, top_at(s, i)->real)) {
            return true;
        }
    }
    return false;
}

int mg_scripts_add(mg_scripts *s, const char *path) {
    char real[PATH_MAX];
    struct stat st;
    if (realpath(path, real) == NULL || stat(real, &st) != 0) {
        return -errno;
    }
    if (is_inside(s, real) && strcmp(real, path) == 0) {
        return MG_OK; // it was read
    }
    int rc = MG_OK;
    if (S_ISDIR(st.st_mode)) {
        rc = add_folder(s, path, 0);
    } else {
        add_script(s, path);
    }
    top t = {mg_arena_copy(&s->arena, mg_str_of(real)), st.st_dev, st.st_ino};
    mg_buf_append(&s->tops, &t, sizeof t);
    return rc;
}

// --- links -------------------------------------------------------------------

// The scripts below `real`, which were read already, under the link's name. True: there are any.
static bool add_alias(mg_scripts *s, const char *link, const char *real, size_t count) {
    char name[PATH_MAX * 2];
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        mg_str seen = mg_snapshot_writer_name(s->writer, i);
        size_t n = strlen(real);
        if (seen.n <= n || memcmp(seen.p, real, n) != 0 || seen.p[n] != '/') {
            continue;
        }
        mg_str text = mg_snapshot_writer_text(s->writer, i);
        const char *why = take_room(s, text.n);
        if (why != NULL) {
            leave_out(s, link, why);
            return true;
        }
        snprintf(name, sizeof name, "%s%.*s", link, (int)(seen.n - n), seen.p + n);
        mg_snapshot_add(s->writer, mg_str_of(name), text);
        any = true;
    }
    return any;
}

static void follow(mg_scripts *s, const char *link, size_t count) {
    char real[PATH_MAX];
    struct stat st;
    if (realpath(link, real) == NULL || stat(real, &st) != 0) {
        return; // it leads nowhere
    }
    bool folder = S_ISDIR(st.st_mode);
    if (!folder && !is_script(link)) {
        return;
    }
    if (!is_inside(s, real)) {
        leave_out(s, link, "a link to the outside: name it in `scripts`");
    } else if (!folder) {
        add_script(s, link);
    } else if (!is_below(link, real) && !add_alias(s, link, real, count)) {
        add_folder(s, link, 1); // of a folder that is skipped by its name
    }
}

void mg_scripts_follow_links(mg_scripts *s) {
    size_t count = s->writer->count;
    size_t links = s->links.n / sizeof(const char *); // those that are met on the way are too deep
    for (size_t i = 0; i < links; i++) {
        const char *link;
        memcpy(&link, s->links.p + i * sizeof link, sizeof link);
        follow(s, link, count);
    }
    if (s->left_out_count > NAMED) {
        mg_buf_printf(&s->left_out, " and %zu more", s->left_out_count - NAMED);
    }
}

void mg_scripts_tell(const mg_scripts *s) {
    if (s->left_out.n > 0) {
        fprintf(stderr, "left out of the scripts: %.*s\n", (int)s->left_out.n, s->left_out.p);
    }
}

// --- a project ---------------------------------------------------------------

bool mg_scripts_have(const mg_scripts *s, const char *path) {
    for (size_t i = 0; i < s->writer->count; i++) {
        if (mg_str_eq(mg_snapshot_writer_name(s->writer, i), mg_str_of(path))) {
            return true;
        }
    }
    return false;
}

// `/` as a whole is never meant: a container's /conf/moongate.lua has /lua beside it.
static int add_below_root(mg_scripts *s, const mg_config *config) {
    static const char *const usual[] = {"/lua", "/conf", "/spec"};
    if (strcmp(config->root, "/") != 0) {
        return mg_scripts_add(s, config->root);
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        mg_scripts_add(s, usual[i]);
    }
    return MG_OK;
}

// An app outside of the project's folder comes along alone.
static int add_app(mg_scripts *s, const mg_config *config, mg_error *err) {
    if (mg_scripts_have(s, config->app)) {
        return MG_OK;
    }
    if (access(config->app, R_OK) != 0) {
        return mg_error_set(err, MG_ECONFIG, "%s: app: %s cannot be read: %s", config->file,
                            config->app, strerror(errno));
    }
    return mg_scripts_add_file(s, config->app, err);
}

int mg_scripts_add_project(mg_scripts *s, const mg_config *config, mg_error *err) {
    mg_arena arena = {0};
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < config->scripts.n; i++) {
        const char *item = config->scripts.items[i];
        const char *path = mg_config_absolute(&arena, config->root, mg_str_of(item));
        rc = strcmp(item, ".") == 0 ? add_below_root(s, config) : mg_scripts_add(s, path);
        if (rc != MG_OK) {
            mg_error_set(err, MG_ECONFIG, "%s: scripts[%zu]: %s: %s", config->file, i + 1, path,
                         mg_strerror(rc));
        }
    }
    mg_scripts_follow_links(s);
    mg_arena_deinit(&arena);
    return rc == MG_OK ? add_app(s, config, err) : rc;
}
