#include "gate/dev.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/timer.h"
#include "event/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 15 }; // editors write, rename and remove within this

struct mg_dev {
    mg_loop *loop;
    mg_watch *watch;
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

int mg_dev_open(mg_dev **out, mg_loop *loop, const char *root, const char *own,
                void (*on_saved)(void *arg), void *arg) {
    mg_dev *d = mg_calloc(1, sizeof *d);
    d->loop = loop;
    d->own = own;
    d->on_saved = on_saved;
    d->arg = arg;
    int rc = mg_watch_open(&d->watch, loop, root, skip, on_change, d);
    if (rc != MG_OK) {
        mg_free(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

void mg_dev_close(mg_dev *d) {
    if (d != NULL) {
        mg_timer_stop(&d->settle);
        mg_watch_close(d->watch);
        mg_free(d);
    }
}
