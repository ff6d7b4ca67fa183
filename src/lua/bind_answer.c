// The answer's side of ctx: core/request/{answer,context}.lua call these with the exchange's
// handle. A stale handle answers nil, "closed".

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_json.h"
#include "server/file_answer.h"

// Waits for the backlog of a stream to leave, or for a file to be sent.
typedef struct write_op {
    mg_request_op of;
    mg_file_answer *file; // that is being sent; NULL: none
    int status;
} write_op;

// A number is not taken: as text it would be a new Lua string, whose making may collect.
static mg_str opt_str(lua_State *L, int index) {
    mg_str s = {0};
    if (lua_type(L, index) == LUA_TSTRING) {
        s = mg_lua_str(L, index);
    }
    return s;
}

const char *mg_read_fields(lua_State *L, int index, mg_fields *out) {
    int n = (int)lua_objlen(L, index);
    for (int i = 1; i + 1 <= n; i += 2) {
        lua_rawgeti(L, index, i);
        lua_rawgeti(L, index, i + 1);
        int rc = mg_fields_add(out, opt_str(L, -2), opt_str(L, -1));
        lua_pop(L, 2);
        if (rc != MG_OK) {
            return rc == MG_ELIMIT ? "the header fields are larger than 1 MiB"
                                   : "a header field has a name or value that HTTP does not allow";
        }
    }
    return NULL;
}

const char *mg_read_answer(lua_State *L, mg_exchange *x, int first, mg_answer *a) {
    double status = lua_tonumber(L, first);
    *a = (mg_answer){.content_type = opt_str(L, first + 1)};
    if (!(status >= 200 && status <= 999)) { // beyond 599 (core/request/answer.lua) a server's own
        return "a status is an integer from 200 to 599";
    }
    a->status = (int)status;
    if (!mg_field_is_value(a->content_type)) {
        return "the media type holds a control character";
    }
    if (x->head.method == MG_METHOD_CONNECT && a->status < 300) {
        return "a 2xx answer to CONNECT opens a tunnel: answer with ctx:tunnel";
    }
    if (!lua_istable(L, first + 2)) {
        return NULL;
    }
    mg_fields_init(&a->fields, &x->arena);
    return mg_read_fields(L, first + 2, &a->fields);
}

// Encodes the table at `index` as JSON; the message is pushed on failure.
static bool encode_body(lua_State *L, int index, mg_buf *out) {
    return mg_json_encode_value(L, index, out) == 0;
}

// Answers that find no room wait for the end of the turn, when those who take none are let go.
static void leave_room(const mg_server *s) {
    if (s->owing) {
        mg_vm_note[MG_NOTE_LATE] = 1;
    }
}

// respond(handle, status, type, fields, body) -> true | nil, message. A table as `body` becomes
// JSON. The exchange is over then.
static int respond(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || mg_exchange_committed(x)) {
        return mg_lua_refuse(L, "closed");
    }
    mg_str body = opt_str(L, 5);
    if (lua_istable(L, 5)) { // first: finalizers may run
        mg_buf_clear(&vm->json);
        if (!encode_body(L, 5, &vm->json)) {
            lua_pushnil(L);
            lua_insert(L, -2);
            return 2;
        }
        body = mg_buf_str(&vm->json);
    }
    mg_answer a;
    const char *wrong = mg_read_answer(L, x, 2, &a);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    if (mg_exchange_meet_conditions(x, &a)) {
        body = (mg_str){NULL, 0};
    }
    const mg_server *s = x->server;
    mg_vm_release_exchange(vm, x);
    mg_exchange_respond(x, &a, body);
    leave_room(s);
    lua_pushboolean(L, 1);
    return 1;
}

// --- streams ---

// stream_begin(handle, status, type, fields, length or nil) -> true | false: the client wants none
// of it, the exchange is over | nil, message
static int stream_begin(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || mg_exchange_committed(x)) {
        return mg_lua_refuse(L, "closed");
    }
    mg_answer a;
    const char *wrong = mg_read_answer(L, x, 2, &a);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    if (mg_exchange_meet_conditions(x, &a)) {
        mg_vm_release_exchange(mg_vm_of(L), x);
        mg_exchange_respond(x, &a, (mg_str){NULL, 0});
        lua_pushboolean(L, 0);
        return 1;
    }
    mg_request_drop_relay(x);
    mg_exchange_begin(x, &a, lua_isnumber(L, 5) ? (int64_t)lua_tonumber(L, 5) : -1);
    lua_pushboolean(L, 1);
    return 1;
}

// stream_write(handle, data) -> true | false: taken, but wait before the next | nil, message
static int stream_write(lua_State *L) {
    mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    mg_str data = mg_lua_check_str(L, 2);
    if (x == NULL || x->phase != MG_EXCHANGE_ANSWERING) {
        return mg_lua_refuse(L, "closed");
    }
    int rc = mg_exchange_write(x, data);
    if (rc == MG_ECLOSED) {
        return mg_lua_refuse(L, "closed");
    }
    if (rc == MG_ELIMIT) {
        return mg_lua_refuse(L, "more than the announced length");
    }
    // A peer that takes all at once must not keep the loop from its other sockets.
    mg_request_state *r = mg_request_of(x);
    r->burst += data.n;
    leave_room(x->server);
    lua_pushboolean(L, rc == MG_OK && r->burst < MG_BURST_BYTES);
    return 1;
}

