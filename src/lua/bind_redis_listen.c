// Pub/sub: a listener is an operation that never finishes. Messages wait in it until they are asked
// for, by an operation each. It holds so much at most; what comes beyond that is dropped, and told
// as missed.

#include "lua/bind_redis.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"

enum { MESSAGES_MAX = 10000, BYTES_MAX = 8 << 20, CHANNELS_MAX = 1000 };

typedef struct message {
    mg_link link;
    bool missed;
    size_t channel_n, text_n;
    char bytes[]; // the channel, then the text
} message;

typedef struct listener_op listener_op;

typedef struct channel {
    mg_redis_subscription s;
    listener_op *of;
    char *name;
    bool on; // it listens
    bool over;
} channel;

// Who waits for the next message, or until all channels are listened to.
typedef struct asking {
    mg_op op;
    listener_op *of; // NULL: it is gone
    bool for_message, finished;
} asking;

struct listener_op {
    mg_op op;
    mg_redis *redis;
    channel *channels;
    uint32_t channel_count, on_count;
    mg_link messages;
    uint32_t count;
    size_t bytes;
    char *fault;          // NULL: there is none
    asking *next, *ready; // NULL: nobody waits
};

// --- who waits ---

static bool is_settled(const listener_op *l, bool for_message) {
    return l->fault != NULL ||
           (for_message ? !mg_link_alone(&l->messages) : l->on_count == l->channel_count);
}

static void wake_one(const listener_op *l, asking *a) {
    if (a != NULL && !a->finished && is_settled(l, a->for_message)) {
        a->finished = true;
        mg_op_finish(&a->op);
    }
}

static void wake(const listener_op *l) {
    wake_one(l, l->ready);
    wake_one(l, l->next);
}

static void free_message(listener_op *l, message *m) {
    mg_link_remove(&m->link);
    l->count--;
    l->bytes -= m->channel_n + m->text_n;
    mg_free(m);
}

static int push_message(lua_State *L, listener_op *l) {
    message *m = MG_OF(l->messages.next, message, link);
    lua_pushboolean(L, 1);
    lua_createtable(L, 0, 2);
    if (m->missed) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "missed");
    } else {
        mg_lua_set_text(L, "channel", (mg_str){m->bytes, m->channel_n});
        mg_lua_set_text(L, "payload", (mg_str){m->bytes + m->channel_n, m->text_n});
    }
    free_message(l, m); // behind the last call that may raise
    return 2;
}

