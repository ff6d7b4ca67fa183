// gate/generation.h: what one reload brings: a configuration, the scripts of a snapshot loaded in a
// Lua state, and the trust list. Loaded and closed in helper threads, off the loop.
#pragma once

#include "config/config.h"
#include "gate/services.h"
#include "http/forwarded.h"
#include "lua/lua_app.h"

typedef struct mg_generation mg_generation;

// Borrowed for the call, but for what `app` says (lua/lua_app.h) and the snapshot (a reference is
// kept).
typedef struct mg_generation_options {
    uint32_t number;
    mg_snapshot *snapshot;
    const char *conf;                     // the configuration's name; outlives the generation
    const mg_config_overrides *overrides; // likewise
    mg_service_set *services;             // a reference is taken; NULL: none
    mg_lua_app_options app; // worker, dev, jobs and log; the rest comes from the configuration
} mg_generation_options;

// The name under which a snapshot keeps the configuration, as JSON.
#define MG_SNAPSHOT_CONFIG ":config"
#define MG_SNAPSHOT_ROOT   ":root" // the project's, as it was then: links may lead elsewhere now

// Reads the configuration that a snapshot keeps. MG_ECONFIG and the faults in `err`. Deinit in any
// case.
int mg_config_of_snapshot(mg_config *c, const mg_snapshot *s, const char *conf,
                          const mg_config_overrides *o, mg_error *err);

//   LOADING -> STARTING -> READY -> SERVING -> RETIRED -> GONE
//      |           |
//      +-----------+--> FAILED
typedef enum mg_generation_state {
    MG_GENERATION_LOADING,  // in a helper thread
    MG_GENERATION_STARTING, // on_start runs
    MG_GENERATION_FAILED,   // never serves
    MG_GENERATION_READY,
    MG_GENERATION_SERVING,
    MG_GENERATION_RETIRED, // requests still hold it
    MG_GENERATION_GONE,    // nothing does
} mg_generation_state;

bool mg_generation_may_become(mg_generation_state from, mg_generation_state to);

struct mg_generation {
    uint32_t number;
    mg_generation_state state;
    mg_config config;
    mg_snapshot *snapshot;
    mg_trust *trust;
    mg_service_set *services;
    mg_lua_app *app;        // NULL while it is loading
    _Atomic bool abandoned; // the thread that loads looks at it
    bool evicted;
    mg_link link; // the owner's
    mg_loop *loop;
    void (*on_ready)(void *arg, mg_generation *g, const char *fault);
    void *ready_arg;
    void (*on_gone)(void *arg, mg_generation *g);
    void *gone_arg;
    struct mg_generation_load *load;
    mg_timer tell_timer; // what Lua tells is passed on when it has returned
    char *fault;
};

// `on_ready(arg, g, fault)` comes once, unless it is abandoned before: `fault` NULL when all is
// ready to serve, else "file:line: what"; then it is to be freed. MG_OK or a negative code and
// nothing comes.
int mg_generation_load(mg_generation **out, mg_loop *loop, const mg_generation_options *o,
                       void (*on_ready)(void *arg, mg_generation *g, const char *fault), void *arg);

// Serves from now on: its jobs begin.
void mg_generation_commit(mg_generation *g);

// Another one serves: `on_gone(arg, g)` comes when nothing holds it any more; then it is to be
// freed.
void mg_generation_retire(mg_generation *g, void (*on_gone)(void *arg, mg_generation *g),
                          void *arg);

// Whatever its state, nothing comes from it any more; what it holds is closed in a helper thread.
// Allowed in its own events. Accepts NULL.
void mg_generation_free(mg_generation *g);
