// Pub/sub: the channels of a listener, each a subscription.

#include "lua/bind_redis.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/listener.h"

enum { CHANNELS_MAX = 1000 };

typedef struct listener_op listener_op;

typedef struct channel {
    mg_redis_subscription s;
    listener_op *of;
    char *name;
    bool on; // it listens
    bool over;
} channel;

struct listener_op {
    mg_listener base;
    mg_redis *redis;
    channel *channels;
    uint32_t channel_count, on_count;
};

// --- what is told ---

static void on_message(mg_redis_subscription *s, mg_str from, mg_str text) {
    mg_listener_put(&MG_OF(s, channel, s)->of->base, from, text, 0);
}

static void on_listening(mg_redis_subscription *s, bool again) {
    channel *c = MG_OF(s, channel, s);
    listener_op *l = c->of;
    l->on_count += !c->on;
    c->on = true;
    if (again) {
        mg_listener_miss(&l->base);
    }
    if (l->on_count == l->channel_count) {
        mg_listener_listens(&l->base);
    }
}

static void on_fault(mg_redis_subscription *s, const mg_redis_fault *f) {
    channel *c = MG_OF(s, channel, s);
    c->over = true;
    mg_listener_fail(&c->of->base, "redis", f->text);
}

// --- the life of a listener ---

static void end_channels(listener_op *l) {
    for (uint32_t i = 0; i < l->channel_count; i++) {
        if (!l->channels[i].over) {
            l->channels[i].over = true;
            mg_redis_unsubscribe(l->redis, &l->channels[i].s);
        }
    }
}

static void cancel_listener(mg_op *op) {
    listener_op *l = (listener_op *)op;
    end_channels(l);
    mg_listener_leave(&l->base);
}

static void release_listener(mg_op *op) {
    listener_op *l = (listener_op *)op;
    mg_listener_deinit(&l->base);
    for (uint32_t i = 0; i < l->channel_count; i++) {
        mg_free(l->channels[i].name);
    }
    mg_free(l->channels);
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
    mg_listener_init(&l->base);
    for (int i = 0; i < n; i++) {
        add_channel(L, l, (uint32_t)i, 2 + 2 * i, 3 + 2 * i);
    }
    int rc = subscribe_all(l, &err);
    if (rc != MG_OK) {
        end_channels(l);
        release_listener(&l->base.op);
        return mg_redis_refuse(L, rc, err.text);
    }
    mg_op_start(vm, &l->base.op, &listener_kind);
    lua_pushnumber(L, (lua_Number)l->base.op.handle);
    return 1;
}

// redis_next(listener, a message is wanted): see mg_listener_next
static int next(lua_State *L) {
    return mg_listener_next(L, &listener_kind);
}

void mg_bind_redis_listen(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"redis_listen", listen_to},
        {"redis_next", next},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
