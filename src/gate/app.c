#include "gate/app.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void mg_app_options(const mg_config *c, mg_lua_app_options *out) {
    out->root = c->root;
    out->path = c->app;
    out->handler_ms = c->timeouts.handler_ms;
    out->load_ms = c->timeouts.reload_ms;
    out->memory_bytes = c->limits.lua_memory;
    out->ffi = c->ffi;
    out->upstreams = &c->upstreams;
}

int mg_app_check(const mg_config *c, mg_error *err) {
    if (access(c->app, R_OK) == 0) {
        return MG_OK;
    }
    return mg_error_set(err, MG_ECONFIG, "%s: app: %s cannot be read: %s", c->file, c->app,
                        strerror(errno));
}
