#include "testkit/kit.h"

#include "config/options.h"
#include "live/guest.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "testkit/kit_inside.h"
#include "testkit/peer.h"

enum { CLOSE_TURNS = 1000 };

mg_testkit *mg_testkit_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(1));
}

// test_connect(over HTTP/2?) -> peer
static int connect_peer(lua_State *L) {
    mg_testkit *k = mg_testkit_of(L);
    if (k->server == NULL) {
        return luaL_error(L, "test_serve comes before test_connect");
    }
    mg_testkit_push_peer(L, k->server, lua_toboolean(L, 1));
    return 1;
}

// test_connect_stream(address) -> peer
static int connect_stream(lua_State *L) {
    mg_testkit_push_stream_peer(L, mg_testkit_of(L)->server, luaL_checkstring(L, 1));
    return 1;
}

static void turn_until_closed(mg_testkit *k) {
    for (int i = 0; i < CLOSE_TURNS && k->server->stats.connections > 0; i++) {
        mg_loop_turn(k->loop, false, false, 0);
    }
}

static void close_server(mg_testkit *k) {
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
    mg_testkit *k = mg_testkit_of(L);
    mg_server_options options;
    mg_config_limits limits;
    mg_topics_options topics;
    mg_error err;
    int rc = mg_config_server_options_of_json(luaL_optstring(L, 1, "{}"), &options, &limits, &err);
    if (rc != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    mg_trust *trust = check_trust(L, 2);
    close_server(k);
    mg_config_topics_options(&limits, &topics);
    mg_topics_set_options(k->services.topics, &topics);
    mg_event_streams_set_outbox(k->services.event_streams, limits.outbox);
    k->trust = trust;
    options.trust = trust;
    k->server = mg_server_new(k->loop, mg_vm_seam(k->vm), &options);
    k->vm->server = k->server;
    return 0;
}

// test_turn(may_jump, not beyond this time in seconds or nil) -> "idle" | "moved" | "jumped"
static int turn(lua_State *L) {
    static const char *const names[] = {
        [MG_LOOP_IDLE] = "idle", [MG_LOOP_MOVED] = "moved", [MG_LOOP_JUMPED] = "jumped"};
    mg_testkit *k = mg_testkit_of(L);
    uint64_t limit = lua_isnumber(L, 2) ? (uint64_t)(lua_tonumber(L, 2) * 1000 + 0.5) : UINT64_MAX;
    lua_pushstring(L, names[mg_loop_turn(k->loop, true, lua_toboolean(L, 1), limit)]);
    return 1;
}

// test_set_now(seconds): moves the clock
static int set_now(lua_State *L) {
    mg_loop_set_now(mg_testkit_of(L)->loop, (uint64_t)(luaL_checknumber(L, 1) * 1000 + 0.5));
    return 0;
}

// test_connections() -> how many are open on the server's side
static int connections(lua_State *L) {
    const mg_testkit *k = mg_testkit_of(L);
    lua_pushinteger(L, k->server != NULL ? (lua_Integer)k->server->stats.connections : 0);
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
    mg_testkit *k = mg_testkit_of(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "moongate.test.log");
    k->vm->on_log = lua_isfunction(L, 1) ? forward_log : NULL;
    k->vm->log_arg = k->vm;
    return 0;
}

// test_shuffle(seed): other legal orders from now on, the same for the same seed; 0: none.
static int shuffle(lua_State *L) {
    mg_testkit_shuffle_seed(&mg_testkit_of(L)->shuffle, (uint64_t)luaL_checknumber(L, 1));
    return 0;
}

static int kit_gc(lua_State *L) {
    mg_testkit *k = lua_touserdata(L, 1);
    if (k->loop == NULL) {
        return 0;
    }
    close_server(k);
    mg_testkit_close_stores(k);
    mg_testkit_close_upstreams(k);
    mg_testkit_close_client(k);
    mg_event_streams_free(k->services.event_streams);
    mg_testkit_shuffle_deinit(&k->shuffle);
    mg_vm_free(k->vm);
    mg_guests_free(k->services.guests);
    mg_topics_free(k->services.topics);
    mg_loop_free(k->loop);
    mg_testkit_net_deinit(&k->net);
    k->loop = NULL;
    return 0;
}

static void push_kit(lua_State *L, mg_testkit **out) {
    mg_testkit *k = lua_newuserdata(L, sizeof *k);
    memset(k, 0, sizeof *k);
    lua_newtable(L);
    lua_pushcfunction(L, kit_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *out = k;
}

// Of the table on the top of the stack.
static void set_functions(lua_State *L, mg_testkit *k, const luaL_Reg *f) {
    for (; f->name != NULL; f++) {
        lua_pushlightuserdata(L, k);
        lua_pushcclosure(L, f->func, 1);
        lua_setfield(L, -2, f->name);
    }
}

int mg_testkit_open(lua_State *L) {
    static const mg_topics_options topics = {
        .topics = 100000, .subscribed = 1000, .message_bytes = 1 << 20};
    static const mg_guest_options guests = {.outbox_bytes = 256 * 1024, .close_ms = 5000};
    static const luaL_Reg functions[] = {
        {"test_connect", connect_peer},
        {"test_connect_stream", connect_stream},
        {"test_serve", serve},
        {"test_turn", turn},
        {"test_set_now", set_now},
        {"test_on_log", on_log},
        {"test_shuffle", shuffle},
        {"test_connections", connections},
        {"test_configuration", mg_testkit_configuration},
        {"settings", mg_testkit_settings},
        {NULL, NULL},
    };
    mg_testkit *k;
    push_kit(L, &k);
    int rc = mg_loop_new(&k->loop, &(mg_loop_options){.virtual_clock = true});
    if (rc != 0) {
        return luaL_error(L, "the event loop cannot be made: %s", mg_strerror(rc));
    }
    mg_testkit_net_init(&k->net, k->loop);
    // A thread of its own: the coroutine that requires the module may be gone when the loop turns.
    lua_State *thread = lua_newthread(L);
    k->vm = mg_vm_new(thread, k->loop);
    k->database.name = "default";
    k->services.databases = &k->database;
    k->services.topics = mg_topics_new(&topics);
    k->services.guests = mg_guests_new(k->loop, k->services.topics, &guests);
    k->services.event_streams =
        mg_event_streams_new(k->loop, k->services.topics, guests.outbox_bytes);
    k->vm->services = &k->services;
    mg_error err;
    if (mg_testkit_open_client(k, &err) != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    mg_testkit_shuffle_init(&k->shuffle, k->vm);
    mg_vm_attach(k->vm);
    mg_push_native(L, k->vm);
    lua_insert(L, -3);
    lua_setfield(L, -3, "thread");
    lua_setfield(L, -2, "kit");
    set_functions(L, k, functions);
    set_functions(L, k, mg_testkit_store_functions);
    set_functions(L, k, mg_testkit_net_functions);
    return 1;
}

// The entry that `require("moongate.native")` finds in moongate.so.
__attribute__((visibility("default"))) int luaopen_moongate_native(lua_State *L);

int luaopen_moongate_native(lua_State *L) {
    return mg_testkit_open(L);
}
