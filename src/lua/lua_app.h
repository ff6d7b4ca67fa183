// lua/lua_app.h: one Lua state with one app loaded in it. A reload makes another; requests finish
// on their own.
#pragma once

#include "base/error.h"
#include "lua/vm.h"

typedef struct mg_lua_app mg_lua_app;

// Borrowed for the call.
typedef struct mg_lua_app_options {
    const char *root; // the project's folder
    const char *path; // of the script that returns the app
    uint64_t handler_ms;
} mg_lua_app_options;

// Loads the app. Nothing runs yet: loading only declares. MG_ELUA with "file:line: what" if a
// script fails.
int mg_lua_app_new(mg_lua_app **out, mg_loop *loop, const mg_lua_app_options *options,
                   mg_error *err);

// What a server calls for requests.
mg_app *mg_lua_app_seam(mg_lua_app *a);
mg_vm *mg_lua_app_vm(mg_lua_app *a);

// Runs the app's on_start functions in coroutines; `on_ready(arg, message)` comes once, `message`
// NULL if all went well.
void mg_lua_app_start(mg_lua_app *a, void (*on_ready)(void *arg, const char *message), void *arg);

// Runs on_stop, cancels what the app does in the background, then calls `on_stopped`.
void mg_lua_app_stop(mg_lua_app *a, void (*on_stopped)(void *arg), void *arg);

// Appends the table of routes.
void mg_lua_app_print_routes(mg_lua_app *a, mg_buf *out);

void mg_lua_app_free(mg_lua_app *a); // accepts NULL
