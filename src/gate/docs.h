// gate/docs.h: `moongate help NAME` and `moongate docs`: the reference.
#pragma once

#include "gate/cli.h"

// Both print what is to be printed, or the fault, and return the exit status.
int mg_docs_show(const char *name);
int mg_docs_main(const mg_cli *cli);
