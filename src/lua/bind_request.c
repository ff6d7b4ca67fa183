// The request's side of ctx: core/request/context.lua calls these with the exchange's handle. A
// stale handle answers nil, "closed".

#include "base/mem.h"
#include "event/tls.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/fields.h"
#include "server/request_body.h"
#include "server/requester.h"

enum { BODY_DEPTH = 100 }; // fewer levels than encode writes: an answer may wrap the value

typedef struct body_op {
    mg_request_op of;
    bool all; // in one piece; else whatever has come
} body_op;

// --- fields of the request ---

static int request_method(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed") : mg_lua_push_str(L, x->head.method_text);
}

static int request_path(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed") : mg_lua_push_str(L, x->head.target.path);
}

static int request_target(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed") : mg_lua_push_str(L, x->head.target_text);
}

// The text behind "?", or "".
static int request_query(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed") : mg_lua_push_str(L, x->head.target.query);
}

static int request_version(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_str name = MG_STR("HTTP/");
    return mg_lua_push_str(L, (mg_str){x->protocol.p + name.n, x->protocol.n - name.n});
}

// Content-Length; nothing if there is none.
static int request_length(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    if (x->head.framing == MG_FRAMING_CHUNKED) {
        return 0;
    }
    const mg_field *f = mg_fields_find(&x->head.fields, MG_FIELD_CONTENT_LENGTH);
    if (f == NULL) {
        return 0;
    }
    lua_pushnumber(L, (lua_Number)x->head.length);
    return 1;
}

static int request_client_ip(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed")
                     : mg_lua_push_str(L, mg_exchange_requester(x)->client_ip);
}

static int request_scheme(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed")
                     : mg_lua_push_str(L, mg_exchange_requester(x)->scheme);
}

static int request_host(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    return x == NULL ? mg_lua_refuse(L, "closed")
                     : mg_lua_push_str(L, mg_exchange_requester(x)->host);
}

// A table of all fields, names in lower case, repeated ones joined.
static int request_headers(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_push_fields(L, &x->head.fields);
    return 1;
}

// The first field of that name, without building a table.
static int request_header(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_str name = mg_lua_check_str(L, 2);
    const mg_field *f = mg_fields_find_name(&x->head.fields, name);
    return f == NULL ? 0 : mg_lua_push_str(L, f->value);
}

// The trailer fields that came behind a chunked body, as a table; empty before its end.
static int request_trailers(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_push_fields(L, &x->trailers);
    return 1;
}

// --- request id ---

// request_id(handle, id or nil): sets it, or makes one: 16 bytes of hex, unique enough to find a
// line in a log.
static int request_id(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    if (lua_isstring(L, 2)) {
        mg_str id = mg_lua_str(L, 2);
        x->request_id = (mg_str){mg_arena_copy(&x->arena, id), id.n};
    } else if (x->request_id.n == 0) {
        char text[17];
        mg_random_id(&vm->ids, text);
        x->request_id = (mg_str){mg_arena_copy(&x->arena, (mg_str){text, 16}), 16};
    }
    return mg_lua_push_str(L, x->request_id);
}

// --- body ---

static bool is_body_ready(const mg_request_op *o) {
    return !((const body_op *)o)->all || !mg_exchange_reads_body(o->x);
}

// Pushes what there is; nil at the end of a body that is taken piece by piece.
static void push_content(lua_State *L, mg_exchange *x, bool all) {
    mg_str content = mg_exchange_content(x);
    if (content.n == 0 && !all) {
        lua_pushnil(L);
    } else {
        mg_lua_push_str(L, content);
        mg_exchange_take_content(x);
    }
}

static bool is_refused(const mg_exchange *x) {
    return x->body_refusal.status != 0;
}

// Pushes the code, message and fields of the error.
static void push_refusal(lua_State *L, const mg_exchange *x) {
    lua_pushliteral(L, "status");
    lua_pushstring(L, x->body_refusal.reason);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, x->body_refusal.status);
    lua_setfield(L, -2, "status");
    if (x->body_refusal.retry_after > 0) { // one of many, of which the server tells
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "told");
        lua_createtable(L, 0, 1);
        lua_pushfstring(L, "%d", (int)x->body_refusal.retry_after);
        lua_setfield(L, -2, "Retry-After");
        lua_setfield(L, -2, "fields");
    }
}

static int push_body(lua_State *L, mg_op *op) {
    const body_op *b = (const body_op *)op;
    mg_exchange *x = b->of.x;
    if (x == NULL) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "closed");
        lua_pushliteral(L, "the request ended before its body was complete");
        return 3;
    }
    if (is_refused(x)) {
        lua_pushboolean(L, 0);
        push_refusal(L, x);
        return 4;
    }
    lua_pushboolean(L, 1);
    push_content(L, x, b->all);
    return 2;
}

static void cancel_body(mg_op *op) {
    (void)op; // nothing runs: it is the exchange that reads
}

static void release_body(mg_op *op) {
    const mg_request_op *o = (const mg_request_op *)op;
    if (o->x != NULL) {
        mg_request_of(o->x)->body_op = NULL;
    }
    mg_free(op);
}

static const mg_op_kind body_kind = {"body", push_body, cancel_body, release_body};

