// WebSockets that scripts serve. Pair: lua/moongate/core/live (serve.lua, socket.lua), which calls
// these with the handle of a guest (live/guest.h): a stale one answers nil, "closed", or does
// nothing.

#include "base/mem.h"
#include "base/utf8.h"
#include "http/ws_handshake.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/fields.h"
#include "lua/websocket_site.h"
#include "server/kept_record.h"
#include "server/request_body.h"

enum { PROTOCOLS_MAX = 32, TERMS_MAX = 4096 };

// What hosts want to know of the guest's request, and what its answer says: one block.
typedef struct facts {
    mg_ws_verdict verdict; // its protocol lies behind the packed text
    bool by_connect;
    size_t packed_n; // of { params =, headers = }
    char text[];
} facts;

static mg_guest *find(lua_State *L, const mg_vm *vm) {
    const mg_guests *all = vm->services->guests;
    return all != NULL ? mg_guests_get(all, (uint64_t)lua_tonumber(L, 1)) : NULL;
}

static int closed(lua_State *L) {
    return mg_lua_refuse(L, "closed");
}

// --- serving ---

static uint32_t number_field(lua_State *L, const char *key) {
    lua_getfield(L, -1, key);
    double v = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return v <= 0 ? 0 : v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static uint32_t time_field(lua_State *L, const char *key) {
    lua_getfield(L, -1, key);
    uint32_t ms = mg_lua_milliseconds(L, -1);
    lua_pop(L, 1);
    return ms;
}

static bool flag_field(lua_State *L, const char *key) {
    lua_getfield(L, -1, key);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

// Of the table on top; its name is borrowed.
static mg_guest_terms read_terms(lua_State *L) {
    lua_getfield(L, -1, "name");
    mg_str name = mg_lua_str(L, -1);
    lua_pop(L, 1);
    return (mg_guest_terms){
        .name = name,
        .id = number_field(L, "id"),
        .most = number_field(L, "connections"),
        .table = flag_field(L, "table"),
        .renews = flag_field(L, "renews"),
        .limits = {.message_bytes = number_field(L, "max_message"),
                   .rate = number_field(L, "rate"),
                   .idle_ms = time_field(L, "idle"),
                   .ping_ms = time_field(L, "ping"),
                   .skip = flag_field(L, "skip")},
    };
}

// socket_serve(list of { name =, id =, connections =, table =, renews =, max_message =, rate =,
// idle =, ping =, skip = }, pack): these routes are served by this vm from now on, and no others
// are by any. pack(slot) gives the state of the guest in that slot, which it forgets.
static int socket_serve(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_site *s = mg_site_of(vm);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    size_t n = lua_objlen(L, 1);
    luaL_argcheck(L, n <= TERMS_MAX, 1, "too many routes");
    if (s == NULL) {
        return 0;
    }
    lua_pushvalue(L, 2);
    luaL_unref(L, LUA_REGISTRYINDEX, s->pack_ref);
    s->pack_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    mg_guest_terms *terms = lua_newuserdata(L, (n + 1) * sizeof *terms);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (int)i + 1);
        terms[i] = read_terms(L);
        lua_pop(L, 1);
    }
    mg_host_serve(&s->host, terms, n);
    return 0;
}

// socket_part(n) -> true: others serve the routes of more than `n` guests whose state is here
static int socket_part(lua_State *L) {
    mg_site *s = mg_vm_of(L)->site;
    bool more = false;
    if (s != NULL) {
        s->caller = L;
        more = mg_host_part(&s->host, (uint32_t)lua_tointeger(L, 1));
        s->caller = NULL;
    }
    lua_pushboolean(L, more);
    return 1;
}

// socket_claims() -> guests that these scripts have to do with yet
static int socket_claims(lua_State *L) {
    const mg_site *s = mg_vm_of(L)->site;
    lua_pushinteger(L, s != NULL ? (lua_Integer)s->host.claims : 0);
    return 1;
}

// --- opening ---

static bool is_of_handshake(const mg_field *f) {
    return f->id == MG_FIELD_CONNECTION || f->id == MG_FIELD_UPGRADE ||
           (f->name.n > 14 && mg_str_istarts(f->name, MG_STR("sec-websocket-")));
}

