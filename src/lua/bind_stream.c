// Raw streams: what comes and goes. Pair: core/stream.lua, which calls these with the stream's
// handle. A stale handle answers nil, "closed".

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/stream.h"
#include "server/answer.h"
#include "server/request_body.h"

typedef mg_script_stream stream;
typedef struct mg_script_read read_op;
typedef struct mg_script_room room_op;

struct mg_script_read {
    mg_op op;
    stream *s; // NULL: it is gone
    bool late; // it was idle for too long
    mg_want want;
    char delimiter[MG_INBOX_DELIMITER_MAX];
};

struct mg_script_room {
    mg_op op;
    stream *s;
    bool failed;
};

mg_script_stream *mg_script_stream_at(const mg_vm *vm, uint64_t handle) {
    return mg_slots_get(&vm->streams, handle);
}

// NULL: nothing can be done with it any more.
static stream *find_open(lua_State *L, const mg_vm *vm) {
    stream *s = mg_script_stream_at(vm, (uint64_t)lua_tonumber(L, 1));
    return s != NULL && s->open ? s : NULL;
}

static int closed(lua_State *L) {
    return mg_lua_refuse(L, "closed");
}

// --- how much is held ---

static void regulate(stream *s) {
    bool full = mg_inbox_is_full(&s->in, s->reading != NULL ? &s->reading->want : NULL);
    if (!s->open || full == s->paused) {
        return;
    }
    s->paused = full;
    (full ? mg_tunnel_pause : mg_tunnel_resume)(&s->tunnel);
}

static bool is_waiting(const mg_op *op) {
    return mg_link_alone(&op->link);
}

// Something has come: the reader may be told.
static void look(stream *s) {
    mg_str piece;
    size_t used;
    read_op *r = s->reading;
    if (r != NULL && is_waiting(&r->op) &&
        mg_inbox_look(&s->in, &r->want, &piece, &used) != MG_INBOX_MORE) {
        mg_op_finish(&r->op);
    }
    regulate(s);
}

// --- the end ---

static void fail_reading(stream *s, bool late) {
    read_op *r = s->reading;
    if (r != NULL) {
        s->reading = NULL;
        r->s = NULL;
        r->late = late;
        if (is_waiting(&r->op)) {
            mg_op_finish(&r->op);
        }
    }
}

static void finish_writing(stream *s, bool failed) {
    room_op *w = s->writing;
    if (w != NULL) {
        s->writing = NULL;
        w->s = NULL;
        w->failed = failed;
        mg_op_finish(&w->op);
    }
}

// What is waiting still leaves.
static void close_tunnel(stream *s, bool late) {
    if (s->open) {
        s->open = false;
        mg_timer_stop(&s->idle);
        fail_reading(s, late);
        finish_writing(s, true);
        mg_tunnel_close(&s->tunnel);
    }
}

// The tunnel has ended.
static void dispose(stream *s) {
    fail_reading(s, false);
    finish_writing(s, true);
    mg_timer_stop(&s->idle);
    mg_inbox_deinit(&s->in);
    mg_slots_remove(&s->vm->streams, s->handle);
    mg_link_remove(&s->hold.link);
    mg_free(s);
}

void mg_script_stream_drop(mg_script_stream *s) {
    if (s->open) {
        mg_tunnel_abort(&s->tunnel);
    }
    dispose(s);
}

static void drop(mg_vm_hold *h) {
    mg_script_stream_drop(MG_OF(h, stream, hold));
}

static void tell_gone(stream *s, mg_gone why) {
    if (s->on_gone != NULL) {
        s->on_gone(s, why);
    }
}

// --- idle ---

static void on_idle(mg_timer *t) {
    stream *s = MG_OF(t, stream, idle);
    uint64_t since = mg_loop_now_ms(t->loop) - s->moved_ms;
    if (since < s->idle_ms) {
        mg_timer_start(t->loop, t, s->idle_ms - since, 0, on_idle);
    } else {
        close_tunnel(s, true);
        tell_gone(s, MG_GONE_CLIENT);
        dispose(s);
    }
}

static void moved(stream *s) {
    s->moved_ms = mg_loop_now_ms(s->vm->loop);
}

void mg_script_stream_set_idle(mg_script_stream *s, uint32_t idle_ms) {
    s->idle_ms = idle_ms;
    moved(s);
    mg_timer_stop(&s->idle);
    if (idle_ms > 0) {
        mg_timer_start(s->vm->loop, &s->idle, idle_ms, 0, on_idle);
    }
}

// --- what the tunnel tells ---

static stream *of(mg_tunnel *t) {
    return MG_OF(t, stream, tunnel);
}

static void on_read(mg_tunnel *t, mg_str data) {
    moved(of(t));
    mg_inbox_add(&of(t)->in, data);
    look(of(t));
}

static void on_fin(mg_tunnel *t) {
    of(t)->in.fin = true;
    look(of(t));
}

static void on_drained(mg_tunnel *t) {
    moved(of(t));
    finish_writing(of(t), false);
}

