// gate/generation.h: one Lua state with one app loaded in it. A reload makes another; requests finish on their own.
#pragma once

#include "gate/config.h"
#include "lua/vm.h"

typedef struct mg_generation mg_generation;

// Loads the app that `config` (borrowed while the generation lives) names. Nothing runs yet: loading only declares. MG_ELUA with
// "file:line: what" if a script fails.
int mg_generation_new(mg_generation **out, mg_loop *loop, const mg_config *config, mg_error *err);

// What a server calls for requests.
mg_app *mg_generation_app(mg_generation *g);
mg_vm *mg_generation_vm(mg_generation *g);

// Runs the app's on_start functions in coroutines; `on_ready(arg, message)` comes once, `message` NULL if all went well.
void mg_generation_start(mg_generation *g, void (*on_ready)(void *arg, const char *message), void *arg);

// Runs on_stop, cancels what the app does in the background, then calls `on_stopped`.
void mg_generation_stop(mg_generation *g, void (*on_stopped)(void *arg), void *arg);

// Appends the table of routes.
void mg_generation_print_routes(mg_generation *g, mg_buf *out);

void mg_generation_free(mg_generation *g); // accepts NULL