// Appends { params =, headers = }, of which the former is at `params`.
static int pack_facts(lua_State *L, mg_exchange *x, int params, mg_buf *out) {
    mg_fields kept;
    mg_fields_init(&kept, &x->arena);
    for (uint32_t i = 0; i < x->head.fields.count; i++) {
        const mg_field *f = &x->head.fields.at[i];
        if (!is_of_handshake(f)) {
            (void)mg_fields_pass(&kept, f);
        }
    }
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, params);
    lua_setfield(L, -2, "params");
    mg_push_fields(L, &kept);
    lua_setfield(L, -2, "headers");
    return mg_json_pack(L, lua_gettop(L), out);
}

static facts *new_facts(const mg_ws_verdict *verdict, bool by_connect, const mg_buf *packed) {
    size_t protocol_n = verdict->protocol.n;
    facts *f = mg_malloc(sizeof *f + packed->n + protocol_n);
    *f = (facts){.verdict = *verdict, .by_connect = by_connect, .packed_n = packed->n};
    memcpy(f->text, packed->p, packed->n);
    if (protocol_n > 0) {
        memcpy(f->text + packed->n, verdict->protocol.p, protocol_n);
    }
    f->verdict.protocol.p = f->text + packed->n;
    return f;
}

static size_t read_protocols(lua_State *L, int index, const char *out[PROTOCOLS_MAX]) {
    size_t n = lua_istable(L, index) ? lua_objlen(L, index) : 0;
    n = n < PROTOCOLS_MAX ? n : PROTOCOLS_MAX;
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        out[i] = lua_tostring(L, -1); // the list keeps it
        lua_pop(L, 1);
    }
    return n;
}

// A HEAD asks for what a GET would be told (RFC 6455 section 4.1: the method is GET).
static bool is_switch(mg_exchange *x) {
    return x->head.method == MG_METHOD_GET && mg_exchange_body_complete(x) &&
           mg_exchange_may_take_over(x, MG_STR("websocket")) == NULL;
}

// socket_new(request, the route's name, protocols or nil, deflate, params) -> handle, protocol or
// nil | nil, "closed" | nil, "full" | nil, message, status: no WebSocket can be made of it
static int socket_new(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    mg_str name = mg_lua_check_str(L, 2);
    mg_site *site = mg_site_of(vm);
    const char *protocols[PROTOCOLS_MAX];
    mg_ws_terms terms = {.protocols = {protocols, read_protocols(L, 3, protocols)},
                         .deflate = lua_toboolean(L, 4)};
    if (x == NULL || site == NULL) {
        return closed(L);
    }
    mg_ws_verdict verdict = {.status = 426, .why = "a WebSocket is served here"};
    if (is_switch(x)) {
        mg_ws_judge(&x->head.fields, x->by_connect, &terms, &verdict);
    }
    if (verdict.status != 0) {
        (void)mg_lua_refuse(L, verdict.why);
        lua_pushinteger(L, (lua_Integer)verdict.status);
        return 3;
    }
    // Nothing behind the packing may raise: there may be no memory for Lua.
    lua_pushlstring(L, verdict.protocol.p, verdict.protocol.n);
    int protocol = lua_gettop(L);
    mg_buf packed = {0};
    if (pack_facts(L, x, 5, &packed) != MG_OK) {
        return mg_lua_refuse(L, lua_tostring(L, -1));
    }
    mg_guest *g;
    int rc = mg_guest_new(&g, &site->host, name);
    if (rc == MG_OK) {
        g->facts = new_facts(&verdict, x->by_connect, &packed);
    }
    mg_buf_deinit(&packed);
    if (rc != MG_OK) { // closed: other scripts serve by now
        return mg_lua_refuse(L, rc == MG_ELIMIT ? "full" : "closed");
    }
    lua_pushnumber(L, (lua_Number)g->handle);
    lua_pushvalue(L, protocol);
    return 2;
}

// The fields of the answer: those of the handshake behind the script's.
static void add_fields(const facts *f, mg_fields *out) {
    const mg_ws_verdict *v = &f->verdict;
    if (!f->by_connect) {
        mg_str accept = {v->accept, sizeof v->accept};
        (void)mg_fields_add(out, MG_STR("Sec-WebSocket-Accept"), accept);
    }
    if (v->protocol.n > 0) {
        (void)mg_fields_add(out, MG_STR("Sec-WebSocket-Protocol"), v->protocol);
    }
    if (v->extensions.n > 0) {
        (void)mg_fields_add(out, MG_STR("Sec-WebSocket-Extensions"), v->extensions);
    }
}

