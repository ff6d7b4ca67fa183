// A listener is an operation that never finishes: what is told waits in it until it is asked for,
// by an operation each. It holds so much at most; what comes beyond is dropped, and told as missed.

#include "lua/bind_listen.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_database.h"
#include "store/database_listen.h"

#include <string.h>

enum { NOTES_MAX = 10000, BYTES_MAX = 8 << 20 };

typedef struct note {
    mg_link link;
    bool missed;
    int pid;
    size_t n;
    char text[];
} note;

typedef struct asking asking;

typedef struct listener_op {
    mg_op op;
    const mg_database *database;
    mg_db_listener *listener; // NULL: it is over
    mg_link notes;
    uint32_t count;
    size_t bytes;
    bool listens;
    char *fault;          // NULL: there is none
    asking *next, *ready; // who waits; NULL: nobody
} listener_op;

// Who waits for the next note, or until it listens.
struct asking {
    mg_op op;
    listener_op *listener; // NULL: it is gone
    bool for_note;
    bool finished; // and not told yet
};

// --- who waits ---

static bool is_settled(const listener_op *l, bool for_note) {
    return l->fault != NULL || l->listener == NULL ||
           (for_note ? !mg_link_alone(&l->notes) : l->listens);
}

static void wake_one(const listener_op *l, asking *a) {
    if (a != NULL && !a->finished && is_settled(l, a->for_note)) {
        a->finished = true;
        mg_op_finish(&a->op);
    }
}

static void wake(const listener_op *l) {
    wake_one(l, l->ready);
    wake_one(l, l->next);
}

static void free_note(listener_op *l, note *n) {
    l->count--;
    l->bytes -= n->n;
    mg_free(n);
}

static int push_fault(lua_State *L, const char *code, const char *text) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, code);
    lua_pushstring(L, text);
    return 3;
}

static int push_note(lua_State *L, listener_op *l) {
    note *n = MG_OF(l->notes.next, note, link);
    lua_pushboolean(L, 1);
    lua_createtable(L, 0, 3);
    if (n->missed) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "missed");
    } else {
        lua_pushlstring(L, n->text, n->n);
        lua_setfield(L, -2, "payload");
        lua_pushinteger(L, n->pid);
        lua_setfield(L, -2, "pid");
    }
    mg_link_remove(&n->link); // behind the last call that may raise
    free_note(l, n);
    return 2;
}

static int push_asking(lua_State *L, mg_op *op) {
    asking *a = (asking *)op;
    listener_op *l = a->listener;
    if (l == NULL) {
        return push_fault(L, "closed", "nobody listens any more");
    }
    if (a->for_note && !mg_link_alone(&l->notes)) {
        return push_note(L, l);
    }
    if (l->fault != NULL) {
        return push_fault(L, "database", l->fault);
    }
    if (l->listener == NULL) {
        return push_fault(L, "closed", "the database was closed");
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void leave(asking *a) {
    listener_op *l = a->listener;
    if (l != NULL) {
        l->next = l->next == a ? NULL : l->next;
        l->ready = l->ready == a ? NULL : l->ready;
    }
}

static void cancel_asking(mg_op *op) {
    leave((asking *)op);
}

static void release_asking(mg_op *op) {
    leave((asking *)op);
    mg_free(op);
}

static const mg_op_kind asking_kind = {"database note", push_asking, cancel_asking, release_asking};

// --- what is told ---

static void keep_note(listener_op *l, const mg_db_note *told) {
    bool full = l->count >= NOTES_MAX || l->bytes + told->text.n > BYTES_MAX;
    note *last = mg_link_alone(&l->notes) ? NULL : MG_OF(l->notes.prev, note, link);
    bool missed = full || told->news == MG_DB_MISSED;
    if (missed && last != NULL && last->missed) {
        return; // that is known
    }
    size_t n = missed ? 0 : told->text.n;
    note *kept = mg_calloc(1, sizeof *kept + n);
    kept->missed = missed;
    kept->pid = told->pid;
    kept->n = n;
    if (n > 0) {
        memcpy(kept->text, told->text.p, n);
    }
    l->count++;
    l->bytes += n;
    mg_link_append(&l->notes, &kept->link);
}

static void on_note(void *arg, const mg_db_note *told) {
    listener_op *l = arg;
    if (told->news == MG_DB_LISTENS) {
        l->listens = true;
    } else if (told->news != MG_DB_DEAF) {
        keep_note(l, told);
    } else if (l->fault == NULL) {
        l->fault = mg_strndup(told->text.p, told->text.n);
    }
    wake(l);
}

// --- the listener ---

static void end_listener(listener_op *l) {
    if (l->listener != NULL) {
        mg_database_unlisten(l->listener);
        l->listener = NULL;
    }
    wake(l);
}

static void cancel_listener(mg_op *op) {
    end_listener((listener_op *)op);
}

static void release_listener(mg_op *op) {
    listener_op *l = (listener_op *)op;
    mg_link *link;
    while ((link = mg_link_shift(&l->notes)) != NULL) {
        free_note(l, MG_OF(link, note, link));
    }
    if (l->next != NULL) {
        l->next->listener = NULL;
    }
    if (l->ready != NULL) {
        l->ready->listener = NULL;
    }
    mg_free(l->fault);
    mg_free(l);
}

static const mg_op_kind listener_kind = {"database listener", NULL, cancel_listener,
                                         release_listener};

// --- functions ---

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
    mg_link_init(&l->notes);
    mg_op_start(vm, &l->op, &listener_kind);
    (void)mg_database_listen(&l->listener, d, channel, on_note, l);
    lua_pushnumber(L, (lua_Number)l->op.handle);
    return 1;
}

// listener_next(listener, whether a note is wanted, else that it listens) -> operation, or nil,
// "closed" | "busy"
static int next(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    listener_op *l = mg_slots_get(&vm->ops, (uint64_t)lua_tonumber(L, 1));
    bool for_note = lua_toboolean(L, 2);
    if (l == NULL || l->op.kind != &listener_kind) {
        return mg_lua_refuse(L, "closed");
    }
    asking **slot = for_note ? &l->next : &l->ready;
    if (*slot != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    asking *a = mg_calloc(1, sizeof *a);
    a->listener = l;
    a->for_note = for_note;
    *slot = a;
    mg_op_start(vm, &a->op, &asking_kind);
    lua_pushnumber(L, (lua_Number)a->op.handle);
    wake(l);
    return 1;
}

void mg_bind_listen(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"database_has_channels", has_channels},
        {"database_listen", listen_to},
        {"listener_next", next},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}

void mg_bind_listen_forget(mg_vm *vm, const mg_database *database) {
    for (uint32_t i = 0; i < vm->ops.count; i++) {
        mg_op *op = vm->ops.slots[i].item;
        if (op != NULL && op->kind == &listener_kind && ((listener_op *)op)->database == database) {
            end_listener((listener_op *)op);
        }
    }
}
