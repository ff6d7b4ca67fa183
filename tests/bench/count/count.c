// bench/count: serves requests over a connection in memory, for valgrind to count the instructions.
//
//     valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=F count APP.lua [WORK]
//
// Each work is warmed up until its traces are compiled, then counted alone: callgrind dumps a file
// F.N that has the work's name in it; printed are its requests and the bytes of Lua that each has
// left to the collector, which stands still meanwhile, since where its cycles begin is chance.
// Nothing depends on the hour: the clock is virtual, and LuaJIT's random numbers are the same in
// each run.

#include "origin.h"

#include "gate/access_log.h"
#include "live/guest.h"
#include "lua/lua_app.h"
#include "server/server.h"
#include "store/memory_cache.h"

#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

enum {
    DEPTH = 16,
    WARM_BATCHES = 400,
    COUNTED_BATCHES = 200,
    WINDOW = 1 << 20,
    CACHE_BYTES = 1 << 20,
    ROOM = 64, // sockets that a message goes to
    BACK = 2 + 64,
};

typedef struct work {
    const char *name;
    const char *request;
    int depth;        // requests of a batch
    bool interpreted; // what cannot be compiled whole: which parts are is left to chance
    bool logged;      // with a line of the access log, up to the log's own thread
    bool http2;       // the request is a block of HPACK
    const char *open; // the path of a WebSocket, whose messages the requests are; NULL: none
    int room;         // sockets that each message goes to, this one among them; 0: back to it alone
} work;

#define FIELDS                                                                                     \
    "Host: localhost:8080\r\nUser-Agent: count/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"

// GET of /text over http, with those fields, nothing indexed.
#define BLOCK                                                                                      \
    "\x82\x86\x04\x05/text\x01\x0elocalhost:8080"                                                  \
    "\x0f\x2b\x09"                                                                                 \
    "count/1.0"                                                                                    \
    "\x0f\x04\x03*/*\x0f\x01\x04gzip"

// A frame of 64 bytes of text, whose mask makes small letters of large ones.
#define FRAME                                                                                      \
    "\x81\xc0    "                                                                                 \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL"

