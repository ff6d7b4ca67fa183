// gate/migrate.h: `moongate migrate`: brings the configured database up to date with a folder of
// numbered .sql files.
#pragma once

#include "gate/cli.h"

// Whether there is something for `migrate` to do without options: a default database that lasts,
// and lua/migrations.
bool mg_migrate_has_folder(const mg_config *config);

// Returns the exit status. Prints what was applied, or the fault.
int mg_migrate_main(const mg_cli *cli, const mg_config *config);
