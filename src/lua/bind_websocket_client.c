// WebSockets that scripts open. Pair: lua/moongate/websocket.lua, which calls these with a socket's
// handle. A stale handle answers nil, "closed".
//
// The way to one is a call of the HTTP client that asks for another protocol: names, rules, TLS,
// time limits and pools are the client's. Once it has switched, the socket (live/socket.h) has the
// connection.

#include "base/mem.h"
#include "client/call.h"
#include "http/status.h"
#include "http/ws_deflate.h"
#include "http/ws_handshake.h"
#include "live/socket.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/client_request.h"
#include "lua/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    HELD_BYTES = 64 * 1024, // of messages that nobody takes, before the server has to wait
    PROTOCOLS_MAX = 32,
};

typedef struct message {
    mg_link link;
    bool binary;
    size_t n;
    char bytes[];
} message;

typedef enum wait_kind { WAIT_NEWS, WAIT_ROOM, WAIT_END, WAIT_COUNT } wait_kind;
typedef struct wait_op wait_op;

// Lives until the scripts have released it and its socket has ended, whichever comes last.
typedef struct remote {
    mg_socket socket;
    mg_ws_deflate *deflate; // NULL: not offered
    mg_vm_hold hold;
    mg_vm *vm;       // NULL: released
    uint64_t handle; // among vm->remotes
    mg_link messages;
    size_t held;
    wait_op *waits[WAIT_COUNT];
    size_t burst; // bytes sent since the loop last turned for this socket
    mg_buf reason;
    uint16_t code; // of its end; 0: it has not ended
} remote;

struct wait_op {
    mg_op op;
    remote *remote; // NULL: it has come, or the remote is gone
    wait_kind what;
    uint16_t code; // of the end, when it was told
};

static int closed(lua_State *L) {
    return mg_lua_refuse(L, "closed");
}

static remote *find(lua_State *L, const mg_vm *vm) {
    return mg_slots_get(&vm->remotes, (uint64_t)lua_tonumber(L, 1));
}

// --- waiting ---

static void tell(remote *r, wait_kind what) {
    wait_op *w = r->waits[what];
    if (w != NULL) {
        r->waits[what] = NULL;
        w->remote = NULL;
        w->code = r->code;
        mg_op_finish(&w->op);
    }
}

static void tell_all(remote *r) {
    tell(r, WAIT_NEWS);
    tell(r, WAIT_ROOM);
    tell(r, WAIT_END);
}

static int push_nothing(lua_State *L, mg_op *op) {
    (void)op; // whoever waited looks again
    lua_pushboolean(L, 1);
    return 1;
}

static int push_code(lua_State *L, mg_op *op) {
    lua_pushboolean(L, 1);
    lua_pushinteger(L, ((const wait_op *)op)->code);
    return 2;
}

static void cancel_wait(mg_op *op) {
    const wait_op *w = (const wait_op *)op;
    if (w->remote != NULL) {
        w->remote->waits[w->what] = NULL;
    }
}

