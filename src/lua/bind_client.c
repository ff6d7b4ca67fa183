// The HTTP client: lua/moongate/http.lua calls these.
//
// A plain call is one operation, which ends with the whole response. A streaming one has an
// operation that never finishes, its holder: it owns the call and goes when it is cancelled or the
// scripts are severed; whoever waits for its head, its content or its room has an operation
// besides.

#include "base/mem.h"
#include "http/uri.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/client_request.h"
#include "lua/fields.h"
#include "lua/scratch.h"

typedef struct client_op {
    mg_op op;
    mg_call *call;
} client_op;

enum { WAIT_HEAD, WAIT_CONTENT, WAIT_ROOM, WAIT_COUNT };

typedef struct wait_op wait_op;
typedef struct holder_op {
    mg_op op;
    mg_call *call;
    wait_op *waits[WAIT_COUNT];
    size_t burst; // bytes sent since the loop last turned for this call
    bool stream;  // the head is told alone; else with the whole body
} holder_op;

struct wait_op {
    mg_op op;
    uint64_t holder; // its handle: it may go first
    int what;
};

// --- results ---

static int push_fault(lua_State *L, const mg_call *call) {
    const mg_call_fault *f = mg_call_fault_of(call);
    mg_lua_push_failure(L, f->code, f->text);
    lua_pushboolean(L, f->unsent);
    return 4;
}

// Set-Cookie cannot be joined (RFC 6265 section 3): a list of its values.
static void push_cookies(lua_State *L, const mg_head *head) {
    int n = 0;
    lua_newtable(L);
    const mg_field *f = NULL;
    while ((f = mg_fields_next(&head->fields, f, MG_FIELD_SET_COOKIE)) != NULL) {
        mg_lua_push_str(L, f->value);
        lua_rawseti(L, -2, ++n);
    }
}

// What the fields say of the content is not true of what was decoded.
static void drop_field(lua_State *L, const char *name) {
    lua_pushnil(L);
    lua_setfield(L, -2, name);
}

static bool is_repeated(const mg_fields *l, mg_field_id id) {
    const mg_field *first = mg_fields_find(l, id);
    return first != NULL && mg_fields_next(l, first, id) != NULL;
}

static void push_response(lua_State *L, const mg_call *call) {
    const mg_response *r = mg_call_response(call);
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, r->status);
    lua_setfield(L, -2, "status");
    mg_push_fields(L, &r->head.fields);
    if (mg_call_decoded(call)) {
        drop_field(L, "content-encoding");
        drop_field(L, "content-length");
    }
    lua_setfield(L, -2, "headers");
    if (mg_fields_find(&r->head.fields, MG_FIELD_SET_COOKIE) != NULL) {
        push_cookies(L, &r->head);
        lua_setfield(L, -2, "cookies");
    }
    if (is_repeated(&r->head.fields, MG_FIELD_LOCATION)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "_ambiguous");
    }
    lua_pushstring(L, r->http2 ? "2.0" : r->head.minor == 1 ? "1.1" : "1.0");
    lua_setfield(L, -2, "version");
}

// --- plain calls ---

static void on_change(void *arg, mg_call *call) {
    if (mg_call_state_of(call) >= MG_CALL_DONE) {
        mg_op_finish(arg);
    }
}

static int push_whole(lua_State *L, mg_op *op) {
    const mg_call *call = ((const client_op *)op)->call;
    if (mg_call_state_of(call) == MG_CALL_FAILED) {
        return push_fault(L, call);
    }
    mg_str content = mg_call_content(call);
    lua_pushboolean(L, 1);
    push_response(L, call);
    mg_lua_push_str(L, content);
    lua_setfield(L, -2, "body");
    return 2;
}

static void cancel_call(mg_op *op) {
    (void)op; // the release right behind it closes
}

static void release_call(mg_op *op) {
    mg_call_close(((client_op *)op)->call);
    mg_free(op);
}

static const mg_op_kind call_kind = {"http_request", push_whole, cancel_call, release_call};
static const mg_call_events call_events = {.on_change = on_change};

// Reads the request at 1 to 5 and has `start` make an operation of it, whose handle is pushed.
static int begin(lua_State *L, mg_op *(*start)(mg_vm *vm, const mg_call_options *options)) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_call_options options;
    mg_arena arena = {0};
    char text[256];
    lua_settop(L, 5);
    if (vm->services->client == NULL) {
        return mg_lua_refuse(L, "there is no network here");
    }
    const char *fault = mg_client_request_read(L, &arena, &options, text);
    if (fault == NULL) {
        lua_pushnumber(L, (lua_Number)start(vm, &options)->handle);
    }
    mg_arena_deinit(&arena);
    return fault == NULL ? 1 : mg_lua_refuse(L, fault);
}