// socket_open(handle, request, fields, coroutine) -> true | nil, message. The exchange is over
// then. Of a coroutine the request goes on until socket_done.
static int socket_open(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_guest *g = find(L, vm);
    mg_exchange *x = mg_vm_exchange(L, vm, 2);
    if (g == NULL || x == NULL || mg_exchange_committed(x)) {
        return closed(L);
    }
    const facts *f = g->facts;
    mg_answer a = {.status = f->by_connect ? 200 : 101};
    mg_fields_init(&a.fields, &x->arena);
    const char *wrong = lua_istable(L, 3) ? mg_read_fields(L, 3, &a.fields) : NULL;
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    add_fields(f, &a.fields);
    lua_pushboolean(L, 1);
    g->record = mg_exchange_keep_record(x, a.status);
    if (lua_toboolean(L, 4)) {
        g->request = x->app_handle;
        mg_guest_hand_over(g);
        mg_request_drop_relay(x);
        mg_vm_part_with_exchange(vm, x);
    } else {
        mg_vm_release_exchange(vm, x);
    }
    mg_socket_opening(&g->socket, f->verdict.window_bits);
    mg_exchange_take_over(x, &a, MG_STR("websocket"), &g->socket.tunnel);
    mg_socket_opened(&g->socket);
    return 1;
}

// socket_drop(handle): it was not opened.
static int socket_drop(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    if (g != NULL && g->phase == MG_GUEST_OPENING) {
        mg_guest_drop(g);
    }
    return 0;
}

// socket_done(handle): what was told of it, or its opening, is handled; a coroutine: that has
// ended. Makes nothing in Lua, so that it cannot fail.
static int socket_done(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_guest *g = find(L, vm);
    if (g != NULL) {
        if (g->request != 0) {
            mg_vm_forget(vm, g->request);
            g->request = 0;
        }
        mg_guest_done(g);
    }
    return 0;
}

// --- messages ---

static mg_guest_op *start_op(mg_vm *vm, mg_guest *g, const mg_op_kind *kind) {
    mg_guest_op *o = mg_calloc(1, sizeof *o);
    o->guest = g;
    mg_op_start(vm, &o->op, kind);
    return o;
}

// socket_send(handle, data, binary) -> true | false: taken, but wait before the next | nil,
// "closed" | nil, "utf-8": it is to be text, and is none
static int socket_send(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    mg_str data = mg_lua_check_str(L, 2);
    mg_packet_kind kind = lua_toboolean(L, 3) ? MG_PACKET_BINARY : MG_PACKET_TEXT;
    if (kind == MG_PACKET_TEXT && !mg_utf8_valid(data)) {
        return mg_lua_refuse(L, "utf-8");
    }
    if (g == NULL || g->code != 0) {
        return closed(L);
    }
    int rc = mg_socket_send(&g->socket, kind, data);
    if (rc == MG_ECLOSED) {
        return closed(L);
    }
    lua_pushboolean(L, rc == MG_OK);
    return 1;
}

// socket_room(handle) -> operation: done when nothing waits for the peer | nil: nothing does, or it
// is closed, or somebody waits for that already
static int socket_room(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_guest *g = find(L, vm);
    if (g == NULL || g->code != 0 || g->writer != NULL || mg_socket_backlog(&g->socket) == 0) {
        return closed(L);
    }
    mg_guest_op *w = start_op(vm, g, &mg_room_kind);
    g->writer = w;
    lua_pushnumber(L, (lua_Number)w->op.handle);
    return 1;
}

// Pushes true, the first message and its kind, and drops it. 0 values: there is none.
static int push_received(lua_State *L, mg_guest *g) {
    mg_guest_event e;
    if (!mg_guest_look(g, &e)) {
        return 0;
    }
    lua_pushboolean(L, 1);
    mg_lua_push_str(L, e.data);
    mg_site_push_kind(L, e.type);
    mg_guest_drop_message(g);
    return 3;
}