static void release_wait(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind wait_kinds[] = {
    [WAIT_NEWS] = {"websocket receive", push_nothing, cancel_wait, release_wait},
    [WAIT_ROOM] = {"websocket send", push_nothing, cancel_wait, release_wait},
    [WAIT_END] = {"websocket end", push_code, cancel_wait, release_wait},
};

// Pushes an operation that ends once there is something to look at. Nobody else waits for that.
static wait_op *push_wait(lua_State *L, remote *r, wait_kind what) {
    wait_op *w = mg_calloc(1, sizeof *w);
    w->what = what;
    w->remote = r;
    mg_op_start(r->vm, &w->op, &wait_kinds[what]);
    r->waits[what] = w;
    lua_pushnumber(L, (lua_Number)w->op.handle);
    return w;
}

// --- life ---

static void free_remote(remote *r) {
    while (!mg_link_alone(&r->messages)) {
        message *m = MG_OF(r->messages.next, message, link);
        mg_link_remove(&m->link);
        mg_free(m);
    }
    mg_socket_deinit(&r->socket);
    mg_ws_deflate_free(r->deflate);
    mg_buf_deinit(&r->reason);
    mg_free(r);
}

// The scripts have nothing to do with it any more. What is open says goodbye, and stays until the
// server has answered, or did not in time.
static void release(remote *r) {
    tell_all(r);
    mg_slots_remove(&r->vm->remotes, r->handle);
    mg_link_remove(&r->hold.link);
    r->vm = NULL;
    if (r->code == 0 && r->socket.state != MG_SOCKET_WAITING) {
        mg_socket_close(&r->socket, MG_WS_GOING_AWAY, (mg_str){NULL, 0}); // may be its end
    } else {
        free_remote(r);
    }
}

static void drop(mg_vm_hold *h) {
    release(MG_OF(h, remote, hold));
}

// --- what the socket tells ---

static remote *of(mg_socket *s) {
    return MG_OF(s, remote, socket);
}

static void on_message(mg_socket *s, mg_packet_kind kind, mg_str data) {
    remote *r = of(s);
    if (r->vm == NULL) {
        return;
    }
    message *m = mg_malloc(sizeof *m + data.n);
    m->binary = kind == MG_PACKET_BINARY;
    m->n = data.n;
    if (data.n > 0) {
        memcpy(m->bytes, data.p, data.n);
    }
    mg_link_append(&r->messages, &m->link);
    r->held += sizeof *m + data.n;
    if (r->held > HELD_BYTES) {
        mg_socket_pause(s);
    }
    tell(r, WAIT_NEWS);
}

static void on_drained(mg_socket *s) {
    tell(of(s), WAIT_ROOM);
}

static void on_stop(mg_socket *s) {
    (void)s; // only the script knows where its talk may end: it has the drain's time
}

static void on_closed(mg_socket *s, uint16_t code, mg_str reason) {
    remote *r = of(s);
    if (r->vm == NULL) {
        free_remote(r);
        return;
    }
    r->code = code;
    mg_buf_append_str(&r->reason, reason);
    mg_socket_deinit(s); // its deadlines and buffers go now, not with the script's last look
    tell_all(r);
}

static const mg_socket_events events = {
    .on_message = on_message, .on_drained = on_drained, .on_stop = on_stop, .on_closed = on_closed};

// --- connecting ---

typedef struct connect_op {
    mg_op op;
    mg_call *call;
    remote *remote; // NULL: told
    mg_arena arena; // what was offered, what was answered
    mg_ws_offer offer;
    mg_ws_answer answer;
    bool over;         // it has finished
    mg_fields fields;  // of the answer
    int status;        // of an answer that makes no WebSocket
    const char *wrong; // static: what is wrong with one that would
    char rest[];       // of the URL behind "ws", as behind "http"
} connect_op;

// Whether the answer makes a WebSocket: what both have agreed on is noted then.
static bool check(connect_op *c, const mg_response *r) {
    mg_ws_offer offer = c->offer;
    if (r->status != 101) {
        offer.key = (mg_str){NULL, 0}; // by extended CONNECT
    }
    c->wrong = mg_ws_check(&r->head.fields, &offer, &c->answer);
    mg_fields_init(&c->fields, &c->arena);
    (void)mg_fields_copy(&c->fields, &r->head.fields);
    return c->wrong == NULL;
}

static void on_change(void *arg, mg_call *call) {
    connect_op *c = arg;
    if (c->over || mg_call_state_of(call) < MG_CALL_BODY) {
        return; // what else comes of an answer is nobody's
    }
    c->over = true;
    if (mg_call_has_switched(call) && check(c, mg_call_response(call))) {
        mg_socket_opening(&c->remote->socket, c->answer.deflate ? MG_WS_WINDOW_BITS : 0);
        c->call = NULL;
        mg_call_take_over(call, &c->remote->socket.tunnel);
        mg_socket_opened(&c->remote->socket);
    } else if (mg_call_state_of(call) != MG_CALL_FAILED && c->wrong == NULL) {
        c->status = mg_call_response(call)->status;
    }
    mg_op_finish(&c->op);
}

static int push_refusal(lua_State *L, const connect_op *c) {
    const mg_call_fault *f = c->call != NULL ? mg_call_fault_of(c->call) : NULL;
    char text[512];
    if (f != NULL) {
        return mg_lua_push_failure(L, f->code, f->text);
    }
    if (c->wrong != NULL) {
        snprintf(text, sizeof text, "ws%.300s: %s", c->rest, c->wrong);
    } else {
        mg_str phrase = mg_status_phrase(c->status);
        snprintf(text, sizeof text,
                 "ws%.300s: the server answered with %d %.*s, and made no WebSocket", c->rest,
                 c->status, (int)phrase.n, phrase.p);
    }
    (void)mg_lua_push_failure(L, "protocol", text);
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, c->status);
    lua_setfield(L, -2, "answered");
    return 4;
}