// http_check(method, url, headers, body, options) -> nil | what is wrong with them
static int http_check(lua_State *L) {
    mg_call_options options;
    mg_arena arena = {0};
    char text[256];
    lua_settop(L, 5);
    const char *fault = mg_client_request_read(L, &arena, &options, text);
    mg_arena_deinit(&arena);
    lua_pushstring(L, fault); // NULL: nil
    return 1;
}

static mg_op *start_call(mg_vm *vm, const mg_call_options *options) {
    client_op *c = mg_calloc(1, sizeof *c);
    mg_op_start(vm, &c->op, &call_kind);
    mg_call_start(&c->call, vm->services->client, options, &call_events, c);
    return &c->op;
}

// http_call(method, url, headers, body, options) -> operation | nil, message
static int http_call(lua_State *L) {
    return begin(L, start_call);
}

// --- streaming calls ---

static bool is_due(const holder_op *h, int what) {
    const mg_call *call = h->call;
    mg_call_state state = mg_call_state_of(call);
    switch (what) {
    case WAIT_HEAD:
        return state >= (h->stream ? MG_CALL_BODY : MG_CALL_DONE);
    case WAIT_CONTENT:
        return state >= MG_CALL_DONE || mg_call_content(call).n > 0;
    default:
        return state >= MG_CALL_BODY || mg_call_has_room(call);
    }
}

static void finish_wait(holder_op *h, int what) {
    wait_op *w = h->waits[what];
    h->waits[what] = NULL;
    mg_op_finish(&w->op);
}

static void on_stream_change(void *arg, mg_call *call) {
    holder_op *h = arg;
    (void)call;
    for (int i = 0; i < WAIT_COUNT; i++) {
        if (h->waits[i] != NULL && is_due(h, i)) {
            finish_wait(h, i);
        }
    }
}

static int push_holder(lua_State *L, mg_op *op) {
    (void)op;
    return mg_lua_push_failure(L, "closed", "the call is over"); // it never finishes
}

static void release_holder(mg_op *op) {
    holder_op *h = (holder_op *)op;
    for (int i = 0; i < WAIT_COUNT; i++) {
        if (h->waits[i] != NULL) {
            finish_wait(h, i);
        }
    }
    mg_call_close(h->call);
    mg_free(h);
}

static const mg_op_kind holder_kind = {"http_stream", push_holder, cancel_call, release_holder};
static const mg_call_events holder_events = {.on_change = on_stream_change};

static mg_op *start_stream(mg_vm *vm, const mg_call_options *options) {
    holder_op *h = mg_calloc(1, sizeof *h);
    h->stream = options->stream;
    mg_op_start(vm, &h->op, &holder_kind);
    mg_call_start(&h->call, vm->services->client, options, &holder_events, h);
    return &h->op;
}

// http_open(method, url, headers, body, options) -> holder | nil, message
static int http_open(lua_State *L) {
    return begin(L, start_stream);
}

// As fields of the error that an operation makes.
static int push_stream_fault(lua_State *L, const mg_call *call) {
    const mg_call_fault *f = mg_call_fault_of(call);
    mg_lua_push_failure(L, f->code, f->text);
    lua_createtable(L, 0, 2); // `where` comes along
    lua_pushboolean(L, f->unsent);
    lua_setfield(L, -2, "unsent");
    return 4;
}

static int push_content(lua_State *L, mg_call *call) {
    mg_str content = mg_call_content(call);
    if (content.n > 0) {
        lua_pushboolean(L, 1);
        mg_lua_push_str(L, content);
        mg_call_take(call, content.n);
        return 2;
    }
    if (mg_call_state_of(call) == MG_CALL_FAILED) {
        return push_stream_fault(L, call);
    }
    lua_pushboolean(L, 1); // the end
    return 1;
}

static holder_op *find_holder(const mg_vm *vm, uint64_t handle) {
    mg_op *op = mg_slots_get(&vm->ops, handle);
    return op != NULL && op->kind == &holder_kind ? (holder_op *)op : NULL;
}

static int push_wait(lua_State *L, mg_op *op) {
    const wait_op *w = (const wait_op *)op;
    const holder_op *h = find_holder(op->vm, w->holder);
    if (h == NULL) {
        return mg_lua_push_failure(L, "closed", "the call is over");
    }
    if (w->what == WAIT_CONTENT) {
        return push_content(L, h->call);
    }
    if (mg_call_state_of(h->call) == MG_CALL_FAILED) {
        return push_stream_fault(L, h->call);
    }
    lua_pushboolean(L, 1);
    if (w->what == WAIT_ROOM) {
        return 1;
    }
    push_response(L, h->call);
    if (!h->stream) {
        mg_str content = mg_call_content(h->call);
        mg_lua_push_str(L, content);
        lua_setfield(L, -2, "body");
    }
    return 2;
}

