#include "lua/memory.h"

#include "app_folder.h"
#include "lua/lua_app.h"
#include "server/peer.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>

enum { MIB = 1 << 20, LIMIT = 8 * MIB, WINDOW = 1 << 16 };

static app_folder folder;
static rig r; // its loop and server; the app is one of Lua
static peer p;
static mg_lua_app *app;
static mg_error err;
static char logged[400]; // the last one
static int readies;

static int set_up(void **state) {
    (void)state;
    app = NULL;
    logged[0] = '\0';
    r = (rig){0};
    app_folder_open(&folder);
    return mg_loop_new(&r.loop, &(mg_loop_options){.virtual_clock = true});
}

static int tear_down(void **state) {
    (void)state;
    if (r.server != NULL) {
        peer_close(&r, &p, false);
        mg_server_close(r.server);
        rig_settle(&r);
        mg_server_free(r.server);
    }
    mg_lua_app_free(app);
    app_folder_close(&folder);
    return mg_loop_free(r.loop);
}

static void on_log(void *arg, const mg_log_event *event) {
    (void)arg;
    snprintf(logged, sizeof logged, "%.*s", (int)event->message.n, event->message.p);
}

static void on_ready(void *arg, const char *message) {
    (void)arg;
    readies += message == NULL;
}

// `source` declares routes of `app`, from line 1 on.
static int load(const char *source, size_t limit) {
    char text[2000];
    snprintf(text, sizeof text,
             "local moongate = require('moongate') local app = moongate.app() %s\nreturn app\n",
             source);
    app_folder_write(&folder, text);
    mg_lua_app_options o = {
        .root = folder.root,
        .path = folder.script,
        .handler_ms = 30000,
        .load_ms = 30000,
        .memory_bytes = limit,
        .on_log = on_log,
    };
    return mg_lua_app_new(&app, r.loop, &o, &err);
}

static mg_lua_memory *memory(void) {
    return &mg_lua_app_vm(app)->memory;
}

static void serve(const char *source, size_t limit) {
    if (load(source, limit) != MG_OK) {
        fail_msg("%s", err.text);
    }
    mg_lua_app_attach(app);
    readies = 0;
    mg_lua_app_start(app, on_ready, NULL);
    rig_settle(&r);
    assert_int_equal(readies, 1);
    mg_server_options options = rig_options();
    r.server = mg_server_new(r.loop, mg_lua_app_seam(app), &options);
    mg_lua_app_vm(app)->server = r.server;
    mg_lua_app_commit(app);
    peer_open(&r, &p, WINDOW);
}

