// gate/worker.h: a process that serves: one loop, one server, the app's generation, the logs, and
// the signals that end it.
#pragma once

#include "gate/config.h"

// Serves until a signal ends it: SIGTERM or SIGINT gracefully (a second one at once), SIGQUIT at
// once; SIGUSR1 reopens the logs. Returns the process's exit status. Faults at the start are told
// on stderr.
int mg_worker_run(const mg_config *config);