static void cancel_wait(mg_op *op) {
    const wait_op *w = (const wait_op *)op;
    holder_op *h = find_holder(op->vm, w->holder);
    if (h != NULL) {
        h->waits[w->what] = NULL;
    }
}

static void release_wait(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind wait_kind = {"http_wait", push_wait, cancel_wait, release_wait};

static holder_op *holder_at(lua_State *L, const mg_vm *vm) {
    return find_holder(vm, (uint64_t)luaL_checknumber(L, 1));
}

static int wait_for(lua_State *L, int what) {
    mg_vm *vm = mg_vm_with_room(L);
    holder_op *h = holder_at(L, vm);
    if (h == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    if (h->waits[what] != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    wait_op *w = mg_calloc(1, sizeof *w);
    w->holder = h->op.handle;
    w->what = what;
    mg_op_start(vm, &w->op, &wait_kind);
    if (what == WAIT_ROOM) {
        h->burst = 0;
    }
    if (!is_due(h, what)) {
        h->waits[what] = w;
    } else if (what == WAIT_ROOM) {
        mg_op_finish_later(&w->op); // the loop turns first: the server may have answered already
    } else {
        mg_op_finish(&w->op);
    }
    lua_pushnumber(L, (lua_Number)w->op.handle);
    return 1;
}

// http_head(holder) -> operation of the response without a body | nil, "closed" or "busy"
static int http_head(lua_State *L) {
    return wait_for(L, WAIT_HEAD);
}

// http_read(holder) -> operation of a piece, of nothing at the end | nil, "closed" or "busy"
static int http_read(lua_State *L) {
    return wait_for(L, WAIT_CONTENT);
}

// http_room(holder) -> operation | nil, "closed" or "busy"
static int http_room(lua_State *L) {
    return wait_for(L, WAIT_ROOM);
}

// http_send(holder, data) -> true, or false if the next piece is to wait for room | nil, why. An
// empty piece ends the body.
static int http_send(lua_State *L) {
    holder_op *h = holder_at(L, mg_vm_of(L));
    mg_str data = mg_lua_check_str(L, 2);
    if (h == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    int rc = mg_call_send(h->call, data.p, data.n);
    if (rc == MG_ECLOSED || rc == MG_ELIMIT) {
        return mg_lua_refuse(L, rc == MG_ELIMIT ? "limit" : "closed");
    }
    h->burst += data.n;
    lua_pushboolean(L, rc == MG_OK && h->burst < MG_BURST_BYTES);
    return 1;
}

// --- URLs ---

// http_resolve(base, reference) -> url, whether the origin is the same | nil, message
static int http_resolve(lua_State *L) {
    mg_str base = mg_lua_check_str(L, 1);
    mg_str reference = mg_lua_check_str(L, 2);
    lua_settop(L, 2);
    mg_buf *resolved = mg_scratch_take(L);
    mg_buf *url = mg_scratch_take(L);
    mg_arena arena = {0};
    mg_uri from = {0};
    mg_uri to = {0};
    const char *why = "another scheme than http and https";
    int rc = mg_uri_parse(base, &arena, &from, &why);
    if (rc == MG_OK) {
        rc = mg_uri_resolve(&from, reference, resolved);
    }
    if (rc == MG_OK) {
        rc = mg_uri_parse(mg_buf_str(resolved), &arena, &to, &why);
    }
    bool same =
        rc == MG_OK && from.tls == to.tls && from.port == to.port && mg_str_eq(from.host, to.host);
    if (rc == MG_OK) { // as it is asked: without dot segments and fragment
        mg_buf_append_str(url, to.tls ? MG_STR("https://") : MG_STR("http://"));
        mg_buf_append_str(url, to.authority);
        mg_buf_append_str(url, to.target);
    }
    mg_arena_deinit(&arena);
    mg_scratch_give(L, 3);
    if (rc != MG_OK) {
        mg_scratch_give(L, 4);
        return mg_lua_refuse(L, why);
    }
    mg_scratch_push(L, 4);
    lua_pushboolean(L, same);
    return 2;
}

// http_stats() -> table | nil
static int http_stats(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    if (vm->services->client == NULL) {
        return 0;
    }
    mg_client_stats s;
    mg_client_read_stats(vm->services->client, &s);
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"origins", s.origins}, {"connections", s.connections},
        {"idle", s.idle},       {"waiting", s.waiting},
        {"calls", s.calls},     {"reused", s.reused},
        {"dialled", s.dialled}, {"failed", s.failed},
    };
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        lua_pushnumber(L, (lua_Number)figures[i].value);
        lua_setfield(L, -2, figures[i].name);
    }
    return 1;
}

void mg_bind_client(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"http_call", http_call},       {"http_open", http_open},
        {"http_head", http_head},       {"http_read", http_read},
        {"http_room", http_room},       {"http_send", http_send},
        {"http_resolve", http_resolve}, {"http_check", http_check},
        {"http_stats", http_stats},     {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
