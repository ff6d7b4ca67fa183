#include "gate/app.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int mg_app_of_config(mg_lua_app **out, mg_loop *loop, const mg_config *config, mg_error *err) {
    *out = NULL;
    if (access(config->app, R_OK) != 0) {
        return mg_error_set(err, MG_ECONFIG, "%s: app: %s cannot be read: %s", config->file,
                            config->app, strerror(errno));
    }
    mg_lua_app_options options = {
        .root = config->root,
        .path = config->app,
        .handler_ms = config->timeouts.handler_ms,
        .memory_bytes = config->limits.lua_memory,
        .ffi = config->ffi,
    };
    return mg_lua_app_new(out, loop, &options, err);
}
