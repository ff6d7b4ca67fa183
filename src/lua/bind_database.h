// lua/bind_database.h: what a database's owner does before it closes one under running scripts.
#pragma once

#include "lua/vm.h"

// Statements that are under way in `database` fail with "closed", its sessions end.
void mg_bind_database_forget(mg_vm *vm, const mg_database *database);
