// gate/master.h: opens the sockets, starts workers, watches and replaces them, and reloads. It
// never runs a user's Lua.
#pragma once

#include "gate/cli.h"

// Serves until it is told to stop: SIGTERM or SIGINT gracefully (a second one at once), SIGQUIT at
// once; SIGHUP reloads, SIGUSR1 opens the log files anew. With `workers = 0`, and for `dev`, the
// only worker lives in this process. Returns the process's exit status.
int mg_master_run(const mg_cli *cli, int argc, char *const *argv);
