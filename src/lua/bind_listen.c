// Channels of databases, for lua/moongate/core/database/listening.lua.

#include "lua/bind_listen.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_database.h"
#include "lua/listener.h"
#include "store/database_listen.h"

typedef struct listener_op {
    mg_listener base;
    const mg_database *database;
    mg_db_listener *channel; // NULL: it is over
} listener_op;

static void on_note(void *arg, const mg_db_note *told) {
    mg_listener *l = &((listener_op *)arg)->base;
    switch (told->news) {
    case MG_DB_LISTENS:
        mg_listener_listens(l);
        break;
    case MG_DB_MISSED:
        mg_listener_miss(l);
        break;
    case MG_DB_DEAF: {
        char *why = mg_strndup(told->text.p, told->text.n);
        mg_listener_fail(l, "database", why);
        mg_free(why);
        break;
    }
    default:
        mg_listener_put(l, (mg_str){NULL, 0}, told->text, told->pid);
        break;
    }
}

static void end_channel(listener_op *l) {
    if (l->channel != NULL) {
        mg_database_unlisten(l->channel);
        l->channel = NULL;
    }
}

static void cancel_listener(mg_op *op) {
    listener_op *l = (listener_op *)op;
    end_channel(l);
    mg_listener_leave(&l->base);
}

static void release_listener(mg_op *op) {
    mg_listener_deinit(&((listener_op *)op)->base);
    mg_free(op);
}

static const mg_op_kind listener_kind = {"database listener", NULL, cancel_listener,
                                         release_listener};

// database_has_channels(name) -> boolean, or nil, "unknown"
static int has_channels(lua_State *L) {
    const mg_database *d = mg_lua_database(L, mg_vm_of(L));
    if (d == NULL) {
        return mg_lua_refuse(L, "unknown");
    }
    lua_pushboolean(L, mg_database_has_channels(d));
    return 1;
}

// database_listen(name, channel) -> listener, or nil, "unknown" | "unsupported"
static int listen_to(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_str channel = mg_lua_check_str(L, 2);
    mg_database *d = mg_lua_database(L, vm);
    if (d == NULL) {
        return mg_lua_refuse(L, "unknown");
    }
    if (!mg_database_has_channels(d)) {
        return mg_lua_refuse(L, "unsupported");
    }
    listener_op *l = mg_calloc(1, sizeof *l);
    l->database = d;
    mg_listener_init(&l->base);
    mg_op_start(vm, &l->base.op, &listener_kind);
    (void)mg_database_listen(&l->channel, d, channel, on_note, l);
    lua_pushnumber(L, (lua_Number)l->base.op.handle);
    return 1;
}

// database_next(listener, a message is wanted): see mg_listener_next
static int next(lua_State *L) {
    return mg_listener_next(L, &listener_kind);
}

void mg_bind_listen(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"database_has_channels", has_channels},
        {"database_listen", listen_to},
        {"database_next", next},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}

void mg_bind_listen_forget(mg_vm *vm, const mg_database *database) {
    for (uint32_t i = 0; i < vm->ops.count; i++) {
        listener_op *l = vm->ops.slots[i].item;
        if (l != NULL && l->base.op.kind == &listener_kind && l->database == database) {
            end_channel(l);
            mg_listener_fail(&l->base, "closed", "the database was closed");
        }
    }
}
