// lua/op.h: something that C does and Lua awaits: started by a native function, told once when it
// has finished (lua/vm.h), or cancelled.
#pragma once

#include "base/list.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

typedef struct mg_vm mg_vm;
typedef struct mg_op mg_op;

enum { MG_OP_MORE = -1 };

// A kind of asynchronous operation; a static table.
typedef struct mg_op_kind {
    const char *name;
    // Pushes true and the results, or false, an error code and a message. Called on the loop, in
    // protected mode; once more if it raises, and a second time fails the operation. What is taken
    // from C is taken behind the last call of Lua. MG_OP_MORE: it would take long, and goes on in
    // the next turn.
    int (*push)(lua_State *L, mg_op *op);
    // Stops the work, which has not finished; the operation is released right afterwards.
    void (*cancel)(mg_op *op);
    void (*release)(mg_op *op); // frees what the operation owns and the operation
} mg_op_kind;

// Embedded at the start of each operation's own heap struct.
struct mg_op {
    const mg_op_kind *kind;
    mg_vm *vm;
    mg_link link; // in vm->events when finished
    uint64_t handle;
    uint32_t untold; // how often its result could not be pushed
    // What next_event() says of it; 0: MG_EVENT_DONE, of an operation that has a handle. Of others
    // (mg_vm_tell) `push` pushes what is told, or nothing if that does not matter any more; once.
    int event;
};

// Room for what scripts begin; the framework's own timers find some above it.
enum { MG_OPS_MAX = (1 << 20) - (1 << 13) };

// Gives `op` (heap, owned by the vm from now on) its handle.
void mg_op_start(mg_vm *vm, mg_op *op, const mg_op_kind *kind);

// It has finished: it is told in this turn or the next.
void mg_op_finish(mg_op *op);

// It has finished, but the loop is to look at its sockets before that is told.
void mg_op_finish_later(mg_op *op);
