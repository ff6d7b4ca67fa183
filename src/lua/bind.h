// lua/bind.h: the bridge, in pairs: each bind_<subject>.c has its <subject>.lua.
#pragma once

#include "lua/bind_router.h"
#include "lua/vm.h"

// What a script may stream to a peer that takes it all before the loop turns for others.
enum { MG_BURST_BYTES = 256 * 1024 };

// Pushes the table `moongate.native` of this vm: every function of the bind_*.c files.
void mg_push_native(lua_State *L, mg_vm *vm);

// Each adds its own to the table at the top.
void mg_bind_constants(lua_State *L);
void mg_bind_routes(lua_State *L, mg_vm *vm);
void mg_bind_request(lua_State *L, mg_vm *vm);
void mg_bind_answer(lua_State *L, mg_vm *vm);
void mg_bind_runtime(lua_State *L, mg_vm *vm);
void mg_bind_files(lua_State *L, mg_vm *vm);
void mg_bind_cache(lua_State *L, mg_vm *vm);
void mg_bind_database(lua_State *L, mg_vm *vm);
void mg_bind_redis(lua_State *L, mg_vm *vm);
void mg_bind_listen(lua_State *L, mg_vm *vm);
void mg_bind_client(lua_State *L, mg_vm *vm);
void mg_bind_stream(lua_State *L, mg_vm *vm);
void mg_bind_websocket_client(lua_State *L, mg_vm *vm);
void mg_bind_tcp(lua_State *L, mg_vm *vm);
void mg_bind_websocket(lua_State *L, mg_vm *vm);
void mg_bind_proxy(lua_State *L, mg_vm *vm);
void mg_bind_upstream(lua_State *L, mg_vm *vm);
void mg_bind_topics(lua_State *L, mg_vm *vm);
void mg_bind_events(lua_State *L, mg_vm *vm);
void mg_bind_acme(lua_State *L, mg_vm *vm);
void mg_bind_crypto(lua_State *L, mg_vm *vm); // as one table, `crypto`

// bind_answer.c: reads status, type and field list at `first` and behind it: the last look at what
// a script says in a head. NULL, or what is wrong. Texts are borrowed as of mg_read_fields.
const char *mg_read_answer(lua_State *L, mg_exchange *x, int first, mg_answer *a);
void mg_bind_noted(lua_State *L, mg_vm *vm);

// bind_answer.c: reads the list { name, value, name, value, ... } at `index`, whose texts are
// borrowed: no Lua may run before they are sent. NULL, or what is wrong.
const char *mg_read_fields(lua_State *L, int index, mg_fields *out);
