// Streams that begin without a request: those that a script opens, and connections of endpoints
// that speak no HTTP. Pairs: lua/moongate/tcp.lua, core/app/streams.lua.

#include "base/mem.h"
#include "client/raw.h"
#include "event/listener.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/client_request.h"
#include "lua/stream.h"
#include "server/foreign.h"
#include "server/tunnel.h"

#include <stdio.h>

// --- opening one ---

typedef struct connect_op {
    mg_op op;
    mg_raw *raw;     // under way
    uint64_t stream; // its handle
    bool open;
    bool told;
    const char *code; // static
    char text[320];
} connect_op;

static void on_done(void *arg, const mg_call_fault *fault) {
    connect_op *c = arg;
    mg_script_stream *s = mg_script_stream_at(c->op.vm, c->stream);
    c->raw = NULL;
    if (fault == NULL) {
        c->open = s->open = true;
        mg_script_stream_set_idle(s, s->idle_ms); // from now on
    } else {
        c->code = fault->code;
        snprintf(c->text, sizeof c->text, "%s", fault->text);
    }
    mg_op_finish(&c->op);
}

static int push_connected(lua_State *L, mg_op *op) {
    connect_op *c = (connect_op *)op;
    if (!c->open) {
        return mg_lua_push_failure(L, c->code, c->text);
    }
    lua_pushboolean(L, 1);
    lua_pushnumber(L, (lua_Number)c->stream);
    c->told = true;
    return 2;
}

static void cancel_connect(mg_op *op) {
    (void)op; // the release right behind it does
}

static void release_connect(mg_op *op) {
    connect_op *c = (connect_op *)op;
    mg_script_stream *s = mg_script_stream_at(op->vm, c->stream);
    mg_raw_cancel(c->raw);
    if (!c->told && s != NULL) {
        mg_script_stream_drop(s);
    }
    mg_free(c);
}

static const mg_op_kind connect_kind = {"tcp.connect", push_connected, cancel_connect,
                                        release_connect};

// tcp_connect(host, port, path of a Unix socket instead of both, alpn or nil, options) -> operation
// of the stream's handle | nil, why. tcp.lua has checked them.
static int tcp_connect(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_raw_options o = {0};
    mg_arena arena = {0};
    char text[256];
    lua_settop(L, 5);
    if (vm->services->client == NULL) {
        return mg_lua_refuse(L, "there is no network here");
    }
    uint32_t idle_ms;
    const char *fault = mg_client_raw_read(L, &arena, &o, &idle_ms, text);
    if (fault != NULL) {
        mg_arena_deinit(&arena);
        return mg_lua_refuse(L, fault);
    }
    mg_script_stream *s = mg_script_stream_new(vm);
    connect_op *c = mg_calloc(1, sizeof *c);
    s->idle_ms = idle_ms;
    c->stream = s->handle;
    o.tunnel = &s->tunnel;
    o.on_done = on_done;
    o.arg = c;
    mg_op_start(vm, &c->op, &connect_kind);
    c->raw = mg_raw_open(vm->services->client, &o);
    mg_arena_deinit(&arena);
    if (c->raw == NULL) {
        c->code = "limit";
        snprintf(c->text, sizeof c->text, "no more descriptors may be opened (limits.descriptors)");
        mg_op_finish(&c->op);
    }
    lua_pushnumber(L, (lua_Number)c->op.handle);
    return 1;
}

// --- accepting them ---

typedef struct stream_event {
    mg_op op;
    uint64_t stream;
    char *address; // of the endpoint; NULL: the peer is gone
    mg_gone why;
    char peer[MG_PEER_TEXT];
    const char *tls; // static; NULL: none
} stream_event;

// Pushes the handle; of a new one its endpoint's address, its peer's, and the version of TLS; of
// one whose peer is gone false and why.
static int push_stream_event(lua_State *L, mg_op *op) {
    const stream_event *e = (const stream_event *)op;
    lua_pushnumber(L, (lua_Number)e->stream);
    if (e->address == NULL) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, e->why == MG_GONE_STOP ? "stop" : "closed");
        return 3;
    }
    lua_pushstring(L, e->address);
    lua_pushstring(L, e->peer);
    lua_pushstring(L, e->tls); // NULL: nil
    return 4;
}

static void release_event(mg_op *op) {
    mg_free(((stream_event *)op)->address);
    mg_free(op);
}

static const mg_op_kind stream_kind = {"stream", push_stream_event, NULL, release_event};

static void tell_gone(mg_script_stream *s, mg_gone why) {
    stream_event *e = mg_calloc(1, sizeof *e);
    e->stream = s->handle;
    e->why = why;
    mg_vm_tell(s->vm, &e->op, &stream_kind, MG_EVENT_STREAM);
}

void mg_vm_take_stream(mg_vm *vm, mg_conn *c) {
    mg_script_stream *s = mg_script_stream_new(vm);
    stream_event *e = mg_calloc(1, sizeof *e);
    e->stream = s->handle;
    e->address = mg_strdup(mg_foreign_address(c));
    mg_foreign_client_ip(c, e->peer);
    e->tls = mg_tls_is(&c->stream) ? mg_tls_version(&c->stream) : NULL;
    mg_vm_tell(vm, &e->op, &stream_kind, MG_EVENT_STREAM);
    s->on_gone = tell_gone;
    s->open = true;
    mg_tunnel_open(&s->tunnel, c);
}

// stream_check(address) -> nil | why it is none that can be listened at
static int stream_check(lua_State *L) {
    mg_address address;
    mg_error err;
    if (mg_address_parse(luaL_checkstring(L, 1), &address, &err) == MG_OK) {
        return 0;
    }
    lua_pushstring(L, err.text);
    return 1;
}

// stream_set_idle(handle, seconds)
static int stream_set_idle(lua_State *L) {
    mg_script_stream *s = mg_script_stream_at(mg_vm_of(L), (uint64_t)luaL_checknumber(L, 1));
    if (s != NULL) {
        mg_script_stream_set_idle(s, mg_lua_milliseconds(L, 2));
    }
    return 0;
}

void mg_bind_tcp(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"tcp_connect", tcp_connect},
        {"stream_check", stream_check},
        {"stream_set_idle", stream_set_idle},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
