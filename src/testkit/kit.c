#include "testkit/kit.h"
#include "lua/args.h"

#include "base/mem.h"
#include "config/config.h"
#include "http/forwarded.h"
#include "lua/bind.h"
#include "lua/bind_database.h"
#include "store/memory_cache.h"
#include "store/migration_files.h"
#include "store/sqlite.h"

#include <sys/mman.h>

enum { WINDOW = 256 * 1024, CLOSE_TURNS = 1000 };

#define PEER_TYPE "moongate.test.peer"

typedef struct kit {
    mg_loop *loop;
    mg_vm *vm;
    mg_server *server;
    mg_trust *trust; // of the server
    mg_services services;
    mg_named_database database; // the one of the app under test, as "default"
    void *cache_room;           // of its cache; NULL: none
    size_t cache_bytes;
} kit;

// The far end of a connection, driven by a spec. It outlives its userdata until the stream is
// closed.
typedef struct peer {
    mg_stream stream;
    mg_conn *conn;
    mg_buf in;
    bool ended;
    bool closed;   // the stream's memory may go
    bool released; // the userdata is gone
} peer;

// --- the far end ---

static void free_if_done(peer *p) {
    if (p->closed && p->released) {
        mg_buf_deinit(&p->in);
        mg_free(p);
    }
}

static void on_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, peer, stream)->in, data, n);
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
    struct iovec v;
    v.iov_base = (void *)(uintptr_t)luaL_checklstring(L, 2, &v.iov_len);
    int rc = mg_stream_closing(&p->stream) ? MG_ECLOSED : mg_stream_write(&p->stream, &v, 1);
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
    mg_stream_shutdown(&check_peer(L)->stream);
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

// --- the kit ---

static kit *kit_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

// test_connect() -> peer
static int connect_peer(lua_State *L) {
    kit *k = kit_of(L);
    if (k->server == NULL) {
        return luaL_error(L, "test_serve comes before test_connect");
    }
    peer **box = lua_newuserdata(L, sizeof *box);
    peer *p = mg_calloc(1, sizeof *p);
    *box = p;
    push_peer_type(L);
    lua_setmetatable(L, -2);
    p->conn = mg_server_connect_pair(k->server, &p->stream, &peer_events, WINDOW);
    mg_stream_read_start(&p->stream);
    return 1;
}

static void turn_until_closed(kit *k) {
    for (int i = 0; i < CLOSE_TURNS && k->server->stats->connections > 0; i++) {
        mg_loop_turn(k->loop, false, false, 0);
    }
}

static void close_server(kit *k) {
    if (k->server != NULL) {
        mg_server_close(k->server);
        turn_until_closed(k);
        mg_server_free(k->server);
        k->server = NULL;
        k->vm->server = NULL;
        mg_trust_free(k->trust);
        k->trust = NULL;
    }
}

enum { TEXTS_MAX = 32 };

// Reads the list of texts at `index`, nil being an empty one and a text a list of one.
static size_t check_texts(lua_State *L, int index, const char *texts[TEXTS_MAX]) {
    if (lua_isstring(L, index)) {
        texts[0] = lua_tostring(L, index);
        return 1;
    }
    size_t n = lua_istable(L, index) ? lua_objlen(L, index) : 0;
    luaL_argcheck(L, n <= TEXTS_MAX, index, "at most 32 texts");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        texts[i] = luaL_checkstring(L, -1); // the list keeps it
        lua_pop(L, 1);
    }
    return n;
}

// Of the proxies at `index` and their fields behind it. Raises what is wrong with them.
static mg_trust *check_trust(lua_State *L, int index) {
    const char *proxies[TEXTS_MAX];
    const char *fields[TEXTS_MAX];
    size_t proxy_count = check_texts(L, index, proxies);
    size_t field_count = check_texts(L, index + 1, fields);
    mg_trust *trust = NULL;
    mg_error err;
    if (mg_trust_new(&trust, proxies, proxy_count, &err) != MG_OK) {
        luaL_error(L, "trusted_proxies: %s", err.text);
    }
    bool heed = !lua_isnoneornil(L, index + 1);
    if (heed && mg_trust_heed(trust, fields, field_count, &err) != MG_OK) {
        mg_trust_free(trust);
        luaL_error(L, "forwarded: %s", err.text);
    }
    return trust;
}