// Pushes the socket's handle, the protocol and the answer's fields as a table; of a refusal the
// answer's status.
static int push_connected(lua_State *L, mg_op *op) {
    connect_op *c = (connect_op *)op;
    if (c->remote->socket.state == MG_SOCKET_WAITING) {
        return push_refusal(L, c);
    }
    lua_pushboolean(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushnumber(L, (lua_Number)c->remote->handle);
    lua_setfield(L, -2, "handle");
    mg_lua_push_str(L, c->answer.protocol);
    lua_setfield(L, -2, "protocol");
    mg_push_fields(L, &c->fields);
    lua_setfield(L, -2, "headers");
    c->remote = NULL;
    return 2;
}

static void cancel_connect(mg_op *op) {
    (void)op; // the release right behind it does
}

static void release_connect(mg_op *op) {
    connect_op *c = (connect_op *)op;
    mg_call_close(c->call);
    if (c->remote != NULL) {
        release(c->remote);
    }
    mg_arena_deinit(&c->arena);
    mg_free(c);
}

static const mg_op_kind connect_kind = {"websocket.connect", push_connected, cancel_connect,
                                        release_connect};
static const mg_call_events call_events = {.on_change = on_change};

// --- what is asked for ---

static double number_option(lua_State *L, const char *key) {
    lua_getfield(L, 5, key);
    double v = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return v;
}

static uint32_t time_option(lua_State *L, const char *key) {
    lua_getfield(L, 5, key);
    uint32_t ms = mg_lua_milliseconds(L, -1);
    lua_pop(L, 1);
    return ms;
}

static mg_texts read_protocols(lua_State *L, mg_arena *arena) {
    const char **items = mg_arena_alloc(arena, PROTOCOLS_MAX * sizeof *items);
    mg_texts list = {.items = items};
    lua_getfield(L, 5, "protocols");
    size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    for (; list.n < n && list.n < PROTOCOLS_MAX; list.n++) {
        lua_rawgeti(L, -1, (int)list.n + 1);
        items[list.n] = mg_arena_copy(arena, mg_lua_str(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return list;
}

static mg_str draw_key(mg_arena *arena) {
    uint8_t random[MG_WS_KEY_BYTES];
    char *text = mg_arena_alloc(arena, MG_WS_KEY_TEXT);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        abort(); // so few are given whole, or the kernel has none
    }
    mg_ws_key(random, text);
    return (mg_str){text, MG_WS_KEY_TEXT};
}

static remote *new_remote(lua_State *L, mg_vm *vm, bool deflate) {
    remote *r = mg_calloc(1, sizeof *r);
    const mg_socket_limits limits = {
        .message_bytes = (size_t)number_option(L, "max_message"),
        .idle_ms = time_option(L, "idle"),
        .ping_ms = time_option(L, "ping"),
        .close_ms = time_option(L, "close_timeout"),
        .outbox_bytes = MG_BURST_BYTES,
    };
    r->deflate = deflate ? mg_ws_deflate_new() : NULL;
    mg_socket_kind *kind = mg_socket_kind_new(vm->loop, &limits, r->deflate);
    mg_socket_init(&r->socket, &events, kind, true);
    mg_socket_kind_unref(kind);
    mg_link_init(&r->messages);
    r->vm = vm;
    r->handle = mg_slots_add(&vm->remotes, r);
    r->hold.drop = drop;
    mg_link_append(&vm->holds, &r->hold.link);
    return r;
}

static connect_op *new_connect(lua_State *L, mg_str url) {
    connect_op *c = mg_calloc(1, sizeof *c + url.n + 1);
    mg_str_skip(&url, strlen("http"));
    memcpy(c->rest, url.p, url.n);
    lua_getfield(L, 5, "deflate");
    c->offer.deflate = lua_toboolean(L, -1);
    lua_pop(L, 1);
    c->offer.key = draw_key(&c->arena);
    c->offer.protocols = read_protocols(L, &c->arena);
    return c;
}

// websocket_connect("GET", url, headers, nil, options) -> operation | nil, why. The options are
// those of http_call, and protocols, deflate, max_message, idle, ping, close_timeout, all checked.
static int websocket_connect(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_call_options options;
    mg_arena arena = {0};
    char text[256];
    lua_settop(L, 5);
    if (vm->services->client == NULL) {
        return mg_lua_refuse(L, "there is no network here");
    }
    const char *fault = mg_client_request_read(L, &arena, &options, text);
    if (fault != NULL) {
        mg_arena_deinit(&arena);
        return mg_lua_refuse(L, fault);
    }
    connect_op *c = new_connect(L, mg_lua_str(L, 2));
    options.protocol = MG_STR("websocket");
    options.stream = true;                       // its head is waited for as long as `timeout` says
    (void)mg_ws_ask(&c->offer, &options.fields); // behind the last look at their size
    mg_op_start(vm, &c->op, &connect_kind);
    c->remote = new_remote(L, vm, c->offer.deflate);
    mg_call_start(&c->call, vm->services->client, &options, &call_events, c);
    mg_arena_deinit(&arena);
    lua_pushnumber(L, (lua_Number)c->op.handle);
    return 1;
}

// --- receiving ---

static int push_message(lua_State *L, remote *r) {
    message *m = MG_OF(r->messages.next, message, link);
    lua_pushboolean(L, 1);
    lua_pushlstring(L, m->bytes, m->n);
    lua_pushstring(L, m->binary ? "binary" : "text");
    mg_link_remove(&m->link);
    r->held -= sizeof *m + m->n;
    mg_free(m);
    if (r->code == 0 && r->held <= HELD_BYTES / 2) {
        mg_socket_resume(&r->socket);
    }
    return 3;
}

// websocket_receive(handle) -> true, data, "text" or "binary" | false, code, reason: it has ended |
// operation, behind which it is asked again | nil, "closed" | nil, "busy": somebody else waits
static int websocket_receive(lua_State *L) {
    remote *r = find(L, mg_vm_with_room(L));
    if (r == NULL) {
        return closed(L);
    }
    if (r->waits[WAIT_NEWS] != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    if (!mg_link_alone(&r->messages)) {
        return push_message(L, r);
    }
    if (r->code != 0) {
        lua_pushboolean(L, 0);
        lua_pushinteger(L, r->code);
        mg_lua_push_str(L, mg_buf_str(&r->reason));
        return 3;
    }
    (void)push_wait(L, r, WAIT_NEWS);
    return 1;
}

// --- sending ---

// websocket_send(handle, data, binary) -> true | false: taken, but wait before the next | nil,
// "closed". Text is UTF-8.
static int websocket_send(lua_State *L) {
    remote *r = find(L, mg_vm_of(L));
    mg_str data = mg_lua_check_str(L, 2);
    mg_packet_kind kind = lua_toboolean(L, 3) ? MG_PACKET_BINARY : MG_PACKET_TEXT;
    int rc = r != NULL ? mg_socket_send(&r->socket, kind, data) : MG_ECLOSED;
    if (rc == MG_ECLOSED) {
        return closed(L);
    }
    // A server that takes all at once must not keep the loop from its other sockets.
    r->burst += data.n;
    lua_pushboolean(L, rc == MG_OK && r->burst < MG_BURST_BYTES);
    return 1;
}

// websocket_room(handle) -> operation: what was sent has left, or the socket has ended | nil,
// "closed" | nil, "busy"
static int websocket_room(lua_State *L) {
    remote *r = find(L, mg_vm_with_room(L));
    if (r == NULL || r->code != 0) {
        return closed(L);
    }
    if (r->waits[WAIT_ROOM] != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    wait_op *w = push_wait(L, r, WAIT_ROOM);
    r->burst = 0;
    if (mg_socket_backlog(&r->socket) == 0) {
        r->waits[WAIT_ROOM] = NULL;
        w->remote = NULL;
        mg_op_finish_later(&w->op);
    }
    return 1;
}

// websocket_ping(handle, data) -> true | nil, "closed"
static int websocket_ping(lua_State *L) {
    remote *r = find(L, mg_vm_of(L));
    if (r == NULL || mg_socket_ping(&r->socket, mg_lua_check_str(L, 2)) == MG_ECLOSED) {
        return closed(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

// --- ending ---

// websocket_close(handle, code, reason): begins the closing handshake.
static int websocket_close(lua_State *L) {
    remote *r = find(L, mg_vm_of(L));
    if (r != NULL && r->code == 0) {
        mg_socket_close(&r->socket, (uint16_t)luaL_checkinteger(L, 2), mg_lua_check_str(L, 3));
    }
    return 0;
}

// websocket_ended(handle) -> operation of the code of its end | nil, "closed" | nil, "busy"
static int websocket_ended(lua_State *L) {
    remote *r = find(L, mg_vm_with_room(L));
    if (r == NULL) {
        return closed(L);
    }
    if (r->waits[WAIT_END] != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    (void)push_wait(L, r, WAIT_END);
    if (r->code != 0) {
        tell(r, WAIT_END);
    }
    return 1;
}

// websocket_release(handle): the scripts forget it. Makes nothing in Lua, so that it cannot fail.
static int websocket_release(lua_State *L) {
    remote *r = find(L, mg_vm_of(L));
    if (r != NULL) {
        release(r);
    }
    return 0;
}

void mg_bind_websocket_client(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"websocket_connect", websocket_connect},
        {"websocket_receive", websocket_receive},
        {"websocket_send", websocket_send},
        {"websocket_room", websocket_room},
        {"websocket_ping", websocket_ping},
        {"websocket_close", websocket_close},
        {"websocket_ended", websocket_ended},
        {"websocket_release", websocket_release},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
