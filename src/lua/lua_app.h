// lua/lua_app.h: one Lua state with one app loaded in it: the scripts of a generation. A reload
// makes another; requests finish on their own.
//
//   new (any thread) -> attach -> start (on_start) -> commit -> retire -> sever -> free (any
//   thread)
//
// Any step may be the last before sever and free.
#pragma once

#include "base/error.h"
#include "base/snapshot.h"
#include "lua/vm.h"
#include "proxy/options.h"

typedef struct mg_lua_app mg_lua_app;

enum { MG_LUA_PLACE = 256 };

// Where loading is, for who watches from outside.
typedef struct mg_lua_spot {
    char source[MG_LUA_PLACE];
    int line; // 0: nowhere yet
} mg_lua_spot;

// Borrowed for the call, but for the snapshot, of which a reference is kept.
typedef struct mg_lua_app_options {
    const char *root;      // the project's folder
    const char *path;      // of the script that returns the app
    mg_snapshot *snapshot; // where all scripts come from; NULL: the disk
    uint64_t handler_ms;
    uint64_t load_ms;            // that loading and on_start may take; 0: any
    uint64_t load_cpu_ms;        // that loading may compute; 0: any
    const _Atomic bool *give_up; // true: loading ends soon, with a fault; NULL: never
    mg_lua_spot *spot;           // always up to date, at a cost; NULL: nobody watches
    size_t memory_bytes;         // that the state may use; 0: any
    uint32_t generation;         // told by moongate.info()
    uint32_t worker;             // from 1; 0: there is only one
    bool dev;                    // faults are shown to browsers
    bool ffi;                    // scripts may have it
    // Whose names routes may use; NULL: any, as far as it can be told while loading.
    const mg_upstreams_options *upstreams;
    const char *record;          // dev: the spec that requests are recorded in; NULL: none
    const char *fault;           // dev: no app is loaded, this fault is what it serves; else NULL
    const mg_vm_jobs *jobs;      // static
    void *jobs_arg;              // outlives the app, as log_arg
    const mg_services *services; // likewise; NULL: none
    void (*on_log)(void *arg, const mg_log_event *event); // NULL: stderr. From any thread
    void *log_arg;
} mg_lua_app_options;

typedef struct mg_lua_pins {
    uint32_t requests, streams, background;
} mg_lua_pins;

// Loads the app. Nothing runs yet: loading only declares, and the loop is not touched. MG_ELUA with
// "file:line: what" if a script fails or does not come to an end.
int mg_lua_app_new(mg_lua_app **out, mg_loop *loop, const mg_lua_app_options *options,
                   mg_error *err);

// From here on it belongs to the loop's thread.
void mg_lua_app_attach(mg_lua_app *a);

// What a server calls for requests.
mg_app *mg_lua_app_seam(mg_lua_app *a);
mg_vm *mg_lua_app_vm(mg_lua_app *a);

// Runs the app's on_start functions in coroutines; `on_ready(arg, message)` comes once, `message`
// NULL if all went well.
void mg_lua_app_start(mg_lua_app *a, void (*on_ready)(void *arg, const char *message), void *arg);

// It serves from now on: jobs begin, code is compiled.
void mg_lua_app_commit(mg_lua_app *a);

// Another serves new requests: jobs end, those under way finish, the background has `drain_ms`
// left, on_stop runs; then `on_done(arg)`, once, when no request and no stream is left.
void mg_lua_app_retire(mg_lua_app *a, uint64_t drain_ms, void (*on_done)(void *arg), void *arg);

// What still waits gets 503, streams end.
void mg_lua_app_evict(mg_lua_app *a);

// What it still has to do.
mg_lua_pins mg_lua_app_pins(mg_lua_app *a);

// Bytes that its state has allocated.
size_t mg_lua_app_memory(const mg_lua_app *a);

// See mg_lua_memory_pace.
void mg_lua_app_pace(mg_lua_app *a, bool busy);

// Few requests come: takes some milliseconds to give back what scripts have left behind.
void mg_lua_app_rest(mg_lua_app *a);

// Runs on_stop, cancels what the app does in the background, then calls `on_stopped`.
// Background work has `work_ms` before that, on_stop `stop_ms`.
void mg_lua_app_stop(mg_lua_app *a, uint64_t work_ms, uint64_t stop_ms,
                     void (*on_stopped)(void *arg), void *arg);

// It is going to be stopped: jobs end, and whoever waits for that (ctx.retiring) is told.
void mg_lua_app_announce_stop(mg_lua_app *a);

// Development: evaluates `code` in the scripts' environment, in a coroutine. `reply(arg, ok, text)`
// comes once, at any time, also at once: what it gave or the error; false and "" if `code` is not
// complete. The text is borrowed.
void mg_lua_app_evaluate(mg_lua_app *a, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                         void *arg);

// Appends the table of routes.
void mg_lua_app_print_routes(mg_lua_app *a, mg_buf *out);

// Appends where the app serves other protocols than HTTP, a line each: "address\tfile:line".
void mg_lua_app_print_streams(mg_lua_app *a, mg_buf *out);

// Appends which route answers `target` (a path or a URL), and why. `body_bytes`: limits.body.
void mg_lua_app_explain(mg_lua_app *a, const char *method, const char *target, uint64_t body_bytes,
                        mg_buf *out);

// On the loop: nothing of it is called any more. What remains can be freed in any thread.
void mg_lua_app_sever(mg_lua_app *a);

// Severs it first if need be. Closing a large state takes long. Accepts NULL.
void mg_lua_app_free(mg_lua_app *a);