static int push_asking(lua_State *L, mg_op *op) {
    const asking *a = (const asking *)op;
    listener_op *l = a->of;
    if (l == NULL) {
        return mg_lua_push_failure(L, "closed", "nobody listens any more");
    }
    if (a->for_message && !mg_link_alone(&l->messages)) {
        return push_message(L, l);
    }
    if (l->fault != NULL) {
        return mg_lua_push_failure(L, "redis", l->fault);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void leave(mg_op *op) {
    asking *a = (asking *)op;
    listener_op *l = a->of;
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

static const mg_op_kind asking_kind = {"redis message", push_asking, leave, release_asking};

// --- what is told ---

static void keep(listener_op *l, bool missed, mg_str from, mg_str text) {
    bool full = l->count >= MESSAGES_MAX || l->bytes + from.n + text.n > BYTES_MAX;
    const message *last =
        mg_link_alone(&l->messages) ? NULL : MG_OF(l->messages.prev, message, link);
    missed |= full;
    if (missed && last != NULL && last->missed) {
        return; // that is known
    }
    size_t n = missed ? 0 : from.n + text.n;
    message *m = mg_calloc(1, sizeof *m + n);
    m->missed = missed;
    if (!missed) {
        m->channel_n = from.n;
        m->text_n = text.n;
        memcpy(m->bytes, from.p, from.n);
        memcpy(m->bytes + from.n, text.p, text.n);
    }
    mg_link_append(&l->messages, &m->link);
    l->count++;
    l->bytes += n;
    wake(l);
}

static void on_message(mg_redis_subscription *s, mg_str from, mg_str text) {
    keep(MG_OF(s, channel, s)->of, false, from, text);
}

static void on_listening(mg_redis_subscription *s, bool again) {
    channel *c = MG_OF(s, channel, s);
    listener_op *l = c->of;
    if (!c->on) {
        c->on = true;
        l->on_count++;
    }
    if (again) {
        keep(l, true, (mg_str){NULL, 0}, (mg_str){NULL, 0});
    }
    wake(l);
}

static void on_fault(mg_redis_subscription *s, const mg_redis_fault *f) {
    channel *c = MG_OF(s, channel, s);
    c->over = true;
    if (c->of->fault == NULL) {
        c->of->fault = mg_strdup(f->text);
    }
    wake(c->of);
}

// --- the life of a listener ---

static void finish_asking(asking *a) {
    if (a != NULL) {
        a->of = NULL;
        if (!a->finished) {
            a->finished = true;
            mg_op_finish(&a->op);
        }
    }
}

static void end_listener(listener_op *l) {
    for (uint32_t i = 0; i < l->channel_count; i++) {
        if (!l->channels[i].over) {
            l->channels[i].over = true;
            mg_redis_unsubscribe(l->redis, &l->channels[i].s);
        }
    }
    finish_asking(l->next);
    finish_asking(l->ready);
    l->next = l->ready = NULL;
}

static void cancel_listener(mg_op *op) {
    end_listener((listener_op *)op);
}

static void release_listener(mg_op *op) {
    listener_op *l = (listener_op *)op;
    while (!mg_link_alone(&l->messages)) {
        free_message(l, MG_OF(l->messages.next, message, link));
    }
    for (uint32_t i = 0; i < l->channel_count; i++) {
        mg_free(l->channels[i].name);
    }
    mg_free(l->channels);
    mg_free(l->fault);
    mg_free(l);
}

static const mg_op_kind listener_kind = {"redis listener", NULL, cancel_listener, release_listener};

// --- functions ---

static void add_channel(lua_State *L, listener_op *l, uint32_t at, int kind, int name) {
    channel *c = &l->channels[at];
    mg_str text = mg_lua_str(L, name);
    c->of = l;
    c->name = mg_strndup(text.p, text.n);
    c->over = true; // until it is subscribed
    c->s = (mg_redis_subscription){
        .on_message = on_message,
        .on_listening = on_listening,
        .on_fault = on_fault,
        .kind = (uint32_t)lua_tointeger(L, kind),
        .name = c->name,
    };
}

static int subscribe_all(listener_op *l, mg_error *err) {
    int rc = MG_OK;
    for (uint32_t i = 0; i < l->channel_count && rc == MG_OK; i++) {
        rc = mg_redis_subscribe(l->redis, &l->channels[i].s, err);
        l->channels[i].over = rc != MG_OK;
    }
    return rc;
}

// redis_listen(name, kind, channel, kind, channel ...) -> listener, or nil and "unknown", or nil,
// why not and a text. Kinds: 0 a channel, 1 a pattern, 2 a sharded one.
static int listen_to(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_error err = {""};
    int n = (lua_gettop(L) - 1) / 2;
    mg_redis *redis = mg_redis_named(vm, luaL_checkstring(L, 1));
    if (redis == NULL) {
        return mg_lua_refuse(L, "unknown");
    }
    luaL_argcheck(L, n > 0 && n <= CHANNELS_MAX, 2, "1 to 1000 channels");
    listener_op *l = mg_calloc(1, sizeof *l);
    l->redis = redis;
    l->channels = mg_calloc((size_t)n, sizeof *l->channels);
    l->channel_count = (uint32_t)n;
    mg_link_init(&l->messages);
    for (int i = 0; i < n; i++) {
        add_channel(L, l, (uint32_t)i, 2 + 2 * i, 3 + 2 * i);
    }
    int rc = subscribe_all(l, &err);
    if (rc != MG_OK) {
        end_listener(l);
        release_listener(&l->op);
        return mg_redis_refuse(L, rc, err.text);
    }
    mg_op_start(vm, &l->op, &listener_kind);
    lua_pushnumber(L, (lua_Number)l->op.handle);
    return 1;
}

static listener_op *find_listener(lua_State *L, const mg_vm *vm) {
    listener_op *l = mg_slots_get(&vm->ops, (uint64_t)lua_tonumber(L, 1));
    return l != NULL && l->op.kind == &listener_kind ? l : NULL;
}

// redis_next(listener, a message is wanted) -> operation of a message, or, if none is wanted, of
// nothing, once all channels are listened to; or nil and "closed" | "busy"
static int next_message(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    listener_op *l = find_listener(L, vm);
    bool for_message = lua_toboolean(L, 2);
    if (l == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    asking **place = for_message ? &l->next : &l->ready;
    if (*place != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    asking *a = mg_calloc(1, sizeof *a);
    a->of = l;
    a->for_message = for_message;
    *place = a;
    mg_op_start(vm, &a->op, &asking_kind);
    wake(l);
    lua_pushnumber(L, (lua_Number)a->op.handle);
    return 1;
}

void mg_bind_redis_listen(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"redis_listen", listen_to},
        {"redis_next", next_message},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
