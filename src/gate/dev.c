#include "gate/dev.h"

#include "gate/master_inside.h"

#include "base/mem.h"
#include "event/watch.h"

enum { SETTLE_MS = 15 }; // editors write, rename and remove within this

struct mg_dev {
    mg_master *master;
    mg_watch *watch;
    mg_timer settle;
};

static void on_settled(mg_timer *t) {
    mg_reload_ask(MG_OF(t, mg_dev, settle)->master, &(mg_reload_request){.reply = NULL});
}

static bool is_script(const char *path) {
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".lua") == 0;
}

static void on_change(void *arg, const char *path) {
    mg_dev *d = arg;
    if (is_script(path)) {
        mg_timer_start(d->master->loop, &d->settle, SETTLE_MS, 0, on_settled);
    }
}

static bool skip(const char *name) {
    return strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

void mg_dev_open(mg_dev **out, mg_master *m) {
    mg_dev *d = mg_calloc(1, sizeof *d);
    d->master = m;
    int rc = mg_watch_open(&d->watch, m->loop, m->config.root, skip, on_change, d);
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "%s cannot be watched: %s; reload with SIGHUP",
                      m->config.root, mg_strerror(rc));
    } else {
        mg_master_log(m, MG_LOG_INFO, "scripts below %s are loaded again when they are saved",
                      m->config.root);
    }
    *out = d;
}

void mg_dev_close(mg_dev *d) {
    if (d != NULL) {
        mg_timer_stop(&d->settle);
        mg_watch_close(d->watch);
        mg_free(d);
    }
}