// test_serve(limits and timeouts as JSON, trusted proxies, their fields): a server with these
// options instead of the last one
static int serve(lua_State *L) {
    kit *k = kit_of(L);
    mg_server_options options;
    mg_error err;
    int rc = mg_config_server_options_of_json(luaL_optstring(L, 1, "{}"), &options, &err);
    if (rc != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    mg_trust *trust = check_trust(L, 2);
    close_server(k);
    k->trust = trust;
    options.trust = trust;
    k->server = mg_server_new(k->loop, mg_vm_seam(k->vm), &options);
    k->vm->server = k->server;
    return 0;
}

static void close_database(kit *k) {
    mg_database *d = k->database.database;
    if (d != NULL) {
        k->services.database_count = 0;
        k->database.database = NULL;
        mg_bind_database_forget(k->vm, d);
        mg_database_free(d);
    }
}

static void close_cache(kit *k) {
    mg_cache_free(k->services.cache);
    k->services.cache = NULL;
    if (k->cache_room != NULL) {
        munmap(k->cache_room, k->cache_bytes);
        k->cache_room = NULL;
    }
}

// test_cache(bytes): an empty cache instead of the one before; 0: none.
static int cache(lua_State *L) {
    kit *k = kit_of(L);
    mg_error err;
    close_cache(k);
    k->cache_bytes = (size_t)luaL_checknumber(L, 1);
    if (k->cache_bytes == 0) {
        return 0;
    }
    k->cache_room =
        mmap(NULL, k->cache_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k->cache_room == MAP_FAILED) {
        k->cache_room = NULL;
        return luaL_error(L, "cache: no memory");
    }
    mg_memory_cache *memory = NULL;
    if (mg_memory_cache_format(k->cache_room, k->cache_bytes, &err) != MG_OK ||
        mg_memory_cache_open(&memory, k->cache_room, k->cache_bytes, &err) != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    k->services.cache = mg_memory_cache_lend(memory, k->vm->loop, 1);
    return 0;
}

// test_database("sqlite:PATH", "sqlite::memory:", or false): the default database instead of the
// last one
static int database(lua_State *L) {
    kit *k = kit_of(L);
    mg_error err;
    mg_str scheme = MG_STR("sqlite:");
    const char *url = lua_toboolean(L, 1) ? luaL_checkstring(L, 1) : NULL;
    close_database(k);
    if (url == NULL) {
        return 0;
    }
    luaL_argcheck(L, strncmp(url, scheme.p, scheme.n) == 0, 1, "\"sqlite::memory:\" is wanted");
    mg_sqlite_options options = {.path = url + scheme.n};
    if (mg_sqlite_open(&k->database.database, k->loop, &options, &err) != MG_OK) {
        return luaL_error(L, "database: %s", err.text);
    }
    k->services.database_count = 1;
    return 0;
}

static void push_statements(lua_State *L, const mg_migration *m) {
    mg_str rest = m->text;
    lua_newtable(L);
    for (int i = 1; rest.n > 0; i++) {
        size_t n = mg_sqlite_statement_bytes(rest);
        if (n == 0) {
            break;
        }
        lua_pushlstring(L, rest.p, n);
        lua_rawseti(L, -2, i);
        rest = (mg_str){rest.p + n, rest.n - n};
    }
}

// test_migrations(folder) -> list of { path =, statements = list }, in their order
static int migrations(lua_State *L) {
    mg_migrations files;
    mg_arena arena = {0};
    mg_error err;
    if (mg_migration_files_read(&files, &arena, luaL_checkstring(L, 1), &err) != MG_OK) {
        mg_arena_deinit(&arena);
        return luaL_error(L, "%s", err.text);
    }
    lua_createtable(L, (int)files.n, 0);
    for (size_t i = 0; i < files.n; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, files.items[i].path);
        lua_setfield(L, -2, "path");
        push_statements(L, &files.items[i]);
        lua_setfield(L, -2, "statements");
        lua_rawseti(L, -2, (int)i + 1);
    }
    mg_arena_deinit(&arena);
    return 1;
}

// test_turn(may_jump, not beyond this time in seconds or nil) -> "idle" | "moved" | "jumped"
static int turn(lua_State *L) {
    static const char *const names[] = {
        [MG_LOOP_IDLE] = "idle", [MG_LOOP_MOVED] = "moved", [MG_LOOP_JUMPED] = "jumped"};
    kit *k = kit_of(L);
    uint64_t limit = lua_isnumber(L, 2) ? (uint64_t)(lua_tonumber(L, 2) * 1000 + 0.5) : UINT64_MAX;
    lua_pushstring(L, names[mg_loop_turn(k->loop, true, lua_toboolean(L, 1), limit)]);
    return 1;
}

// test_set_now(seconds): moves the clock
static int set_now(lua_State *L) {
    mg_loop_set_now(kit_of(L)->loop, (uint64_t)(luaL_checknumber(L, 1) * 1000 + 0.5));
    return 0;
}

// test_connections() -> how many are open on the server's side
static int connections(lua_State *L) {
    const kit *k = kit_of(L);
    lua_pushinteger(L, k->server != NULL ? (lua_Integer)k->server->stats->connections : 0);
    return 1;
}

static void push_log_fields(lua_State *L, const mg_log_event *e) {
    lua_createtable(L, 0, (int)e->field_count);
    for (size_t i = 0; i < e->field_count; i++) {
        mg_lua_push_str(L, e->fields[i].key);
        mg_lua_push_str(L, e->fields[i].value);
        if (e->fields[i].literal && lua_isnumber(L, -1)) {
            lua_pushnumber(L, lua_tonumber(L, -1));
            lua_remove(L, -2);
        }
        lua_rawset(L, -3);
    }
}

static void forward_log(void *arg, const mg_log_event *e) {
    lua_State *L = ((mg_vm *)arg)->L;
    lua_getfield(L, LUA_REGISTRYINDEX, "moongate.test.log");
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushstring(L, mg_log_level_name(e->level));
    mg_lua_push_str(L, e->message);
    push_log_fields(L, e);
    if (lua_pcall(L, 3, 0, 0) != 0) {
        lua_pop(L, 1);
    }
}

// test_on_log(fn(level's name, message, fields)): where the log goes
static int on_log(lua_State *L) {
    kit *k = kit_of(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "moongate.test.log");
    k->vm->on_log = lua_isfunction(L, 1) ? forward_log : NULL;
    k->vm->log_arg = k->vm;
    return 0;
}

static int kit_gc(lua_State *L) {
    kit *k = lua_touserdata(L, 1);
    if (k->loop == NULL) {
        return 0;
    }
    close_server(k);
    close_database(k);
    close_cache(k);
    mg_vm_free(k->vm);
    mg_loop_free(k->loop);
    k->loop = NULL;
    return 0;
}

static void push_kit(lua_State *L, kit **out) {
    kit *k = lua_newuserdata(L, sizeof *k);
    memset(k, 0, sizeof *k);
    lua_newtable(L);
    lua_pushcfunction(L, kit_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *out = k;
}

int mg_testkit_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"test_connect", connect_peer},
        {"test_serve", serve},
        {"test_database", database},
        {"test_cache", cache},
        {"test_turn", turn},
        {"test_migrations", migrations},
        {"test_set_now", set_now},
        {"test_on_log", on_log},
        {"test_connections", connections},
        {NULL, NULL},
    };
    kit *k;
    push_kit(L, &k);
    int rc = mg_loop_new(&k->loop, &(mg_loop_options){.virtual_clock = true});
    if (rc != 0) {
        return luaL_error(L, "the event loop cannot be made: %s", mg_strerror(rc));
    }
    // A thread of its own: the coroutine that requires the module may be gone when the loop turns.
    lua_State *thread = lua_newthread(L);
    k->vm = mg_vm_new(thread, k->loop);
    k->database.name = "default";
    k->services.databases = &k->database;
    k->vm->services = &k->services;
    mg_vm_attach(k->vm);
    mg_push_native(L, k->vm);
    lua_insert(L, -3);
    lua_setfield(L, -3, "thread");
    lua_setfield(L, -2, "kit");
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        lua_pushlightuserdata(L, k);
        lua_pushcclosure(L, f->func, 1);
        lua_setfield(L, -2, f->name);
    }
    return 1;
}

// The entry that `require("moongate.native")` finds in moongate.so.
__attribute__((visibility("default"))) int luaopen_moongate_native(lua_State *L);

int luaopen_moongate_native(lua_State *L) {
    return mg_testkit_open(L);
}
