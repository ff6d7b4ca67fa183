// gate/collect.h: gathers what a generation is made of: the configuration, evaluated and checked,
// and the text of every script. Runs in a short-lived child of the master, so that no fault of a
// configuration, and no endless loop in it, can touch the service.
#pragma once

#include "gate/cli.h"

// Descriptor of the child: an empty memfd that takes the snapshot. Those behind it are for
// certificates (gate/keys_process.h).
enum { MG_COLLECT_OUT = 3 };

// Has the configuration evaluated by a process without root's privileges, checks it, reads all
// scripts, writes the snapshot. Returns the process's exit status: 0, with what was left out on
// stderr, or 1 with the faults.
int mg_collect_main(const mg_cli *cli);
