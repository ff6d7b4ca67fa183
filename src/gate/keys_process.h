// gate/keys_process.h: certificates are read in short-lived children of the master, with its
// rights.
#pragma once

#include "gate/cli.h"

// Descriptors of the child that collects a generation, and of the one that reads certificates anew:
// a memfd for the store, which holds a throw-away pair for endpoints without certificates before;
// the store that is served, if there is one. For the second child descriptor 3 is the snapshot of
// the generation that serves.
enum { MG_KEYS_SNAPSHOT = 3, MG_KEYS_OUT = 4, MG_KEYS_BEFORE = 5 };

// Fills the store for `config`. As mg_certificates_write.
int mg_keys_collect(const mg_config *config, mg_buf *doubts, mg_error *err);

// The process that a master starts when certificates have been issued. Its exit status: 0, or 1
// with the fault on stderr.
int mg_keys_main(const mg_cli *cli);
