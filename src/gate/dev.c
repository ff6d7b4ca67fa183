#include "gate/dev.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/timer.h"
#include "event/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTLE_MS = 15, // editors write, rename and remove within this
    FOLDERS = 3,
};

// Of a project at `/`, whose other folders are the whole system's.
static const char *const below_root[FOLDERS] = {"/lua", "/conf", "/spec"};

struct mg_dev {
    mg_loop *loop;
    mg_watch *watches[FOLDERS]; // NULL: there is none
    mg_timer settle;
    const char *own;
    void (*on_saved)(void *arg);
    void *arg;
};

static void on_settled(mg_timer *t) {
    const mg_dev *d = MG_OF(t, mg_dev, settle);
    d->on_saved(d->arg);
}

// What scripts are made of, read while they load, or send: pages load again with them. Images and
// data are what an app itself writes as well.
static bool matters(const char *path) {
    static const char *const ends[] = {".lua", ".html", ".htm", ".css",  ".js",       ".mjs",
                                       ".svg", ".md",   ".sql", ".tmpl", ".mustache", ".etlua"};
    mg_str s = mg_str_of(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        mg_str end = mg_str_of(ends[i]);
        if (s.n > end.n && mg_str_ends(s, end)) {
            return true;
        }
    }
    return false;
}

// It may be made later than it is watched.
static bool is_own(const mg_dev *d, const char *path) {
    char real[PATH_MAX];
    return d->own != NULL && realpath(d->own, real) != NULL && strcmp(real, path) == 0;
}

static void on_change(void *arg, const char *path) {
    mg_dev *d = arg;
    if (matters(path) && !is_own(d, path)) {
        mg_timer_start(d->loop, &d->settle, SETTLE_MS, 0, on_settled);
    }
}

static bool skip(const char *name) {
    return strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

static void close_watches(mg_dev *d) {
    for (size_t i = 0; i < FOLDERS; i++) {
        mg_watch_close(d->watches[i]);
    }
}

static int watch(mg_dev *d, const char *root) {
    if (strcmp(root, "/") != 0) {
        return mg_watch_open(&d->watches[0], d->loop, root, skip, on_change, d);
    }
    for (size_t i = 0; i < FOLDERS; i++) {
        int rc = mg_watch_open(&d->watches[i], d->loop, below_root[i], skip, on_change, d);
        if (rc != MG_OK && rc != -ENOENT) {
            return rc;
        }
    }
    return MG_OK;
}

int mg_dev_open(mg_dev **out, mg_loop *loop, const char *root, const char *own,
                void (*on_saved)(void *arg), void *arg) {
    mg_dev *d = mg_calloc(1, sizeof *d);
    d->loop = loop;
    d->own = own;
    d->on_saved = on_saved;
    d->arg = arg;
    int rc = watch(d, root);
    if (rc != MG_OK) {
        close_watches(d);
        mg_free(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

void mg_dev_close(mg_dev *d) {
    if (d != NULL) {
        mg_timer_stop(&d->settle);
        close_watches(d);
        mg_free(d);
    }
}
