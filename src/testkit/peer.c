#include "testkit/peer.h"

#include "base/mem.h"
#include "lua/args.h"
#include "testkit/h2_peer.h"

#include <lauxlib.h>

enum { WINDOW = 256 * 1024 };

#define PEER_TYPE "moongate.test.peer"

// The far end of a connection, driven by a spec. It outlives its userdata until the stream is
// closed.
typedef struct peer {
    mg_stream stream;
    mg_conn *conn;
    mg_h2_peer *h2; // translates; NULL: bytes go as they are
    mg_buf in;
    bool ended;
    bool closed;   // the stream's memory may go
    bool released; // the userdata is gone
} peer;

static void free_if_done(peer *p) {
    if (p->closed && p->released) {
        mg_h2_peer_free(p->h2);
        mg_buf_deinit(&p->in);
        mg_free(p);
    }
}

static int write_bytes(peer *p, mg_str bytes) {
    struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
    return mg_stream_closing(&p->stream) ? MG_ECLOSED : mg_stream_write(&p->stream, &v, 1);
}

// Writes what the translation has to say, and frees it.
static int write_translated(peer *p, mg_buf *out) {
    int rc = out->n > 0 ? write_bytes(p, mg_buf_str(out)) : MG_OK;
    mg_buf_deinit(out);
    return rc;
}

static void on_read(mg_stream *s, const char *data, size_t n) {
    peer *p = MG_OF(s, peer, stream);
    mg_buf out = {0};
    if (p->h2 == NULL) {
        mg_buf_append(&p->in, data, n);
        return;
    }
    p->ended |= !mg_h2_peer_receive(p->h2, (mg_str){data, n}, &p->in, &out);
    (void)write_translated(p, &out); // a server that is gone is told by on_end
}

static void on_end(mg_stream *s, int status) {
    (void)status;
    MG_OF(s, peer, stream)->ended = true;
}

static void on_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static void on_closed(mg_stream *s) {
    peer *p = MG_OF(s, peer, stream);
    p->closed = true;
    free_if_done(p);
}

static const mg_stream_events peer_events = {on_read, on_end, on_drain, on_closed};

static peer *check_peer(lua_State *L) {
    return *(peer **)luaL_checkudata(L, 1, PEER_TYPE);
}

// peer:send(bytes) -> true | nil, message
static int peer_send(lua_State *L) {
    peer *p = check_peer(L);
    mg_str bytes;
    bytes.p = luaL_checklstring(L, 2, &bytes.n);
    mg_buf out = {0};
    if (p->h2 != NULL && !mg_h2_peer_send(p->h2, bytes, &out)) {
        mg_buf_deinit(&out);
        return mg_lua_refuse(L, "this is no request of HTTP/1.1: it cannot be sent over HTTP/2");
    }
    int rc = p->h2 != NULL ? write_translated(p, &out) : write_bytes(p, bytes);
    if (rc == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    return mg_lua_refuse(L, mg_strerror(rc));
}

// peer:received() -> all bytes that came and were not taken, whether the server has closed
static int peer_received(lua_State *L) {
    const peer *p = check_peer(L);
    mg_lua_push_str(L, mg_buf_str(&p->in));
    lua_pushboolean(L, p->ended);
    return 2;
}

// peer:count() -> how many bytes are there
static int peer_count(lua_State *L) {
    const peer *p = check_peer(L);
    lua_pushinteger(L, (lua_Integer)p->in.n);
    lua_pushboolean(L, p->ended);
    return 2;
}

// peer:take(n): drops `n` bytes
static int peer_take(lua_State *L) {
    peer *p = check_peer(L);
    size_t n = (size_t)luaL_checkinteger(L, 2);
    mg_buf_consume(&p->in, n < p->in.n ? n : p->in.n);
    return 0;
}

// peer:pause(true): does not read, like a slow client
static int peer_pause(lua_State *L) {
    peer *p = check_peer(L);
    if (lua_toboolean(L, 2)) {
        mg_stream_read_stop(&p->stream);
    } else {
        mg_stream_read_start(&p->stream);
    }
    return 0;
}

static int peer_shutdown(lua_State *L) {
    peer *p = check_peer(L);
    mg_buf out = {0};
    bool of_tunnel = p->h2 != NULL && mg_h2_peer_fin(p->h2, &out);
    (void)write_translated(p, &out);
    if (!of_tunnel) {
        mg_stream_shutdown(&p->stream);
    }
    return 0;
}

// peer:close(reset)
static int peer_close(lua_State *L) {
    mg_stream_close(&check_peer(L)->stream, lua_toboolean(L, 2));
    return 0;
}

static int peer_gc(lua_State *L) {
    peer *p = check_peer(L);
    p->released = true;
    if (!p->closed) {
        mg_stream_close(&p->stream, false);
    }
    free_if_done(p);
    return 0;
}

static void push_peer_type(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"send", peer_send},   {"received", peer_received}, {"count", peer_count},
        {"take", peer_take},   {"pause", peer_pause},       {"shutdown", peer_shutdown},
        {"close", peer_close}, {"__gc", peer_gc},           {NULL, NULL},
    };
    if (luaL_newmetatable(L, PEER_TYPE)) {
        luaL_register(L, NULL, methods);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
}

static peer *push_peer(lua_State *L) {
    peer **box = lua_newuserdata(L, sizeof *box);
    peer *p = mg_calloc(1, sizeof *p);
    *box = p;
    push_peer_type(L);
    lua_setmetatable(L, -2);
    return p;
}

void mg_testkit_push_accepted(lua_State *L, mg_connect *c) {
    peer *p = push_peer(L);
    mg_connect_accept(c, &p->stream, &peer_events, WINDOW);
    mg_stream_read_start(&p->stream);
}

void mg_testkit_push_stream_peer(lua_State *L, mg_server *server, const char *address) {
    peer *p = push_peer(L);
    p->conn = mg_server_connect_stream(server, address, &p->stream, &peer_events, WINDOW);
    mg_stream_read_start(&p->stream);
}

void mg_testkit_push_peer(lua_State *L, mg_server *server, bool http2) {
    peer *p = push_peer(L);
    p->conn = mg_server_connect_pair(server, &p->stream, &peer_events, WINDOW, http2);
    mg_stream_read_start(&p->stream);
    if (http2) {
        mg_buf out = {0};
        p->h2 = mg_h2_peer_new(&out);
        (void)write_translated(p, &out);
    }
}