// body(handle, all) -> false, content (at once: all of it, or the next piece, nil at the end) |
// operation | nil, "closed" | nil, "busy" if somebody else is reading it | nil, "status", message,
// its fields: it was refused.
static int request_body(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    bool all = lua_toboolean(L, 2);
    mg_request_state *r = mg_request_of(x);
    if (r->body_op != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    mg_exchange_want_body(x, all);
    if (is_refused(x)) {
        lua_pushnil(L);
        push_refusal(L, x);
        return 4;
    }
    if (mg_exchange_body_complete(x) || (!all && mg_exchange_content(x).n > 0)) {
        lua_pushboolean(L, 0);
        push_content(L, x, all);
        return 2;
    }
    body_op *b = mg_calloc(1, sizeof *b);
    b->of.x = x;
    b->of.is_ready = is_body_ready;
    b->all = all;
    mg_op_start(vm, &b->of.op, &body_kind);
    r->body_op = &b->of;
    lua_pushnumber(L, (lua_Number)b->of.op.handle);
    return 1;
}

// --- connection ---

// connection(handle) -> id, peer, requests, bytes_in, bytes_out, opened_at (s since 1970)
static int connection(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_peer peer;
    mg_exchange_peer(x, &peer);
    lua_pushnumber(L, (lua_Number)peer.connection);
    mg_lua_push_str(L, mg_exchange_peer_name(x));
    lua_pushnumber(L, (lua_Number)peer.requests);
    lua_pushnumber(L, (lua_Number)peer.bytes_in);
    lua_pushnumber(L, (lua_Number)peer.bytes_out);
    lua_pushnumber(L, (lua_Number)peer.opened_wall_ms / 1000);
    return 6;
}

static void push_name(void *arg, mg_str name) {
    lua_State *L = arg;
    mg_lua_push_str(L, name);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
}

// A table of the client's certificate on top of the stack.
static void push_tls_client(lua_State *L, const mg_stream *tls) {
    mg_tls_client c = {.not_after = 0};
    lua_createtable(L, 0, 4);
    lua_newtable(L);
    mg_tls_client_facts(tls, &c, push_name, L);
    lua_setfield(L, -2, "names");
    mg_lua_set_text(L, "subject", mg_buf_str(&c.subject));
    mg_lua_set_text(L, "fingerprint", mg_buf_str(&c.fingerprint));
    lua_pushnumber(L, (lua_Number)c.not_after);
    lua_setfield(L, -2, "not_after");
    mg_buf_deinit(&c.subject);
    mg_buf_deinit(&c.fingerprint);
}

// request_tls(handle) -> nil without TLS; else version, cipher, server_name, alpn (nil: none),
// resumed, client (a table, or nil)
static int request_tls(lua_State *L) {
    const mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    mg_peer peer;
    mg_tls_facts f;
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_exchange_peer(x, &peer);
    if (peer.tls == NULL) {
        return 0;
    }
    mg_tls_facts_of(peer.tls, &f);
    lua_pushstring(L, f.version);
    lua_pushstring(L, f.cipher);
    const mg_str maybe[] = {f.server_name, f.alpn};
    for (size_t i = 0; i < 2; i++) {
        if (maybe[i].n > 0) {
            mg_lua_push_str(L, maybe[i]);
        } else {
            lua_pushnil(L);
        }
    }
    lua_pushboolean(L, f.resumed);
    if (!f.has_client) {
        return 5;
    }
    push_tls_client(L, peer.tls);
    return 6;
}

// connection_close(handle): the answer under way is the connection's last.
static int connection_close(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_exchange_close(x);
    lua_pushboolean(L, 1);
    return 1;
}

// --- limits ---

// set_deadline(handle, seconds): replaces the handler's deadline; 0: none.
static int set_deadline(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x != NULL) {
        mg_exchange_set_deadline(x, (uint64_t)(luaL_checknumber(L, 2) * 1000 + 0.5));
    }
    return 0;
}

// form_limits() -> most fields of a urlencoded form, most parts of a multipart one
static int form_limits(lua_State *L) {
    const mg_server_options *o = &mg_vm_of(L)->server->options;
    lua_pushinteger(L, (lua_Integer)o->form_fields);
    lua_pushinteger(L, (lua_Integer)o->form_parts);
    return 2;
}

// decode_body(text) -> the value of its JSON | nil, message, 400 or 413
static int decode_body(lua_State *L) {
    const mg_json_bounds bounds = {
        .depth = BODY_DEPTH,
        .values = mg_vm_of(L)->server->options.json_values,
    };
    int rc = mg_json_decode_value(L, mg_lua_check_str(L, 1), bounds);
    if (rc == MG_OK) {
        return 1;
    }
    lua_pushnil(L);
    if (rc == MG_ELIMIT) {
        lua_pushfstring(L, "the body's JSON holds more than %d values", (int)bounds.values);
    } else {
        lua_pushfstring(L, "the body is not valid JSON: %s", lua_tostring(L, -2));
    }
    lua_pushinteger(L, rc == MG_ELIMIT ? 413 : 400);
    return 3;
}

void mg_bind_request(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"request_method", request_method},
        {"request_path", request_path},
        {"request_target", request_target},
        {"request_query", request_query},
        {"request_version", request_version},
        {"request_length", request_length},
        {"request_client_ip", request_client_ip},
        {"request_scheme", request_scheme},
        {"request_host", request_host},
        {"request_headers", request_headers},
        {"request_header", request_header},
        {"request_trailers", request_trailers},
        {"request_id", request_id},
        {"body", request_body},
        {"connection", connection},
        {"connection_close", connection_close},
        {"request_tls", request_tls},
        {"set_deadline", set_deadline},
        {"form_limits", form_limits},
        {"decode_body", decode_body},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
