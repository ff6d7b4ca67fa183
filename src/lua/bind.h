// lua/bind.h: the bridge, in pairs: each bind_<subject>.c has its <subject>.lua.
#pragma once

#include "lua/bind_router.h"
#include "lua/vm.h"

// Kinds of events that next_event() returns.
enum { MG_EVENT_REQUEST = 1, MG_EVENT_DONE = 2, MG_EVENT_SIGNAL = 3 };

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
void mg_bind_client(lua_State *L, mg_vm *vm);

// bind_request.c, for the seam: the body's operation.
bool mg_body_op_ready(mg_exchange *x, mg_op *op);
void mg_body_op_fail(mg_op *op);

// bind_answer.c, for the seam: the exchange of a write operation is gone.
void mg_write_op_fail(mg_op *op);

// bind_runtime.c: writes 16 hex digits and a terminator, different at each call.
void mg_vm_random_id(mg_vm *vm, char out[17]);
