// gate/migrate.h: `moongate migrate`: brings the configured database up to date with a folder of
// numbered .sql files.
#pragma once

#include "gate/cli.h"

// Returns the exit status. Prints what was applied, or the fault.
int mg_migrate_main(const mg_cli *cli, const mg_config *config);
