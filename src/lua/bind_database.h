// lua/bind_database.h: databases by name, and what a database's owner does before it closes one
// under running scripts.
#pragma once

#include "lua/vm.h"

// The database that the first argument names; NULL: there is none.
mg_database *mg_lua_database(lua_State *L, const mg_vm *vm);

// Statements that are under way in `database` fail with "closed", its sessions and listeners end.
void mg_bind_database_forget(mg_vm *vm, const mg_database *database);