// socket_receive(handle) -> true, data, kind | operation: ask again when it is done | nil, "closed"
// | nil, "busy": somebody else is receiving
static int socket_receive(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_guest *g = find(L, vm);
    if (g == NULL || g->table) {
        return closed(L);
    }
    if (g->reader != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    g->reads = true;
    int n = push_received(L, g);
    if (n == 0) {
        mg_socket_conclude(&g->socket); // all that came is handled
    }
    if (n > 0 || g->code != 0) {
        return n > 0 ? n : closed(L);
    }
    mg_guest_op *r = start_op(vm, g, &mg_receive_kind);
    g->reader = r;
    lua_pushnumber(L, (lua_Number)r->op.handle);
    return 1;
}

// socket_close(handle, code, reason)
static int socket_close(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    if (g != NULL && g->code == 0) {
        mg_socket_close(&g->socket, (uint16_t)lua_tointeger(L, 2), mg_lua_str(L, 3));
    }
    return 0;
}

// socket_leave(handle): these scripts go, and the coroutine that has it with them
static int socket_leave(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    if (g != NULL) {
        mg_guest_leave(g);
    }
    return 0;
}

// socket_ping(handle, data)
static int socket_ping(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    if (g != NULL && g->code == 0) {
        (void)mg_socket_ping(&g->socket, mg_lua_check_str(L, 2));
    }
    return 0;
}

// --- what is known of it ---

// socket_facts(handle) -> { params =, headers = }, protocol or nil | nil, "closed"
static int socket_facts(lua_State *L) {
    const mg_guest *g = find(L, mg_vm_of(L));
    if (g == NULL) {
        return closed(L);
    }
    const facts *f = g->facts;
    if (mg_json_unpack(L, (mg_str){f->text, f->packed_n}) != MG_OK) {
        return lua_error(L); // it was made here
    }
    mg_str protocol = f->verdict.protocol;
    return protocol.n > 0 ? 1 + mg_lua_push_str(L, protocol) : 1;
}

// socket_state(handle) -> what other scripts have left, once; nil: nothing
static int socket_state(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    if (g == NULL || g->state.n == 0) {
        return 0;
    }
    if (mg_json_unpack(L, mg_buf_str(&g->state)) != MG_OK) {
        return lua_error(L); // it was made here
    }
    mg_buf_deinit(&g->state);
    return 1;
}

// --- topics ---

// socket_subscribe(handle, topic) -> true | nil, "closed" | nil, message, "limit"
static int socket_subscribe(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    mg_str topic = mg_lua_check_str(L, 2);
    mg_error err;
    if (g == NULL || g->code != 0) {
        return closed(L);
    }
    if (mg_topics_subscribe(&g->subscriber, topic, &err) != MG_OK) {
        (void)mg_lua_refuse(L, err.text);
        lua_pushliteral(L, "limit");
        return 3;
    }
    lua_pushboolean(L, 1);
    return 1;
}

// socket_unsubscribe(handle, topic) -> whether it was subscribed
static int socket_unsubscribe(lua_State *L) {
    mg_guest *g = find(L, mg_vm_of(L));
    mg_str topic = mg_lua_check_str(L, 2);
    lua_pushboolean(L, g != NULL && mg_topics_unsubscribe(&g->subscriber, topic));
    return 1;
}

// socket_publish(handle, topic, data, binary, to itself too) -> true | nil, message, "limit"
static int socket_publish(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_guest *g = find(L, vm);
    mg_error err;
    const mg_publication m = {
        .kind = lua_toboolean(L, 4) ? MG_PACKET_BINARY : MG_PACKET_TEXT,
        .payload = mg_lua_check_str(L, 3),
    };
    mg_subscriber *except = g != NULL && !lua_toboolean(L, 5) ? &g->subscriber : NULL;
    mg_topics *topics = vm->services->topics;
    if (topics == NULL) {
        return closed(L);
    }
    if (mg_topics_publish(topics, mg_lua_check_str(L, 2), &m, except, &err) != MG_OK) {
        (void)mg_lua_refuse(L, err.text);
        lua_pushliteral(L, "limit");
        return 3;
    }
    lua_pushboolean(L, 1);
    return 1;
}

void mg_bind_websocket(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"socket_serve", socket_serve},
        {"socket_part", socket_part},
        {"socket_claims", socket_claims},
        {"socket_new", socket_new},
        {"socket_open", socket_open},
        {"socket_drop", socket_drop},
        {"socket_done", socket_done},
        {"socket_send", socket_send},
        {"socket_room", socket_room},
        {"socket_receive", socket_receive},
        {"socket_close", socket_close},
        {"socket_leave", socket_leave},
        {"socket_ping", socket_ping},
        {"socket_facts", socket_facts},
        {"socket_state", socket_state},
        {"socket_subscribe", socket_subscribe},
        {"socket_unsubscribe", socket_unsubscribe},
        {"socket_publish", socket_publish},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
