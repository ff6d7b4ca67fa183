// The server of a worker: how many descriptors it may use, and whom it asks.

#include "gate/worker_inside.h"

#include "config/options.h"
#include "event/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>

enum {
    // Of the process's limit: what threads open for a moment, scripts of generations, logs.
    UNCOUNTED_DESCRIPTORS = 32,
    MOST_SPARE = 64, // descriptors
};

uint64_t mg_worker_raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static uint32_t descriptors_in_use(void) {
    uint32_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        n++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return n > 3 ? n - 3 : 0; // ".", ".." and the folder itself
}

// What nobody counts is there before the first connection: the loop's own, logs, memory.
static void count_what_is_open(const mg_worker *w) {
    uint32_t open = descriptors_in_use();
    uint32_t counted = mg_descriptors_open(w->loop);
    mg_descriptors_hold(w->loop, open > counted ? open - counted : 0);
}

static void server_options(const mg_worker *w, const mg_generation *g, mg_server_options *out) {
    uint32_t most = mg_config_descriptors(&g->config, w->descriptors);
    uint64_t bound =
        w->descriptors > UNCOUNTED_DESCRIPTORS ? w->descriptors - UNCOUNTED_DESCRIPTORS : 1;
    most = most < bound ? most : (uint32_t)bound;
    mg_descriptors_set_limit(w->loop, most);
    mg_config_server_options(&g->config, out);
    out->spare_descriptors = most / 16 < MOST_SPARE ? most / 16 : MOST_SPARE;
    out->trust = g->trust;
}

static void open_server(mg_worker *w, mg_generation *g) {
    mg_server_options options;
    count_what_is_open(w);
    server_options(w, g, &options);
    w->server = mg_server_new(w->loop, mg_lua_app_seam(g->app), &options);
    mg_worker_show_traffic(w);
    w->server->log_arg = w;
}

void mg_worker_serve(mg_worker *w, mg_generation *g) {
    mg_server_options options;
    if (w->server == NULL) {
        open_server(w, g);
    }
    mg_worker_take_logs(w);
    server_options(w, g, &options);
    mg_server_set_options(w->server, &options);
    mg_worker_limit_live(w, &g->config.limits);
    mg_worker_join_fleet(w, mg_service_set_lent(g->services)->fleet);
    mg_lua_app_vm(g->app)->server = w->server;
    mg_server_set_app(w->server, MG_APP_MAIN, mg_lua_app_seam(g->app));
    mg_stall_watch(w->stall, mg_lua_app_vm(g->app));
    mg_stall_set(w->stall, (uint32_t)g->config.timeouts.stall_warn_ms,
                 (uint32_t)g->config.timeouts.stall_abort_ms);
    mg_generation_commit(g);
}