// stream_end(handle, trailers or nil) -> true | nil, message. The exchange is over then.
static int stream_end(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || x->phase != MG_EXCHANGE_ANSWERING) {
        return mg_lua_refuse(L, "closed");
    }
    mg_fields trailers;
    mg_fields_init(&trailers, &x->arena);
    const char *wrong = lua_istable(L, 2) ? mg_read_fields(L, 2, &trailers) : NULL;
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    mg_vm_release_exchange(vm, x);
    mg_exchange_end(x, &trailers);
    lua_pushboolean(L, 1);
    return 1;
}

// give_up(handle): a plain 500, or if an answer has begun the end of the connection. Makes nothing
// in Lua, so that it cannot fail.
static int give_up(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL) {
        return 0;
    }
    mg_vm_release_exchange(vm, x);
    if (mg_exchange_committed(x)) {
        mg_exchange_abort(x);
    } else {
        mg_exchange_refuse(x, (mg_refusal){500, "the handler failed", 0});
    }
    return 0;
}

static int push_write(lua_State *L, mg_op *op) {
    const write_op *w = (const write_op *)op;
    bool good = w->status == 0;
    lua_pushboolean(L, good);
    if (good) {
        return 1;
    }
    lua_pushstring(L, w->status == MG_ECLOSED ? "closed" : "file");
    lua_pushstring(L,
                   w->status == MG_ECLOSED ? "the connection is closed" : mg_strerror(w->status));
    lua_pushinteger(L, w->status);
    return 4;
}

static void stop_file(write_op *w) {
    if (w->file != NULL) {
        mg_file_answer_stop(w->file);
        w->file = NULL;
    }
}

static void cancel_write(mg_op *op) {
    write_op *w = (write_op *)op;
    if (w->of.x != NULL) {
        mg_request_of(w->of.x)->write_op = NULL;
        stop_file(w);
    }
}

static void release_write(mg_op *op) {
    mg_free(op);
}

static void on_write_lost(mg_request_op *o) {
    write_op *w = (write_op *)o;
    stop_file(w);
    w->status = MG_ECLOSED;
}

static const mg_op_kind write_kind = {"write", push_write, cancel_write, release_write};

static write_op *start_write_op(mg_vm *vm, mg_exchange *x) {
    write_op *w = mg_calloc(1, sizeof *w);
    w->of.x = x;
    w->of.on_lost = on_write_lost;
    mg_op_start(vm, &w->of.op, &write_kind);
    mg_request_of(x)->write_op = &w->of;
    return w;
}

// stream_wait(handle) -> operation: done when the backlog has left
static int stream_wait(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || mg_request_of(x)->write_op != NULL) {
        return mg_lua_refuse(L, "closed");
    }
    write_op *w = start_write_op(vm, x);
    lua_pushnumber(L, (lua_Number)w->of.op.handle);
    mg_request_of(x)->burst = 0;
    if (mg_exchange_backlog(x) == 0) {
        mg_request_of(x)->write_op = NULL;
        mg_op_finish_later(&w->of.op);
    }
    return 1;
}

// --- files ---

static void on_file_done(void *arg, int status) {
    write_op *w = arg;
    mg_exchange *x = w->of.x;
    w->status = status;
    w->file = NULL;
    w->of.x = NULL;
    mg_request_of(x)->write_op = NULL;
    if (status == 0 || mg_exchange_committed(x)) {
        mg_vm_release_exchange(w->of.op.vm, x); // it ends with this
    }
    mg_op_finish(&w->of.op);
}

// send_file(handle, status, type, fields, path, beneath or nil, fields about the file) -> operation
// | nil, message. Done when the last byte is queued; fails with code "file" before anything is sent
// if the file cannot be opened.
static int send_file(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    const char *path = luaL_checkstring(L, 5);
    const char *beneath = luaL_optstring(L, 6, NULL);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || mg_exchange_committed(x) || mg_request_of(x)->write_op != NULL) {
        return mg_lua_refuse(L, "closed");
    }
    mg_answer a;
    mg_fields of_file;
    mg_fields_init(&of_file, &x->arena);
    const char *wrong = mg_read_answer(L, x, 2, &a);
    wrong = wrong != NULL ? wrong : mg_read_fields(L, 7, &of_file);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    mg_request_drop_relay(x);
    write_op *w = start_write_op(vm, x);
    mg_file_answer_options o = {
        .path = path,
        .beneath = beneath,
        .fields = of_file,
        .on_done = on_file_done,
        .arg = w,
    };
    lua_pushnumber(L, (lua_Number)w->of.op.handle);
    w->file = mg_file_answer_start(x, &a, &o);
    return 1;
}

void mg_bind_answer(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"respond", respond},           {"stream_begin", stream_begin},
        {"stream_write", stream_write}, {"stream_end", stream_end},
        {"stream_wait", stream_wait},   {"give_up", give_up},
        {"send_file", send_file},       {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
