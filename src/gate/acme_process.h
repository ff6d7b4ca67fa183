// gate/acme_process.h: the process that asks directories for certificates (lua/moongate/core/acme),
// one for all workers.
//
// It has the master's rights, for the keys that it keeps are nobody else's to read. No script of a
// project runs in it, and it serves nobody.
#pragma once

#include "gate/cli.h"

// Its descriptors: a channel to the master, and the snapshot of the generation that serves.
enum { MG_ACME_CHANNEL = 3, MG_ACME_SNAPSHOT = 4 };

// Returns the process's exit status when the master is gone.
int mg_acme_main(const mg_cli *cli);
