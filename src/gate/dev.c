#include "gate/dev.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/timer.h"
#include "event/watch.h"

#include <string.h>

enum { SETTLE_MS = 15 }; // editors write, rename and remove within this

struct mg_dev {
    mg_loop *loop;
    mg_watch *watch;
    mg_timer settle;
    void (*on_saved)(void *arg);
    void *arg;
};

static void on_settled(mg_timer *t) {
    const mg_dev *d = MG_OF(t, mg_dev, settle);
    d->on_saved(d->arg);
}

static bool is_script(const char *path) {
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".lua") == 0;
}

static void on_change(void *arg, const char *path) {
    mg_dev *d = arg;
    if (is_script(path)) {
        mg_timer_start(d->loop, &d->settle, SETTLE_MS, 0, on_settled);
    }
}

static bool skip(const char *name) {
    return strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

int mg_dev_open(mg_dev **out, mg_loop *loop, const char *root, void (*on_saved)(void *arg),
                void *arg) {
    mg_dev *d = mg_calloc(1, sizeof *d);
    d->loop = loop;
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
