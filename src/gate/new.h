// gate/new.h: `moongate new DIR`: a project to begin with, from lua/moongate/template.
#pragma once

#include "gate/cli.h"

// Prints what to do next, or the fault. Returns the exit status. Nothing that is there already is
// overwritten: a folder that is not empty is refused.
int mg_new_main(const mg_cli *cli);
