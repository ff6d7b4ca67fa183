// lua/bind_listen.h: channels of databases, for lua/moongate/core/database/listening.lua.
#pragma once

#include "lua/vm.h"

// Before a database is closed: who listens there hears that it is over.
void mg_bind_listen_forget(mg_vm *vm, const mg_database *database);
