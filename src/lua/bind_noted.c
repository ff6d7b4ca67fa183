// What a script notes for the end of a request: fields of the access log, and to be told of that
// end. lua/moongate/core/request/ending.lua calls these.

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "server/noted.h"

// Finishes when the exchange ends.
typedef struct end_op {
    mg_op op;
    mg_noted *noted; // NULL: it has ended
    int status;
    uint64_t bytes;
    bool aborted;
} end_op;

static void on_end(mg_exchange *x, bool aborted) {
    end_op *e = x->noted->arg;
    e->noted = NULL;
    e->status = x->status;
    e->bytes = x->body_bytes_out;
    e->aborted = aborted;
    mg_op_finish(&e->op);
}

static int push_end(lua_State *L, mg_op *op) {
    const end_op *e = (const end_op *)op;
    lua_pushboolean(L, 1);
    lua_pushinteger(L, e->status);
    lua_pushnumber(L, (lua_Number)e->bytes);
    lua_pushboolean(L, e->aborted);
    return 4;
}

static void cancel_end(mg_op *op) {
    end_op *e = (end_op *)op;
    if (e->noted != NULL) {
        e->noted->on_end = NULL;
    }
}

static void release_end(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind end_kind = {"end of an answer", push_end, cancel_end, release_end};

// await_end(handle) -> operation: the status (0: no answer began), the bytes of content that were
// sent, whether the answer was broken off | nil: the request is over, or too much is under way
static int await_end(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || vm->ops.used >= MG_OPS_MAX) {
        return 0;
    }
    end_op *e = mg_calloc(1, sizeof *e);
    e->noted = mg_exchange_noted(x);
    e->noted->on_end = on_end;
    e->noted->arg = e;
    mg_op_start(vm, &e->op, &end_kind);
    lua_pushnumber(L, (lua_Number)e->op.handle);
    return 1;
}

// log_field(handle, name, JSON) -> true | nil, what is wrong
static int log_field(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "the answer has been logged already");
    }
    int rc = mg_exchange_note_field(x, mg_lua_check_str(L, 2), mg_lua_check_str(L, 3));
    if (rc == MG_ELIMIT) {
        return mg_lua_refuse(L, "a line of the access log has at most 8 KiB of them");
    }
    if (rc != MG_OK) {
        return mg_lua_refuse(L, "the name is a token such as user_id");
    }
    lua_pushboolean(L, 1);
    return 1;
}

void mg_bind_noted(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"await_end", await_end}, {"log_field", log_field}, {NULL, NULL}};
    mg_vm_register(L, vm, functions);
}
