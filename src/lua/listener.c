#include "lua/listener.h"

#include "base/mem.h"
#include "lua/args.h"

// Who waits for the next message, or until it listens.
struct mg_asking {
    mg_op op;
    mg_listener *of; // NULL: it is gone
    bool for_message;
    bool finished; // and not told yet
};

void mg_listener_init(mg_listener *l) {
    mg_messages_init(&l->messages);
}

void mg_listener_deinit(mg_listener *l) {
    mg_listener_leave(l);
    mg_messages_deinit(&l->messages);
    mg_free(l->fault);
}

// --- who waits ---

static void finish(mg_asking *a) {
    if (!a->finished) {
        a->finished = true;
        mg_op_finish(&a->op);
    }
}

static bool is_settled(const mg_listener *l, bool for_message) {
    return l->fault != NULL || (for_message ? mg_messages_first(&l->messages) != NULL : l->listens);
}

static void wake_one(const mg_listener *l, mg_asking *a) {
    if (a != NULL && is_settled(l, a->for_message)) {
        finish(a);
    }
}

static void wake(const mg_listener *l) {
    wake_one(l, l->ready);
    wake_one(l, l->next);
}

static void part(mg_asking *a) {
    if (a != NULL) {
        a->of = NULL;
        finish(a);
    }
}

void mg_listener_leave(mg_listener *l) {
    part(l->next);
    part(l->ready);
    l->next = l->ready = NULL;
}

static int push_message(lua_State *L, mg_message_queue *q, mg_message *m) {
    lua_pushboolean(L, 1);
    lua_createtable(L, 0, 3);
    if (m->missed) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "missed");
    } else {
        mg_lua_set_text(L, "payload", mg_message_text(m));
    }
    if (m->channel_n > 0) {
        mg_lua_set_text(L, "channel", mg_message_channel(m));
    }
    if (m->pid != 0) {
        lua_pushinteger(L, m->pid);
        lua_setfield(L, -2, "pid");
    }
    mg_messages_drop(q, m); // behind the last call that may raise
    return 2;
}

static int push_asking(lua_State *L, mg_op *op) {
    const mg_asking *a = (const mg_asking *)op;
    mg_listener *l = a->of;
    if (l == NULL) {
        return mg_lua_push_failure(L, "closed", "nobody listens any more");
    }
    mg_message *m = a->for_message ? mg_messages_first(&l->messages) : NULL;
    if (m != NULL) {
        return push_message(L, &l->messages, m);
    }
    if (l->fault != NULL) {
        return mg_lua_push_failure(L, l->code, l->fault);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void leave(mg_op *op) {
    mg_asking *a = (mg_asking *)op;
    mg_listener *l = a->of;
    if (l != NULL) {
        l->next = l->next == a ? NULL : l->next;
        l->ready = l->ready == a ? NULL : l->ready;
        a->of = NULL;
    }
}

static void release_asking(mg_op *op) {
    leave(op);
    mg_free(op);
}

static const mg_op_kind asking_kind = {"message", push_asking, leave, release_asking};

int mg_listener_next(lua_State *L, const mg_op_kind *kind) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_op *op = mg_slots_get(&vm->ops, (uint64_t)lua_tonumber(L, 1));
    if (op == NULL || op->kind != kind) {
        return mg_lua_refuse(L, "closed");
    }
    mg_listener *l = (mg_listener *)op;
    bool for_message = lua_toboolean(L, 2);
    mg_asking **place = for_message ? &l->next : &l->ready;
    if (*place != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    mg_asking *a = mg_calloc(1, sizeof *a);
    a->of = l;
    a->for_message = for_message;
    *place = a;
    mg_op_start(vm, &a->op, &asking_kind);
    lua_pushnumber(L, (lua_Number)a->op.handle);
    wake(l);
    return 1;
}

// --- what is told ---

void mg_listener_put(mg_listener *l, mg_str channel, mg_str text, int pid) {
    mg_messages_put(&l->messages, channel, text, pid);
    wake(l);
}

void mg_listener_miss(mg_listener *l) {
    mg_messages_miss(&l->messages);
    wake(l);
}

void mg_listener_listens(mg_listener *l) {
    l->listens = true;
    wake(l);
}

void mg_listener_fail(mg_listener *l, const char *code, const char *text) {
    if (l->fault == NULL) {
        l->code = code;
        l->fault = mg_strdup(text);
    }
    wake(l);
}
