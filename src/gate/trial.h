// gate/trial.h: scripts are loaded where they can harm nobody: in a child process, which may end in
// any way or never. What does not come through here is loaded nowhere else.
#pragma once

#include "gate/cli.h"
#include "lua/lua_app.h"

// The snapshot that `mg_trial_main` tries, and an empty memfd that takes where the app serves other
// protocols (mg_lua_app_print_streams).
enum { MG_TRIAL_IN = 3, MG_TRIAL_STREAMS };

// Loads an app as `options` say, bounded by load_ms, and calls `on_loaded(arg, app, err)` with it,
// which may find a fault, all in a child of this process, which must have one thread only. A fault
// of the scripts is told as they told it; where they end the child, or do not come to an end in a
// function of C, "file:line: what has happened". What the scripts log is appended to `said`.
int mg_trial(const mg_lua_app_options *options,
             int (*on_loaded)(void *arg, mg_lua_app *app, mg_error *err), void *arg, mg_buf *said,
             mg_error *err);

// The process that a master starts before its workers load a snapshot. Returns its exit status; a
// fault is on stderr.
int mg_trial_main(const mg_cli *cli);