static void on_stop(mg_tunnel *t) {
    (void)t; // only the script knows where its protocol may end: it has the drain's time
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    stream *s = of(t);
    s->open = false;
    tell_gone(s, why);
    dispose(s);
}

static const mg_tunnel_events events = {on_read, on_fin, on_drained, on_stop, on_closed};

mg_script_stream *mg_script_stream_new(mg_vm *vm) {
    stream *s = mg_calloc(1, sizeof *s);
    s->tunnel.events = &events;
    s->vm = vm;
    s->hold.drop = drop;
    mg_link_append(&vm->holds, &s->hold.link);
    s->handle = mg_slots_add(&vm->streams, s);
    return s;
}

// --- taking over ---

// may_take_over(request, protocol or nil) -> true | nil, "closed" | nil, "body": it has not been
// read to its end | nil, "unasked"
static int may_take_over(lua_State *L) {
    const mg_exchange *x = mg_vm_exchange(L, mg_vm_of(L), 1);
    if (x == NULL) {
        return closed(L);
    }
    if (!mg_exchange_body_complete(x)) {
        return mg_lua_refuse(L, "body");
    }
    if (mg_exchange_may_take_over(x, mg_lua_str(L, 2)) != NULL) {
        return mg_lua_refuse(L, "unasked");
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void request_gone(mg_script_stream *s, mg_gone why) {
    mg_vm_tell_gone(s->vm, s->request, why);
}

// take_over(request, status, protocol or nil, fields) -> the stream's handle | nil, message. The
// exchange is over then; the request ends with tunnel_close, or is told that the peer is gone.
static int take_over(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    if (x == NULL || mg_exchange_committed(x)) {
        return closed(L);
    }
    mg_str protocol = mg_lua_str(L, 3);
    mg_answer a = {.status = (int)lua_tointeger(L, 2)};
    const char *wrong = mg_exchange_may_take_over(x, protocol);
    mg_fields_init(&a.fields, &x->arena);
    if (wrong == NULL && lua_istable(L, 4)) {
        wrong = mg_read_fields(L, 4, &a.fields);
    }
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    stream *s = mg_script_stream_new(vm);
    s->open = true;
    s->request = x->app_handle;
    s->on_gone = request_gone;
    lua_pushnumber(L, (lua_Number)s->handle);
    mg_request_drop_relay(x);
    mg_vm_part_with_exchange(vm, x);
    mg_exchange_take_over(x, &a, protocol, &s->tunnel);
    return 1;
}

// --- reading ---

// Pushes true and the piece, nil at the end; or false, a code and a message.
static int push_piece(lua_State *L, stream *s, mg_want *w) {
    mg_str piece;
    size_t used = 0;
    mg_inbox_verdict verdict = mg_inbox_look(&s->in, w, &piece, &used);
    if (verdict == MG_INBOX_LIMIT) {
        return mg_lua_push_failure(L, "limit", "more came before the delimiter than may");
    }
    if (verdict == MG_INBOX_BROKEN) {
        return mg_lua_push_failure(L, "closed", "the peer ended before the delimiter");
    }
    lua_pushboolean(L, 1);
    if (verdict == MG_INBOX_PIECE) {
        mg_lua_push_str(L, piece);
        mg_inbox_take(&s->in, used);
    } else {
        lua_pushnil(L);
    }
    return 2;
}

static int push_read(lua_State *L, mg_op *op) {
    read_op *r = (read_op *)op;
    if (r->s == NULL && r->late) {
        return mg_lua_push_failure(L, "timeout", "the stream was idle for too long: it is closed");
    }
    if (r->s == NULL) {
        return mg_lua_push_failure(L, "closed", "the stream is closed");
    }
    return push_piece(L, r->s, &r->want);
}

static void cancel_read(mg_op *op) {
    (void)op; // nothing runs: bytes come by themselves
}

static void release_read(mg_op *op) {
    read_op *r = (read_op *)op;
    if (r->s != NULL) {
        r->s->reading = NULL;
        regulate(r->s);
    }
    mg_free(r);
}

static const mg_op_kind read_kind = {"stream read", push_read, cancel_read, release_read};

// Reads what is wanted from the arguments behind the handle; see tunnel_read.
static mg_want check_want(lua_State *L) {
    mg_want w = {.n = (size_t)lua_tonumber(L, 2)};
    if (lua_type(L, 3) == LUA_TSTRING) {
        w.delimiter = mg_lua_str(L, 3);
        w.kind = w.delimiter.n > 0 ? MG_WANT_UNTIL : MG_WANT_LINE;
    } else {
        w.kind = w.n > 0 ? MG_WANT_BYTES : MG_WANT_SOME;
    }
    luaL_argcheck(L, w.n <= MG_INBOX_READ_MAX, 2, "too many bytes");
    luaL_argcheck(L, w.delimiter.n <= MG_INBOX_DELIMITER_MAX, 3, "the delimiter is too long");
    return w;
}

// tunnel_read(handle, n, delimiter or nil): `n` bytes (0: whatever there is), or all before the
// delimiter ("": a line), `n` at most -> true, piece (at once; nil at the end) | false, code,
// message | operation | nil, "closed" | nil, "busy" if somebody else is reading.
static int tunnel_read(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    stream *s = find_open(L, vm);
    mg_want w = check_want(L);
    if (s == NULL) {
        return closed(L);
    }
    if (s->reading != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    mg_str piece;
    size_t used;
    if (mg_inbox_look(&s->in, &w, &piece, &used) != MG_INBOX_MORE) {
        int n = push_piece(L, s, &w);
        regulate(s);
        return n;
    }
    read_op *r = mg_calloc(1, sizeof *r);
    r->s = s;
    r->want = w;
    if (w.delimiter.n > 0) {
        memcpy(r->delimiter, w.delimiter.p, w.delimiter.n);
        r->want.delimiter.p = r->delimiter;
    }
    mg_op_start(vm, &r->op, &read_kind);
    s->reading = r;
    lua_pushnumber(L, (lua_Number)r->op.handle);
    regulate(s);
    return 1;
}

// --- writing ---

static int push_room(lua_State *L, mg_op *op) {
    if (((const room_op *)op)->failed) {
        return mg_lua_push_failure(L, "closed", "the stream is closed");
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void cancel_room(mg_op *op) {
    const room_op *w = (const room_op *)op;
    if (w->s != NULL) {
        w->s->writing = NULL;
    }
}

static void release_room(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind room_kind = {"stream write", push_room, cancel_room, release_room};

// tunnel_write(handle, data) -> true | false: taken, but wait before the next | nil, "closed"
static int tunnel_write(lua_State *L) {
    stream *s = find_open(L, mg_vm_of(L));
    mg_str data = mg_lua_check_str(L, 2);
    if (s == NULL) {
        return closed(L);
    }
    int rc = data.n > 0 ? mg_tunnel_write(&s->tunnel, data) : MG_OK;
    moved(s);
    if (rc == MG_ECLOSED) {
        return closed(L);
    }
    // A peer that takes all at once must not keep the loop from its other sockets.
    s->burst += data.n;
    lua_pushboolean(L, rc == MG_OK && s->burst < MG_BURST_BYTES);
    return 1;
}

// tunnel_room(handle) -> operation: done when the backlog has left | nil, "closed" | nil, "busy"
static int tunnel_room(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    stream *s = find_open(L, vm);
    if (s == NULL) {
        return closed(L);
    }
    if (s->writing != NULL) {
        return mg_lua_refuse(L, "busy");
    }
    room_op *w = mg_calloc(1, sizeof *w);
    mg_op_start(vm, &w->op, &room_kind);
    lua_pushnumber(L, (lua_Number)w->op.handle);
    s->burst = 0;
    if (mg_tunnel_backlog(&s->tunnel) == 0) {
        mg_op_finish_later(&w->op);
    } else {
        w->s = s;
        s->writing = w;
    }
    return 1;
}

// --- ending ---

// tunnel_is_over(handle) -> whether the peer has ended its side, or nothing can be sent
static int tunnel_is_over(lua_State *L) {
    const stream *s = find_open(L, mg_vm_of(L));
    lua_pushboolean(L, s == NULL || s->in.fin);
    return 1;
}

// tunnel_shutdown(handle): nothing is sent any more; reading goes on.
static int tunnel_shutdown(lua_State *L) {
    stream *s = find_open(L, mg_vm_of(L));
    if (s != NULL) {
        mg_tunnel_shutdown(&s->tunnel);
    }
    return 0;
}

// tunnel_close(handle): what is waiting still leaves.
static int tunnel_close(lua_State *L) {
    stream *s = find_open(L, mg_vm_of(L));
    if (s != NULL) {
        close_tunnel(s, false);
        if (s->request == 0) { // of a request: with that
            dispose(s);
        }
    }
    return 0;
}

// tunnel_release(handle, failed): it is over, and its request, if it has one; `failed`: the peer
// learns by a reset. Makes nothing in Lua, so that it cannot fail.
static int tunnel_release(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    stream *s = mg_script_stream_at(vm, (uint64_t)lua_tonumber(L, 1));
    if (s == NULL) {
        return 0;
    }
    if (s->request != 0) {
        mg_vm_forget(vm, s->request);
    }
    if (!lua_toboolean(L, 2)) {
        close_tunnel(s, false);
    }
    mg_script_stream_drop(s);
    return 0;
}

void mg_bind_stream(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"may_take_over", may_take_over},     {"take_over", take_over},
        {"tunnel_read", tunnel_read},         {"tunnel_write", tunnel_write},
        {"tunnel_room", tunnel_room},         {"tunnel_is_over", tunnel_is_over},
        {"tunnel_shutdown", tunnel_shutdown}, {"tunnel_close", tunnel_close},
        {"tunnel_release", tunnel_release},   {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
