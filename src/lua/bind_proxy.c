// ctx:proxy: lua/moongate/core/request/proxied.lua calls these with the exchange's handle.
//
// Two operations: the first waits for the server's head, the second, once the answer is committed,
// for its end. Between them the relay stands beside the request, staged; whatever else answers
// drops it (mg_request_drop_relay).

#include "base/mem.h"
#include "http/uri.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/fields.h"
#include "proxy/relay.h"

// Of proxy_start: where what it is told stands on the stack.
enum {
    AT_HANDLE = 1,
    AT_UPSTREAM,
    AT_PATH,
    AT_STRIP,
    AT_HOST,
    AT_SET,
    AT_REMOVED,
    AT_BUFFER,
    AT_BODY,
    AT_CONNECT,
    AT_FIRST_BYTE,
    AT_IDLE,
    AT_TOTAL,
};

typedef struct head_op head_op;
typedef struct end_op end_op;

// A relay that a script began; in the exchange's arena.
struct mg_script_relay {
    mg_vm *vm;
    mg_exchange *x;
    mg_relay *relay;      // NULL: it is over
    mg_relay_fault fault; // why, if that came behind the head; status 0: there is none
    head_op *head;        // waits for the head
    end_op *end;          // waits for the end; the request's write_op
    bool *over;           // while it is being sent: whether it came to its end meanwhile
    mg_forward_rules rules;
    mg_fields set, removed;
    mg_upstream_server_options server; // of a URL
};

struct head_op {
    mg_op op;
    mg_script_relay *of; // NULL: it has an outcome, or the client has left
    int status;          // of the head, or of the fault
    const char *fault;   // for the client; NULL: the head is there
    uint32_t retry_after;
    bool lost; // another answer has been given
};

struct end_op {
    mg_request_op of;
    mg_script_relay *relay; // NULL: it is over
    bool whole;
};

// --- the head ---

static void finish_head(mg_script_relay *s) {
    head_op *h = s->head;
    s->head = NULL;
    h->of = NULL;
    mg_op_finish(&h->op);
}

static void lose_head(mg_script_relay *s) {
    if (s->head != NULL) {
        s->head->lost = true;
        finish_head(s);
    }
}

// The client has left: what waits for the head is about to be cancelled with the request's scope.
static void leave_head(mg_script_relay *s) {
    if (s->head != NULL) {
        s->head->of = NULL;
        s->head = NULL;
    }
}

static void on_head(void *arg, mg_relay *r) {
    mg_script_relay *s = arg;
    s->head->status = mg_relay_status(r);
    finish_head(s);
}

static void on_fault(void *arg, const mg_relay_fault *fault) {
    mg_script_relay *s = arg;
    s->relay = NULL;
    if (s->head == NULL) { // the server was lost while its answer was staged
        s->fault = *fault;
        return;
    }
    s->head->status = fault->status;
    s->head->fault = fault->reason;
    s->head->retry_after = fault->retry_after;
    finish_head(s);
}

static void push_retry_after(lua_State *L, uint32_t seconds) {
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, (lua_Integer)seconds);
    lua_tostring(L, -1);
    lua_setfield(L, -2, "Retry-After");
}

static int push_head(lua_State *L, mg_op *op) {
    const head_op *h = (const head_op *)op;
    if (h->lost) {
        return mg_lua_push_failure(L, "closed", "the request is over");
    }
    if (h->fault == NULL) {
        lua_pushboolean(L, 1);
        lua_pushinteger(L, h->status);
        return 2;
    }
    mg_lua_push_failure(L, "status", h->fault);
    lua_createtable(L, 0, 4); // `where` comes along
    lua_pushinteger(L, h->status);
    lua_setfield(L, -2, "status");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "told"); // the relay has logged what it was
    if (h->retry_after > 0) {
        push_retry_after(L, h->retry_after);
        lua_setfield(L, -2, "fields");
    }
    return 4;
}

static void drop(mg_script_relay *s) {
    mg_relay *r = s->relay;
    s->relay = NULL;
    if (r != NULL) {
        mg_relay_drop(r);
    }
}

static void cancel_head(mg_op *op) {
    head_op *h = (head_op *)op;
    if (h->of != NULL) {
        h->of->head = NULL;
        drop(h->of);
    }
}