// The status of the answer, which is left in p.got. A refusal closes: the next one comes anew.
static int get(const char *path) {
    char text[200];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    if (p.ends > 0) {
        peer_close(&r, &p, false);
        peer_open(&r, &p, WINDOW);
    }
    mg_buf_clear(&p.got);
    peer_send(&r, &p, text);
    assert_true(p.got.n > 12);
    const char *digits = p.got.p + strlen("HTTP/1.1 "); // no NUL stands behind what has come
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

static void assert_has(const char *want) {
    if (memmem(p.got.p, p.got.n, want, strlen(want)) == NULL) {
        fail_msg("want: %s\ngot:  %.*s", want, (int)p.got.n, p.got.p);
    }
}

// --- counting ---

static size_t lua_says(lua_State *L) {
    return (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
}

static void all_that_the_state_has_is_counted(void **state) {
    (void)state;
    assert_int_equal(load("", 0), MG_OK);
    lua_State *L = mg_lua_app_vm(app)->L;
    assert_int_equal(memory()->used, lua_says(L));
    assert_int_equal(mg_lua_app_memory(app), memory()->used);
    size_t before = memory()->used;
    assert_int_equal(luaL_dostring(L, "x = ('x'):rep(1e6)"), 0);
    assert_true(memory()->used > before + MIB / 2);
    assert_int_equal(memory()->used, lua_says(L));
    assert_int_equal(luaL_dostring(L, "x = nil collectgarbage()"), 0);
    assert_true(memory()->used < before + MIB / 2);
    assert_int_equal(memory()->used, lua_says(L));
}

static void without_a_limit_nothing_is_refused(void **state) {
    (void)state;
    serve("local kept\n"
          "app:get('/', function() kept = ('x'):rep(5e7) return 'x' end)",
          0);
    assert_int_equal(get("/"), 200);
    assert_true(memory()->used > 32 * MIB);
    assert_false(mg_lua_memory_is_full(memory()));
    assert_false(memory()->over);
}

// --- what goes beyond the limit ---

#define EAT "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end "

static const char greedy[] =
    "app:get('/eat', function() " EAT "end)\n"
    "app:get('/caught', function() while true do pcall(function() " EAT "end) end end)\n"
    "app:get('/wrapped', function()\n"
    "  while true do pcall(coroutine.wrap(function() " EAT "end)) end end)\n"
    "app:get('/records', function()\n"
    "  local t = {} for i = 1, 1e9 do t[i] = { i, { i } } end end)\n"
    "app:get('/double', function() local s = 'x' while true do s = s .. s end end)\n"
    "app:get('/big', function() return #('x'):rep(1e9) .. '' end)\n"
    "app:get('/big-caught', function()\n"
    "  while true do pcall(string.rep, 'x', 1e9) end end)\n"
    "app:get('/good', function() return 'good' end)";

static void assert_ended(const char *path) {
    assert_int_equal(get(path), 503);
    assert_has("\r\nRetry-After: 1\r\n");
    assert_has("the scripts' memory is used up");
    char want[100];
    snprintf(want, sizeof want, "the handler of GET %s failed", path);
    assert_non_null(strstr(logged, want));
    mg_loop_set_now(r.loop, mg_loop_now_ms(r.loop) + 2000);
    assert_true(memory()->used < LIMIT / 2);
    assert_false(memory()->over);
    assert_int_equal(get("/good"), 200);
}

static void a_handler_that_wants_too_much_gets_503(void **state) {
    (void)state;
    static const char *const paths[] = {"/eat",    "/caught", "/wrapped",   "/records",
                                        "/double", "/big",    "/big-caught"};
    serve(greedy, LIMIT);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_ended(paths[i]);
        assert_ended(paths[i]); // compiled by now, if it was not before
    }
}

static void interpreted_code_gets_it_too(void **state) {
    (void)state;
    serve(greedy, LIMIT);
    luaJIT_setmode(mg_lua_app_vm(app)->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    assert_ended("/caught");
    assert_ended("/big-caught");
}

static void the_state_never_has_more_than_limit_and_reserve(void **state) {
    (void)state;
    serve("local most = 0\n"
          "app:get('/caught', function() while true do pcall(function()\n"
          "  local t = {}\n"
          "  while true do\n"
          "    most = math.max(most, collectgarbage('count')) t[#t + 1] = { #t }\n"
          "  end end) end end)\n"
          "app:get('/most', function() return tostring(most <= 9216) end)",
          LIMIT);
    assert_int_equal(get("/caught"), 503);
    assert_int_equal(get("/most"), 200);
    assert_has("true");
}

static void on_error_still_answers(void **state) {
    (void)state;
    serve("app:get('/eat', function() " EAT "end)\n"
          "app:on_error(function(ctx, err)\n"
          "  ctx:status(err.status) return { sorry = err.message, fill = ('y'):rep(9999) } end)",
          LIMIT);
    assert_int_equal(get("/eat"), 503);
    assert_has("\"sorry\":\"the scripts' memory is used up\"");
}

static void what_waits_beside_it_goes_on(void **state) {
    (void)state;
    serve("local beside = 0\n"
          "app:get('/eat', function()\n"
          "  for i = 1, 3 do moongate.spawn(function()\n"
          "    moongate.sleep(0.1):await() beside = beside + #('x'):rep(9) end) end\n"
          "  " EAT "end)\n"
          "app:get('/beside', function() return 'n=' .. beside end)",
          LIMIT);
    assert_int_equal(get("/eat"), 503);
    rig_pass(&r, 100);
    assert_int_equal(get("/beside"), 200);
    assert_has("n=27");
}

// It fell below every mark by itself, between the two.
static void each_excess_is_judged_anew(void **state) {
    (void)state;
    serve("local n = 0\n"
          "app:get('/caught', function()\n"
          "  while true do pcall(function() " EAT "end) collectgarbage() end end)\n",
          LIMIT);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get("/caught"), 503);
        lua_gc(mg_lua_app_vm(app)->L, LUA_GCCOLLECT, 0);
    }
}