static const work works[] = {
    {"text", "GET /text HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"json", "GET /users/42 HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"json_logged", "GET /users/42 HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1, .logged = true},
    {"json_pipelined", "GET /users/42 HTTP/1.1\r\n" FIELDS "\r\n", .depth = DEPTH},
    {"sleep", "GET /sleep HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"echo",
     "POST /echo HTTP/1.1\r\n" FIELDS "Content-Length: 32\r\n\r\n0123456789abcdef0123456789abcdef",
     .depth = 1},
    {"onion", "GET /onion/7 HTTP/1.1\r\n" FIELDS "Authorization: Bearer x\r\nX-Tag: blue\r\n\r\n",
     .depth = 1, .interpreted = true},
    {"cached", "GET /cached HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"h2_text", BLOCK, .depth = 1, .http2 = true},
    {"h2_text_many", BLOCK, .depth = DEPTH, .http2 = true},
    {"relay", "GET /relay/1024 HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"relay_h2", "GET /relay_h2/1024 HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"relay_post",
     "POST /relay/1024 HTTP/1.1\r\n" FIELDS
     "Content-Length: 32\r\n\r\n0123456789abcdef0123456789abcdef",
     .depth = 1},
    {"relay_lua", "GET /tagged/1024 HTTP/1.1\r\n" FIELDS "\r\n", .depth = 1},
    {"ws_echo", FRAME, .depth = 1, .open = "/ws"},
    {"ws_echo_many", FRAME, .depth = DEPTH, .open = "/ws"},
    {"ws_echo_loop", FRAME, .depth = 1, .open = "/ws_loop"},
    {"ws_room", FRAME, .depth = 1, .open = "/ws_room", .room = ROOM},
};

// LuaJIT seeds itself with the first of these: it decides when a loop is compiled, and where code
// lies. Libraries find both here before they find libc's.
#define VISIBLE __attribute__((visibility("default")))
VISIBLE long syscall(long number, ...);
VISIBLE ssize_t getrandom(void *to, size_t n, unsigned flags);

VISIBLE ssize_t getrandom(void *to, size_t n, unsigned flags) {
    (void)flags;
    memset(to, 42, n);
    return (ssize_t)n;
}

VISIBLE long syscall(long number, ...) {
    va_list args;
    va_start(args, number);
    void *to = va_arg(args, void *);
    size_t n = va_arg(args, size_t);
    va_end(args);
    if (number != SYS_getrandom) {
        fprintf(stderr, "count: an unexpected system call: %ld\n", number);
        abort();
    }
    return getrandom(to, n, 0);
}

// --- the peer ---

static size_t got; // bytes that came to all peers

typedef struct peer {
    mg_stream stream;
    bool ended;
    bool http2;
    uint32_t next_id;     // of its streams
    const char *expected; // what each answer begins with
} peer;

static bool is_fine(const peer *p, const char *data, size_t n) {
    if (p->http2) {
        return n > 9 && data[3] != 7; // no GOAWAY
    }
    size_t expected_n = strlen(p->expected);
    return strncmp(data, p->expected, n < expected_n ? n : expected_n) == 0;
}

static void on_read(mg_stream *s, const char *data, size_t n) {
    if (!is_fine(MG_OF(s, peer, stream), data, n)) {
        fprintf(stderr, "count: %.*s\n", (int)n, data);
        exit(1);
    }
    got += n;
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
    (void)s;
}

static const mg_stream_events peer_events = {on_read, on_end, on_drain, on_closed};

// --- counting ---

// Without time passing: there are timers for ever.
static void settle(mg_loop *loop) {
    while (mg_loop_turn(loop, false, false, 0) == MG_LOOP_MOVED) {
    }
}

// HEADERS with the end of the head and of the stream.
static void append_h2(peer *p, mg_buf *out, mg_str block) {
    const uint32_t id = p->next_id;
    const uint8_t header[9] = {
        0, 0, (uint8_t)block.n, 1, 5, 0, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    mg_buf_append(out, header, sizeof header);
    mg_buf_append_str(out, block);
    p->next_id += 2;
}

static void make_batch(peer *p, const work *w, mg_buf *out) {
    mg_buf_clear(out);
    for (int i = 0; i < w->depth; i++) {
        if (w->http2) {
            append_h2(p, out, mg_str_of(w->request));
        } else {
            mg_buf_append_str(out, mg_str_of(w->request));
        }
    }
}

static void say(peer *p, mg_str bytes) {
    struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
    if (mg_stream_write(&p->stream, &v, 1) != 0) {
        abort();
    }
}

static void ask(mg_loop *loop, peer *p, const work *w, mg_buf *batch, int times) {
    for (int i = 0; i < times; i++) {
        size_t before = got;
        if (w->http2 || i == 0) {
            make_batch(p, w, batch);
        }
        say(p, mg_buf_str(batch));
        size_t least = w->room > 0 ? (size_t)w->room * BACK : 1;
        while (got - before < least && !p->ended) {
            mg_loop_turn(loop, false, true, UINT64_MAX);
        }
    }
}

// The client's preface, its SETTINGS, and that it has seen the server's.
static void greet_h2(peer *p) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\0\4\0\0\0\0\0"
                                  "\0\0\0\4\1\0\0\0\0";
    say(p, (mg_str){preface, sizeof preface - 1});
}

static void greet_websocket(peer *p, const char *path) {
    mg_buf head = {0};
    mg_buf_printf(
        &head,
        "GET %s HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        path);
    p->expected = "HTTP/1.1 101";
    say(p, mg_buf_str(&head));
    mg_buf_deinit(&head);
}

static void connect_peer(mg_loop *loop, mg_server *server, const work *w, peer *p) {
    *p = (peer){.http2 = w->http2, .next_id = 1, .expected = "HTTP/1.1 200"};
    mg_server_connect_pair(server, &p->stream, &peer_events, WINDOW, w->http2);
    mg_stream_read_start(&p->stream);
    if (w->http2) {
        greet_h2(p);
    } else if (w->open != NULL) {
        greet_websocket(p, w->open);
    }
    settle(loop);
    if (w->open != NULL) {
        p->expected = "\x81"; // text
    }
}

static void on_access(void *arg, const mg_access_record *r) {
    mg_access_log_write(arg, r);
}

static void count(mg_loop *loop, mg_server *server, lua_State *L, const work *w) {
    static peer peers[ROOM];
    int count = w->room > 0 ? w->room : 1;
    server->on_access = w->logged ? on_access : NULL;
    mg_buf batch = {0};
    for (int i = 0; i < count; i++) {
        connect_peer(loop, server, w, &peers[i]);
    }
    peer *p = &peers[0];
    int requests = COUNTED_BATCHES * DEPTH / count;
    ask(loop, p, w, &batch, WARM_BATCHES * DEPTH / w->depth / count);
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCSTOP, 0);
    int before_kib = lua_gc(L, LUA_GCCOUNT, 0);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    ask(loop, p, w, &batch, requests / w->depth);
    CALLGRIND_DUMP_STATS_AT(w->name);
    CALLGRIND_STOP_INSTRUMENTATION;
    int grown_kib = lua_gc(L, LUA_GCCOUNT, 0) - before_kib;
    lua_gc(L, LUA_GCRESTART, 0);
    if (p->ended) {
        fprintf(stderr, "count: %s: the connection was closed\n", w->name);
        exit(1);
    }
    printf("%s %d %d\n", w->name, requests * count, grown_kib * 1024 / (requests * count));
    for (int i = 0; i < count; i++) {
        mg_stream_close(&peers[i].stream, false);
    }
    settle(loop);
    mg_buf_deinit(&batch);
}

// --- the server ---

static void on_sample(void *arg, lua_State *L, int samples, int state) {
    (void)arg;
    (void)L;
    (void)samples;
    (void)state;
}

static void compile(lua_State *L, bool on) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
    if (!on) {
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    }
}

static void on_ready(void *arg, const char *message) {
    *(bool *)arg = message == NULL;
}

static void open_services(mg_services *services, mg_loop *loop) {
    void *room =
        mmap(NULL, CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mg_memory_cache *memory = NULL;
    if (room == MAP_FAILED || mg_memory_cache_format(room, CACHE_BYTES, NULL) != MG_OK ||
        mg_memory_cache_open(&memory, room, CACHE_BYTES, NULL) != MG_OK) {
        abort();
    }
    services->cache = mg_memory_cache_lend(memory, loop, 1);
    static const mg_topics_options topics = {
        .topics = 1000, .subscribed = 100, .message_bytes = 1 << 18};
    static const mg_guest_options guests = {.outbox_bytes = 1 << 18, .close_ms = 5000};
    services->topics = mg_topics_new(&topics);
    services->guests = mg_guests_new(loop, services->topics, &guests);
}

int main(int argc, char **argv) {
    const mg_server_options options = {
        .h2 = mg_h2_default_limits,
        .request_line_bytes = 8192,
        .header_bytes = 32768,
        .header_fields = 100,
        .body_bytes = 1 << 20,
        .discard_bytes = 1 << 18,
        .pipeline_bytes = 65536,
        .requests_per_connection = UINT32_MAX,
        .header_ms = 10000,
        .body_grace_ms = 20000,
        .send_ms = 60000,
        .handler_ms = 30000,
        .idle_ms = 75000,
        .half_close_ms = 1000,
        .linger_ms = 2000,
    };
    mg_loop *loop;
    mg_lua_app *app = NULL;
    mg_log *log = NULL;
    mg_access_log access;
    mg_error err;
    mg_services services = {0};
    const mg_lua_app_options o = {
        .root = "", .path = argc > 1 ? argv[1] : "", .handler_ms = 30000, .services = &services};
    if (mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}) != 0) {
        abort();
    }
    open_services(&services, loop);
    services.upstreams = count_origin_open(loop);
    if (mg_lua_app_new(&app, loop, &o, &err) != 0 ||
        mg_log_open(&log, &(mg_log_options){.target = "/dev/null"}, &err) != 0) {
        fprintf(stderr, "count: %s\n", err.text);
        return 1;
    }
    mg_lua_app_attach(app);
    mg_server *server = mg_server_new(loop, mg_lua_app_seam(app), &options);
    mg_lua_app_vm(app)->server = server;
    mg_access_log_init(&access, log, false);
    server->log_arg = &access;
    // As the watch for stalls does: compiled code then looks for a sample now and again.
    luaJIT_profile_start(mg_lua_app_vm(app)->L, "li1000000", on_sample, NULL);
    bool ready = false;
    mg_lua_app_start(app, on_ready, &ready);
    settle(loop);
    if (!ready) {
        return 1;
    }
    mg_lua_app_commit(app);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        if (argc < 3 || strcmp(argv[2], works[i].name) == 0) {
            compile(mg_lua_app_vm(app)->L, !works[i].interpreted);
            count(loop, server, mg_lua_app_vm(app)->L, &works[i]);
        }
    }
    fflush(stdout);
    _exit(0); // which frees the rest
}