static void release(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind head_kind = {"proxy", push_head, cancel_head, release};

// --- the end ---

// `x` is over with it, and no one's any more.
static void finish_end(mg_script_relay *s, bool whole) {
    end_op *e = s->end;
    s->end = NULL;
    if (e == NULL) {
        return;
    }
    mg_request_of(s->x)->write_op = NULL;
    e->relay = NULL;
    e->of.x = NULL;
    e->whole = whole;
    mg_op_finish(&e->of.op);
}

static void on_end(void *arg, bool whole) {
    mg_script_relay *s = arg;
    s->relay = NULL;
    if (s->over != NULL) {
        *s->over = true;
    }
    leave_head(s);
    finish_end(s, whole);
    if (s->x->app != NULL) { // else the client has left, which the app is about to be told
        mg_vm_release_exchange(s->vm, s->x);
    }
}

static const mg_relay_events relay_events = {on_head, on_fault, on_end};

static int push_end(lua_State *L, mg_op *op) {
    if (!((const end_op *)op)->whole) {
        return mg_lua_push_failure(L, "closed", "the answer was broken off");
    }
    lua_pushboolean(L, 1);
    return 1;
}

// Nobody waits any longer: the answer goes on, until somebody gives it up.
static void cancel_end(mg_op *op) {
    end_op *e = (end_op *)op;
    if (e->relay != NULL) {
        mg_request_of(e->of.x)->write_op = NULL;
        e->relay->end = NULL;
    }
}

static void on_end_lost(mg_request_op *o) {
    end_op *e = (end_op *)o;
    e->relay->end = NULL;
    e->relay = NULL;
}

static const mg_op_kind end_kind = {"proxy_answer", push_end, cancel_end, release};

// --- starting ---

static mg_str kept_text(lua_State *L, int index, mg_arena *arena) {
    mg_str s = {0};
    if (lua_type(L, index) == LUA_TSTRING) {
        s = mg_lua_str(L, index);
        s.p = mg_arena_copy(arena, s);
    }
    return s;
}

// Copies the list at `index`, if it is one, into the arena.
static const char *keep_fields(lua_State *L, int index, mg_fields *out, mg_arena *arena) {
    mg_fields borrowed;
    mg_fields_init(out, arena);
    mg_fields_init(&borrowed, arena);
    if (!lua_istable(L, index)) {
        return NULL;
    }
    const char *wrong = mg_read_fields(L, index, &borrowed);
    if (wrong == NULL && mg_fields_copy(out, &borrowed) != MG_OK) {
        wrong = "the header fields are larger than 1 MiB";
    }
    return wrong;
}

static const char *read_rules(lua_State *L, mg_script_relay *s) {
    mg_arena *arena = &s->x->arena;
    const char *wrong = keep_fields(L, AT_SET, &s->set, arena);
    wrong = wrong != NULL ? wrong : keep_fields(L, AT_REMOVED, &s->removed, arena);
    s->rules = (mg_forward_rules){
        .strip = kept_text(L, AT_STRIP, arena),
        .path = kept_text(L, AT_PATH, arena),
        .host = kept_text(L, AT_HOST, arena),
        .set = s->set.count > 0 ? &s->set : NULL,
        .removed = s->removed.count > 0 ? &s->removed : NULL,
    };
    return wrong;
}

static mg_script_relay *new_script_relay(mg_vm *vm, mg_exchange *x) {
    mg_script_relay *s = mg_arena_alloc(&x->arena, sizeof *s);
    *s = (mg_script_relay){.vm = vm, .x = x};
    return s;
}

// No upstream's name has a colon, which is quicker to look for.
static bool is_url(mg_str s) {
    return memchr(s.p, ':', s.n) != NULL && memmem(s.p, s.n, "://", 3) != NULL;
}

// The server of a URL, of which only scheme, host and port count.
static const char *read_server(lua_State *L, mg_script_relay *s) {
    mg_arena *a = &s->x->arena;
    mg_uri uri;
    const char *wrong = NULL;
    mg_str url = kept_text(L, AT_UPSTREAM, a);
    if (mg_uri_parse(url, a, &uri, &wrong) != MG_OK) {
        return wrong;
    }
    mg_buf text = {0};
    mg_buf_append_str(&text, uri.tls ? MG_STR("https://") : MG_STR("http://"));
    mg_buf_append_str(&text, uri.authority);
    s->server = (mg_upstream_server_options){
        .url = mg_arena_copy(a, mg_buf_str(&text)),
        .host = mg_arena_copy(a, uri.host),
        .weight = 1,
        .port = uri.port,
        .tls = uri.tls,
    };
    mg_buf_deinit(&text);
    return NULL;
}

// NULL, or what hinders it: nothing has been begun then.
static const char *start(lua_State *L, mg_script_relay *s, mg_upstream *u) {
    mg_exchange *x = s->x;
    bool has_body = lua_type(L, AT_BODY) == LUA_TSTRING;
    bool by_url = is_url(mg_lua_str(L, AT_UPSTREAM));
    const char *wrong = by_url ? read_server(L, s) : NULL;
    wrong = wrong != NULL ? wrong : read_rules(L, s);
    if (wrong != NULL) {
        return wrong;
    }
    if (mg_request_of(x)->body_op != NULL || (!has_body && x->body_received > x->content.n)) {
        return "the request's body has been read: give it as the option body";
    }
    s->head = mg_calloc(1, sizeof *s->head);
    s->head->of = s;
    mg_op_start(s->vm, &s->head->op, &head_kind);
    mg_request_of(x)->relay = s;
    s->relay = mg_relay_start(&(mg_relay_options){
        .exchange = x,
        .upstream = u,
        .server = by_url ? &s->server : NULL,
        .rules = &s->rules,
        .timeouts = {mg_lua_milliseconds(L, AT_CONNECT), mg_lua_milliseconds(L, AT_FIRST_BYTE),
                     mg_lua_milliseconds(L, AT_IDLE), mg_lua_milliseconds(L, AT_TOTAL)},
        .buffer = lua_toboolean(L, AT_BUFFER),
        .has_body = has_body,
        .body = kept_text(L, AT_BODY, &x->arena),
        .events = &relay_events,
        .arg = s,
    });
    return NULL;
}

// proxy_start(handle, upstream or URL of a server, path, strip, host, fields set, names removed,
// whether the body is buffered, body, and seconds to connect, to the first byte, between two pieces
// and for all of it; nil: as it is)
// -> operation of the status | nil, message | nil, "closed" | nil, "unknown": no such upstream, or
// no server may be asked by its URL
static int proxy_start(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_exchange *x = mg_vm_exchange(L, vm, AT_HANDLE);
    lua_settop(L, AT_TOTAL);
    if (x == NULL || mg_exchange_committed(x)) {
        return mg_lua_refuse(L, "closed");
    }
    mg_upstreams *all = vm->services->upstreams;
    mg_str name = mg_lua_str(L, AT_UPSTREAM);
    mg_upstream *u = is_url(name) ? mg_upstreams_open(all) : mg_upstreams_find(all, name);
    if (u == NULL) {
        return mg_lua_refuse(L, "unknown");
    }
    mg_request_drop_relay(x);
    mg_script_relay *s = new_script_relay(vm, x);
    const char *wrong = start(L, s, u);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    lua_pushnumber(L, (lua_Number)s->head->op.handle);
    return 1;
}

// upstream_names() -> a list
static int upstream_names(lua_State *L) {
    const mg_upstreams *all = mg_vm_of(L)->services->upstreams;
    mg_upstream *u = NULL;
    lua_newtable(L);
    for (int i = 1; all != NULL && (u = mg_upstreams_next(all, u)) != NULL; i++) {
        lua_pushstring(L, mg_upstream_options_of(u)->name);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

// --- looking at it ---

static mg_script_relay *staged(lua_State *L, mg_vm *vm) {
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    mg_script_relay *s = x != NULL && !mg_exchange_committed(x) ? mg_request_of(x)->relay : NULL;
    return s != NULL && s->relay != NULL && s->head == NULL ? s : NULL;
}

// proxy_headers(handle) -> the fields of the server's head, joined by name in lower case | nil
static int proxy_headers(lua_State *L) {
    const mg_script_relay *s = staged(L, mg_vm_of(L));
    if (s == NULL) {
        return 0;
    }
    mg_push_fields(L, &mg_relay_head(s->relay)->head.fields);
    return 1;
}

// proxy_fields(handle) -> { name, value, ... } as they would be relayed | nil
static int proxy_fields(lua_State *L) {
    const mg_script_relay *s = staged(L, mg_vm_of(L));
    mg_answer a;
    if (s == NULL || mg_relay_answer(s->relay, &a) != MG_OK) {
        return 0;
    }
    lua_createtable(L, (int)a.fields.count * 2, 0);
    for (uint32_t i = 0; i < a.fields.count; i++) {
        mg_lua_push_str(L, a.fields.at[i].name);
        lua_rawseti(L, -2, (int)i * 2 + 1);
        mg_lua_push_str(L, a.fields.at[i].value);
        lua_rawseti(L, -2, (int)i * 2 + 2);
    }
    return 1;
}

// --- sending it ---

// What a script has set stands for the server's fields of that name, but cookies come together and
// a Vary says both.
static const char *overlay(mg_answer *a, const mg_fields *own) {
    for (uint32_t i = 0; i < own->count; i++) {
        if (own->at[i].id != MG_FIELD_SET_COOKIE && own->at[i].id != MG_FIELD_VARY) {
            (void)mg_fields_remove(&a->fields, own->at[i].name);
        }
    }
    int rc = MG_OK;
    for (uint32_t i = 0; i < own->count && rc == MG_OK; i++) {
        const mg_field *f = &own->at[i];
        rc = f->id == MG_FIELD_VARY ? mg_fields_merge(&a->fields, f->id, f->value)
                                    : mg_fields_add(&a->fields, f->name, f->value);
    }
    return rc == MG_OK ? NULL : "the header fields are larger than 1 MiB";
}

// Of the status, type, fields and whether these are all, at 2 to 5.
static const char *read_answer(lua_State *L, mg_script_relay *s, mg_answer *a) {
    mg_answer own;
    bool all = lua_toboolean(L, 5);
    // No script says 101 by itself; one that leaves the server's as it is lets it switch.
    bool switches = lua_tonumber(L, 2) == 101 && mg_relay_status(s->relay) == 101;
    if (switches) {
        lua_pushinteger(L, 200);
        lua_replace(L, 2);
    }
    const char *wrong = mg_read_answer(L, s->x, 2, &own);
    if (wrong != NULL) {
        return wrong;
    }
    if (mg_relay_answer(s->relay, a) != MG_OK) {
        return "the server's answer has too many fields";
    }
    if (!switches && own.status != a->status) {
        a->status = own.status;
        a->reason = (mg_str){NULL, 0};
    }
    if (all) {
        a->fields = own.fields;
        a->content_type = own.content_type;
        return NULL;
    }
    if (own.content_type.n > 0) {
        (void)mg_fields_remove(&a->fields, mg_field_name(MG_FIELD_CONTENT_TYPE));
        a->content_type = own.content_type;
    }
    return overlay(a, &own.fields);
}

static uint64_t await_end(mg_vm *vm, mg_script_relay *s) {
    end_op *e = mg_calloc(1, sizeof *e);
    e->of.x = s->x;
    e->of.on_lost = on_end_lost;
    e->relay = s;
    s->end = e;
    mg_op_start(vm, &e->of.op, &end_kind);
    mg_request_of(s->x)->write_op = &e->of;
    return e->of.op.handle;
}

static int push_lost(lua_State *L, mg_exchange *x) {
    const mg_script_relay *s = x != NULL ? mg_request_of(x)->relay : NULL;
    if (s == NULL || s->fault.status == 0) {
        return mg_lua_refuse(L, "closed");
    }
    mg_lua_refuse(L, s->fault.reason);
    lua_pushinteger(L, s->fault.status);
    return 3;
}

// proxy_send(handle, status, type, fields, whether these are all: else the server's come besides)
// -> operation: done when the last byte is queued | true: it is | nil, message | nil, message, the
// status that it is to be answered with: the server was lost meanwhile
static int proxy_send(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_script_relay *s = staged(L, vm);
    if (s == NULL) {
        return push_lost(L, mg_vm_exchange(L, vm, 1));
    }
    mg_answer a;
    const char *wrong = read_answer(L, s, &a);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    bool over = false;
    s->over = &over;
    mg_relay_on(s->relay, &a);
    if (over) { // with the exchange
        lua_pushboolean(L, 1);
        return 1;
    }
    s->over = NULL;
    lua_pushnumber(L, (lua_Number)await_end(vm, s));
    return 1;
}

void mg_request_drop_relay(mg_exchange *x) {
    mg_script_relay *s = mg_request_of(x)->relay;
    if (s != NULL) {
        lose_head(s);
        drop(s);
    }
}

void mg_bind_proxy(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"proxy_start", proxy_start},       {"proxy_headers", proxy_headers},
        {"upstream_names", upstream_names}, {"proxy_fields", proxy_fields},
        {"proxy_send", proxy_send},         {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