static void a_failure_too_large_to_be_told_is_told_by_its_kind(void **state) {
    (void)state;
    serve("app:get('/text/:n', function(ctx) error(('e'):rep(tonumber(ctx.params.n))) end)\n"
          "app:get('/table/:n', function(ctx)\n"
          "  error({ message = ('e'):rep(tonumber(ctx.params.n)) }) end)",
          LIMIT);
    for (int mib = 1; mib < 8; mib++) { // told whole, not told whole, or not made at all
        char path[40];
        snprintf(path, sizeof path, "/text/%d", mib * MIB);
        assert_in_range(get(path), 500, 503);
        snprintf(path, sizeof path, "/table/%d", mib * MIB);
        assert_in_range(get(path), 500, 503);
        lua_gc(mg_lua_app_vm(app)->L, LUA_GCCOLLECT, 0);
    }
}

// --- requests are refused ---

static void when_little_is_left_new_requests_are_refused(void **state) {
    (void)state;
    serve("local kept = {}\n"
          "app:get('/keep', function(ctx)\n"
          "  while collectgarbage('count') < 7 * 1024 do\n"
          "    kept[#kept + 1] = ('x'):rep(1000) .. #kept end\n"
          "  ctx:sleep(1):await() return 'kept' end)\n"
          "app:get('/good', function() return 'good' end)\n"
          "app:every('drop', 100, function() kept = nil end)",
          LIMIT);
    static peer other;
    peer_open(&r, &other, WINDOW);
    peer_send(&r, &other, "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(mg_lua_memory_is_full(memory()));
    assert_int_equal(get("/good"), 503);
    assert_has("\r\nRetry-After: 1\r\n");
    rig_pass(&r, 1000);
    assert_true(mg_str_starts(mg_buf_str(&other.got), MG_STR("HTTP/1.1 200 ")));
    rig_pass(&r, 120000); // the job ran, a request looks
    get("/good");
    assert_int_equal(get("/good"), 200);
    peer_close(&r, &other, false);
}

// --- between turns ---

// As much as the framework and `more` bytes of garbage.
static void make_garbage(size_t more) {
    lua_State *L = mg_lua_app_vm(app)->L;
    lua_gc(L, LUA_GCSTOP, 0);
    while (memory()->used < more) {
        lua_pushfstring(L, "%f", (double)memory()->used);
        lua_pop(L, 1);
        lua_newuserdata(L, 1000);
        lua_pop(L, 1);
    }
}

static void keep(size_t bytes) {
    lua_State *L = mg_lua_app_vm(app)->L;
    lua_newtable(L);
    for (int i = 1; memory()->used < bytes; i++) {
        lua_newuserdata(L, 1000);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "kept");
}

static void much_garbage_is_collected(void **state) {
    (void)state;
    serve("", LIMIT);
    make_garbage(LIMIT / 2);
    mg_lua_memory_tend(memory(), 0);
    assert_true(memory()->used >= LIMIT / 2);
    make_garbage(LIMIT / 10 * 7);
    mg_lua_memory_tend(memory(), 0);
    assert_true(memory()->used < LIMIT / 2);
    assert_int_equal(memory()->collected, memory()->used);
}

static void at_rest_garbage_goes_bit_by_bit(void **state) {
    (void)state;
    serve("", 100 * MIB);
    make_garbage(30 * MIB);
    lua_gc(mg_lua_app_vm(app)->L, LUA_GCRESTART, 0);
    for (int i = 0; i < 2000 && memory()->collected < memory()->used; i++) {
        mg_lua_memory_rest(memory(), 0);
    }
    assert_true(memory()->used < 20 * MIB);
    size_t used = memory()->used;
    mg_lua_memory_rest(memory(), 0); // nothing has come since
    assert_int_equal(memory()->used, used);
    keep(used + 20 * MIB);
    mg_lua_memory_collect(memory(), 0);
    lua_pushnil(mg_lua_app_vm(app)->L);
    lua_setglobal(mg_lua_app_vm(app)->L, "kept");
    mg_lua_memory_tend(memory(), 0);
    mg_lua_memory_rest(memory(), 1000); // all of it lived just now
    assert_true(memory()->used > used + 19 * MIB);
    for (int i = 0; i < 2000 && memory()->used > used + MIB; i++) {
        mg_lua_memory_rest(memory(), 10000);
    }
    assert_true(memory()->used <= used + MIB);
}

static int pause_of(bool busy) {
    mg_lua_memory_tend(memory(), 0);
    mg_lua_memory_pace(memory(), busy);
    int pause = lua_gc(mg_lua_app_vm(app)->L, LUA_GCSETPAUSE, 1);
    lua_gc(mg_lua_app_vm(app)->L, LUA_GCSETPAUSE, pause);
    return pause;
}

static void who_is_busy_collects_less_often(void **state) {
    (void)state;
    serve("", 100 * MIB);
    assert_int_equal(pause_of(false), 200);
    double live = (double)memory()->used;
    assert_in_range(pause_of(true), (uint64_t)(100 + 4 * MIB / live * 90),
                    (uint64_t)(100 + 4 * MIB / live * 110));
    keep(8 * MIB);
    (void)pause_of(true);
    assert_int_equal(pause_of(true), 200);
}

static void garbage_is_no_reason_to_refuse(void **state) {
    (void)state;
    serve("app:get('/good', function() return 'good' end)", LIMIT);
    make_garbage(LIMIT / 5 * 4 + MIB / 4);
    assert_true(mg_lua_memory_is_full(memory()));
    assert_int_equal(get("/good"), 200);
}

static void what_lives_is_not_collected_again_and_again(void **state) {
    (void)state;
    serve("", LIMIT);
    keep(LIMIT / 5 * 3 + MIB / 8);
    mg_lua_memory_tend(memory(), 0);
    size_t collected = memory()->collected;
    assert_true(collected > LIMIT / 5 * 3);
    make_garbage(collected + LIMIT / 20);
    mg_lua_memory_tend(memory(), 10);
    assert_true(memory()->used > collected);
    make_garbage(LIMIT / 5 * 4 + MIB / 4); // full: once a second
    mg_lua_memory_tend(memory(), 20);
    size_t after = memory()->used;
    assert_true(after < LIMIT / 5 * 4);
    make_garbage(LIMIT / 5 * 4 + 1024);
    memory()->collected = memory()->used;
    mg_lua_memory_tend(memory(), 30);
    assert_true(mg_lua_memory_is_full(memory()));
    mg_lua_memory_tend(memory(), 1020);
    assert_false(mg_lua_memory_is_full(memory()));
}

static void a_failing_finalizer_ends_nothing(void **state) {
    (void)state;
    serve("app:get('/', function()\n"
          "  getmetatable(newproxy(true)).__gc = function() error('no') end\n"
          "  local t = {} for i = 1, 6000 do t[i] = ('x'):rep(1000) .. i end return 'x' end)\n"
          "app:get('/good', function() return 'good' end)",
          LIMIT);
    lua_gc(mg_lua_app_vm(app)->L, LUA_GCSTOP, 0);
    assert_int_equal(get("/"), 200);
    assert_int_equal(get("/good"), 200);
}

// Nobody could catch an error there.
// Whoever holds the memory needs some more to let go of it.
static void those_who_wait_with_all_of_it_are_told_nevertheless(void **state) {
    (void)state;
    serve("local done = 0\n"
          "app:get('/go', function()\n"
          "  for i = 1, 400 do moongate.spawn(function()\n"
          "    moongate.sleep(1):await() local t = {} for j = 1, 1000 do t[j] = { j } end\n"
          "    moongate.sleep(1):await() done = done + #t / 1000 end) end\n"
          "  return 'x' end)\n"
          "app:get('/done', function() return done > 0 and 'some' or 'none' end)",
          LIMIT);
    assert_int_equal(get("/go"), 200);
    rig_pass(&r, 1000);
    rig_pass(&r, 5000);
    assert_null(strstr(logged, "the scheduler was interrupted"));
    assert_true(memory()->used < LIMIT);
    assert_int_equal(get("/done"), 200);
    assert_has("some");
}

static int make_coroutine(lua_State *of) {
    lua_newthread(of);
    return 0;
}

// Half of one, which LuaJIT would leave to its collector, is fatal.
static void a_coroutine_is_refused_whole_or_not_at_all(void **state) {
    (void)state;
    serve("", LIMIT);
    mg_lua_memory *m = memory();
    size_t before = m->used;
    assert_int_equal(lua_cpcall(m->L, make_coroutine, NULL), 0);
    size_t whole = m->used - before;
    assert_true(whole > m->stack_bytes && m->stack_bytes > 100);
    mg_vm_running = mg_lua_app_vm(app);
    mg_vm_note[MG_NOTE_COROUTINE] = 1;          // a handler's
    m->limit = m->used + whole - 100 - MIB / 2; // with half of the reserve too little for its stack
    assert_int_equal(lua_cpcall(m->L, make_coroutine, NULL), 0);
    assert_int_not_equal(lua_cpcall(m->L, make_coroutine, NULL), 0);
    lua_sethook(m->L, NULL, 0, 0);
    mg_vm_running = NULL;
    mg_vm_note[MG_NOTE_COROUTINE] = 0;
    lua_settop(m->L, 0);
    m->limit = LIMIT;
    lua_gc(m->L, LUA_GCCOLLECT, 0);
    assert_int_equal(m->used <= before, 1);
}

static void between_turns_nothing_is_refused(void **state) {
    (void)state;
    serve("", LIMIT);
    make_garbage(2 * LIMIT);
    assert_false(memory()->over);
    mg_lua_memory_tend(memory(), 0);
    assert_true(memory()->used < LIMIT / 2);
}

// --- loading ---

static void a_script_that_uses_too_much_is_not_loaded(void **state) {
    (void)state;
    assert_int_equal(load("while true do pcall(function() " EAT "end) end", LIMIT), MG_ELUA);
    assert_null(app);
    assert_non_null(strstr(err.text, "limits.lua_memory"));
}

static void a_tiny_limit_ends_nothing(void **state) {
    (void)state;
    for (size_t limit = 1; limit < MIB; limit *= 4) {
        if (load("for i = 1, 9999 do app:get('/' .. i, function() end) end", limit) == MG_OK) {
            fail_msg("loaded with %zu bytes", limit);
        }
        assert_null(app);
    }
}

// A helper thread loads while the loop's thread runs another vm.
static void loading_tells_nothing_to_the_vm_that_runs(void **state) {
    (void)state;
    serve("", LIMIT);
    mg_lua_app *running = app;
    mg_vm_running = mg_lua_app_vm(running);
    assert_int_equal(load(EAT, LIMIT), MG_ELUA);
    mg_vm_running = NULL;
    app = running;
    assert_string_equal(mg_lua_app_vm(running)->stall, "");
    assert_false(memory()->over);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_that_the_state_has_is_counted),
        TEST(without_a_limit_nothing_is_refused),
        TEST(a_handler_that_wants_too_much_gets_503),
        TEST(interpreted_code_gets_it_too),
        TEST(the_state_never_has_more_than_limit_and_reserve),
        TEST(on_error_still_answers),
        TEST(what_waits_beside_it_goes_on),
        TEST(each_excess_is_judged_anew),
        TEST(a_failure_too_large_to_be_told_is_told_by_its_kind),
        TEST(when_little_is_left_new_requests_are_refused),
        TEST(much_garbage_is_collected),
        TEST(at_rest_garbage_goes_bit_by_bit),
        TEST(who_is_busy_collects_less_often),
        TEST(garbage_is_no_reason_to_refuse),
        TEST(what_lives_is_not_collected_again_and_again),
        TEST(a_failing_finalizer_ends_nothing),
        TEST(those_who_wait_with_all_of_it_are_told_nevertheless),
        TEST(a_coroutine_is_refused_whole_or_not_at_all),
        TEST(between_turns_nothing_is_refused),
        TEST(a_script_that_uses_too_much_is_not_loaded),
        TEST(a_tiny_limit_ends_nothing),
        TEST(loading_tells_nothing_to_the_vm_that_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
