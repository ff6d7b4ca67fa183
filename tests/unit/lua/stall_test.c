#include "lua/stall.h"

#include "app_folder.h"
#include "lua/lua_app.h"
#include "server/peer.h"

#include <luajit.h>
#include <signal.h>
#include <time.h>

// Real time: threads and signals are what is tested. Nothing waits longer than it must, but for the
// one that nothing happens to.
enum { WARN_MS = 60, ABORT_MS = 160, PATIENCE_MS = 5000, WINDOW = 1 << 16, MOST_REPORTS = 8 };

typedef struct told {
    char route[40], request_id[40], where[256];
    bool in_c, aborted;
} told;

static app_folder folder;
static rig r; // its loop and server; the apps are of Lua
static peer p;
static mg_lua_app *app, *other;
static mg_pulse pulse;
static mg_stall *stall;
static told reports[MOST_REPORTS];
static _Atomic int report_count;
static int readies;
static bool hears_outside; // reports of a loop that is late outside of Lua count too: so is a slow
                           // machine's
static char logged[400];   // the last one

static uint64_t real_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_report(void *arg, const mg_stall_report *report) {
    int i = report_count;
    bool outside = strcmp(report->route, "-") == 0 && strcmp(report->where, "-") == 0;
    if (arg == &pulse && i < MOST_REPORTS && (!outside || hears_outside)) {
        told *t = &reports[i];
        snprintf(t->route, sizeof t->route, "%s", report->route);
        snprintf(t->request_id, sizeof t->request_id, "%s", report->request_id);
        snprintf(t->where, sizeof t->where, "%s", report->where);
        t->in_c = report->in_c;
        t->aborted = report->aborted;
        report_count = i + 1;
    }
}

static void on_log(void *arg, const mg_log_event *event) {
    (void)arg;
    snprintf(logged, sizeof logged, "%.*s", (int)event->message.n, event->message.p);
}

static void open_stall(uint32_t warn_ms, uint32_t abort_ms) {
    mg_stall_options o = {
        .pulse = &pulse,
        .warn_ms = warn_ms,
        .abort_ms = abort_ms,
        .on_report = on_report,
        .arg = &pulse,
    };
    assert_int_equal(mg_stall_open(&stall, &o), MG_OK);
}

static int set_up(void **state) {
    (void)state;
    app = other = NULL;
    stall = NULL;
    report_count = 0;
    hears_outside = false;
    logged[0] = '\0';
    r = (rig){0};
    p = (peer){0};
    app_folder_open(&folder);
    int rc = mg_loop_new(&r.loop, NULL);
    mg_loop_set_pulse(r.loop, &pulse);
    return rc;
}

static void free_app(mg_lua_app *a) {
    if (a != NULL) {
        mg_stall_forget(stall, mg_lua_app_vm(a));
        mg_lua_app_free(a);
    }
}

static void close_server(void) {
    mg_stream_close(&p.s, true);
    mg_server_close(r.server);
    while (r.server->stats.connections > 0 || !p.closed) {
        mg_loop_turn(r.loop, false, false, 0);
    }
    mg_server_free(r.server);
    mg_buf_deinit(&p.got);
}

static int tear_down(void **state) {
    (void)state;
    if (r.server != NULL) {
        close_server();
    }
    free_app(app);
    free_app(other);
    mg_stall_close(stall);
    app_folder_close(&folder);
    return mg_loop_free(r.loop);
}

// --- what the scripts call ---

// unreported(n): true until there are n reports, or patience is at an end.
static int unreported(lua_State *L) {
    static uint64_t since_ms;
    since_ms = since_ms == 0 ? real_ms() : since_ms;
    bool waits = report_count < lua_tointeger(L, 1) && real_ms() - since_ms < PATIENCE_MS;
    since_ms = waits ? since_ms : 0;
    lua_pushboolean(L, waits);
    return 1;
}

// wait_in_c(n): comes back once there are n reports.
static int wait_in_c(lua_State *L) {
    do {
        lua_settop(L, 1);
        unreported(L);
    } while (lua_toboolean(L, -1));
    return 0;
}

static int spin_in_c(lua_State *L) {
    uint64_t until = real_ms() + (uint64_t)lua_tointeger(L, 1);
    while (real_ms() < until) {
    }
    return 0;
}

// --- running ---

// `source` declares routes of `app`, from line 1 on.
static mg_lua_app *load(const char *source) {
    mg_lua_app *a = NULL;
    mg_error err;
    char text[2000];
    snprintf(text, sizeof text,
             "local moongate = require('moongate') local app = moongate.app() %s\nreturn app\n",
             source);
    app_folder_write(&folder, text);
    mg_lua_app_options o = {
        .root = folder.root,
        .path = folder.script,
        .handler_ms = 30000,
        .ffi = true,
        .on_log = on_log,
    };
    if (mg_lua_app_new(&a, r.loop, &o, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    lua_State *L = mg_lua_app_vm(a)->L;
    lua_register(L, "unreported", unreported);
    lua_register(L, "wait_in_c", wait_in_c);
    lua_register(L, "spin_in_c", spin_in_c);
    mg_lua_app_attach(a);
    return a;
}

static void on_ready(void *arg, const char *message) {
    (void)arg;
    readies += message == NULL;
    readies -= message != NULL;
}

// Turns until one of them changes.
static void turn_while(const int *value, int is) {
    uint64_t until = real_ms() + PATIENCE_MS;
    while (*(const volatile int *)value == is && real_ms() < until) {
        mg_loop_turn(r.loop, false, false, 0);
    }
}

static void start(mg_lua_app *a) {
    readies = 0;
    mg_lua_app_start(a, on_ready, NULL);
    turn_while(&readies, 0);
}

static void commit(mg_lua_app *a) {
    mg_stall_watch(stall, mg_lua_app_vm(a));
    mg_lua_app_commit(a);
}

static void serve(const char *source) {
    app = load(source);
    start(app);
    assert_int_equal(readies, 1);
    mg_server_options options = rig_options();
    r.server = mg_server_new(r.loop, mg_lua_app_seam(app), &options);
    mg_lua_app_vm(app)->server = r.server;
    commit(app);
    peer_open(&r, &p, WINDOW);
}

static void send_get(const char *path) {
    char text[200];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    mg_buf_clear(&p.got);
    peer_write(&p, text, (size_t)n);
}

static int status(void) {
    uint64_t until = real_ms() + PATIENCE_MS;
    while (p.got.n == 0 && real_ms() < until) {
        mg_loop_turn(r.loop, false, false, 0);
    }
    assert_true(p.got.n > 12);
    const char *digits = p.got.p + strlen("HTTP/1.1 "); // no NUL stands behind what has come
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

static int get(const char *path) {
    send_get(path);
    return status();
}

static void assert_has(const char *want) {
    if (memmem(p.got.p, p.got.n, want, strlen(want)) == NULL) {
        fail_msg("want: %s\ngot:  %.*s", want, (int)p.got.n, p.got.p);
    }
}

static void assert_report(int i, const char *route, const char *where, bool in_c, bool aborted) {
    const told *t = &reports[i];
    assert_true(i < report_count);
    assert_string_equal(t->route, route);
    const char *file = strrchr(t->where, '/');
    assert_string_equal(file != NULL ? file + 1 : t->where, where);
    assert_int_equal(t->in_c, in_c);
    assert_int_equal(t->aborted, aborted);
}

// --- scripts that never end ---

// The body of a handler in line 2; named at WARN_MS, ended at ABORT_MS.
static void assert_ended(const char *body) {
    char text[1000];
    snprintf(text, sizeof text,
             "app:get('/it', function(ctx)\n%s\nend)\n"
             "app:get('/good', function() return 'good' end)\n",
             body);
    open_stall(WARN_MS, ABORT_MS);
    serve(text);
    assert_int_equal(get("/it"), 503);
    assert_has("the handler did not finish");
    assert_int_equal(report_count, 2);
    assert_report(0, "/it", "app.lua:2", false, false);
    assert_report(1, "/it", "app.lua:2", false, true);
    assert_int_equal(strlen(reports[0].request_id), 16);
    assert_string_equal(reports[0].request_id, reports[1].request_id);
    assert_has(reports[0].request_id);
    assert_non_null(strstr(logged, "the handler of GET /it failed"));
    assert_non_null(strstr(logged, "app.lua:2: it did not let go for 0."));
    assert_int_equal(get("/good"), 200);
}

#define ENDS(name, body)                                                                           \
    static void name(void **state) {                                                               \
        (void)state;                                                                               \
        assert_ended(body);                                                                        \
    }

ENDS(an_empty_loop_is_named_and_ended, "while true do end")
ENDS(a_jump_to_itself_is_ended, "::here:: goto here")
ENDS(a_compiled_loop_of_numbers_is_ended,
     "local x = 0 for i = 1, 1e15 do x = x + i % 7 end return x")
ENDS(a_compiled_loop_of_calls_is_ended,
     "local function f(i) return i + 1 end local i = 0 while true do i = f(i) end")
ENDS(endless_tail_calls_are_ended, "local function f(i) return f(i + 1) end f(0)")
ENDS(a_loop_that_makes_garbage_is_ended,
     "local t = { 1, 2 } while true do t[1] = { t[2] .. 'x' } t[2] = #t end")
ENDS(a_loop_over_foreign_memory_is_ended,
     "local a = require('ffi').new('int[4]') while true do a[1] = a[2] + 1 a[2] = a[1] end")
ENDS(no_pcall_holds_it,
     "while true do pcall(function() while true do pcall(error, 'x') end end) end")
ENDS(no_handler_of_errors_holds_it,
     "while true do xpcall(function() error('x') end, function() while true do end end) end")
ENDS(no_handler_of_its_own_end_holds_it,
     "xpcall(function() while true do end end, function() while true do end end)")
ENDS(no_coroutine_holds_it,
     "while true do pcall(coroutine.wrap(function() while true do end end)) end")
ENDS(callbacks_of_functions_of_c_are_ended,
     "while true do pcall(string.gsub, ('x'):rep(99), 'x', function() while true do end end) end")
ENDS(what_goes_on_after_an_await_is_ended, "ctx:sleep(0.005):await() while true do end")

static void what_is_only_slow_is_named_and_goes_on(void **state) {
    (void)state;
    open_stall(WARN_MS, 0);
    serve("app:get('/slow', function()\n"
          "while unreported(1) do end\n"
          "return 'done' end)");
    assert_int_equal(get("/slow"), 200);
    assert_int_equal(report_count, 1);
    assert_report(0, "/slow", "app.lua:2", false, false);
}

static void each_stall_is_named_anew(void **state) {
    (void)state;
    open_stall(WARN_MS, 0);
    serve("app:get('/slow/:n', function(ctx)\n"
          "while unreported(tonumber(ctx.params.n)) do end\n"
          "return 'done' end)");
    assert_int_equal(get("/slow/1"), 200);
    assert_int_equal(get("/slow/2"), 200);
    assert_int_equal(report_count, 2);
}

static void it_can_be_ended_without_a_warning(void **state) {
    (void)state;
    open_stall(0, ABORT_MS);
    serve("app:get('/it', function() while true do end end)");
    assert_int_equal(get("/it"), 503);
    assert_int_equal(get("/it"), 503);
    assert_int_equal(report_count, 2);
    assert_report(0, "/it", "app.lua:1", false, true);
    assert_report(1, "/it", "app.lua:1", false, true);
}

static void limits_can_be_changed(void **state) {
    (void)state;
    open_stall(0, 0);
    serve("app:get('/', function() while unreported(1) do end return 'x' end)");
    mg_stall_set(stall, WARN_MS, 0);
    assert_int_equal(get("/"), 200);
    assert_int_equal(report_count, 1);
}

static void many_short_tasks_are_no_stall(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/', function()\n"
          "  for i = 1, 25 do moongate.spawn(function() spin_in_c(4) end) end\n"
          "  return 'x' end)");
    assert_int_equal(get("/"), 200);
    mg_loop_turn(r.loop, false, false, 0);
    assert_int_equal(report_count, 0);
}

// --- who fails, and how ---

static void on_error_hears_of_it_and_is_not_hit(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/it', function() while true do end end)\n"
          "app:on_error(function(ctx, err)\n"
          "  ctx:sleep(0.001):await() ctx:status(503) return 'heard of ' .. err.code end)");
    assert_int_equal(get("/it"), 503);
    assert_has("heard of stall");
}

// Other tasks ran meanwhile.
static void a_stuck_on_error_is_ended_too_and_named_by_its_request(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/late', { timeout = 0.01 }, function(ctx) ctx:sleep(9):await() end)\n"
          "app:every('tick', 0.001, function() end)\n"
          "app:on_error(function() while true do end end)");
    assert_int_equal(get("/late"), 500);
    assert_report(0, "/late", "app.lua:3", false, false);
    assert_report(1, "/late", "app.lua:3", false, true);
}

static void what_waits_beside_it_is_not_hit(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("local beside = 0\n"
          "app:get('/it', function()\n"
          "  for i = 1, 3 do moongate.spawn(function() moongate.sleep(0.001):await()\n"
          "    beside = beside + 1 end) end\n"
          "  while true do end end)\n"
          "app:get('/beside', function(ctx) ctx:sleep(0.01):await() return 'n=' .. beside end)");
    assert_int_equal(get("/it"), 503);
    assert_int_equal(get("/beside"), 200);
    assert_has("n=3");
}

static void a_job_is_ended_and_runs_again(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("local runs = 0\n"
          "app:every('spin', 0.005, function() runs = runs + 1\n"
          "  while runs == 1 do end end)\n"
          "app:get('/runs', function(ctx)\n"
          "  while runs < 3 do ctx:sleep(0.005):await() end return 'x' end)");
    assert_int_equal(get("/runs"), 200);
    assert_report(0, "-", "app.lua:3", false, false);
    assert_report(1, "-", "app.lua:3", false, true);
    assert_non_null(strstr(logged, "job spin failed"));
}

// No vm is watched yet.
static void an_on_start_is_ended(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    app = load("app:on_start(function()\n"
               "while true do end end)");
    start(app);
    assert_int_equal(readies, -1);
    assert_report(0, "-", "app.lua:2", false, false);
    assert_report(1, "-", "app.lua:2", false, true);
}

static void replaced_scripts_are_ended_too(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/old', function(ctx)\n"
          "  for i = 1, 1000 do end\n"
          "  ctx:sleep(0.02):await() while true do end end)");
    send_get("/old");
    mg_loop_turn(r.loop, false, false, 0);
    other = load("app:get('/new', function() while true do end end)");
    start(other);
    commit(other);
    assert_int_equal(status(), 503);
    assert_report(1, "/old", "app.lua:3", false, true);
    mg_server_set_app(r.server, MG_APP_MAIN, mg_lua_app_seam(other));
    mg_lua_app_vm(other)->server = r.server;
    assert_int_equal(get("/new"), 503);
    assert_report(3, "/new", "app.lua:1", false, true);
}

// --- functions of C ---

static void a_function_of_c_is_named(void **state) {
    (void)state;
    open_stall(WARN_MS, 0);
    serve("app:get('/c', function()\n"
          "  local function f() wait_in_c(1) end\n"
          "  f() return 'x' end)");
    assert_int_equal(get("/c"), 200);
    assert_int_equal(report_count, 1);
    assert_report(0, "/c", "app.lua:2", true, false);
}

static void a_function_of_c_in_a_users_coroutine_is_named(void **state) {
    (void)state;
    open_stall(WARN_MS, 0);
    serve("app:get('/c', function(ctx)\n"
          "  ctx:sleep(0.001):await()\n"
          "  coroutine.wrap(function() wait_in_c(1) end)() return 'x' end)");
    assert_int_equal(get("/c"), 200);
    assert_int_equal(report_count, 1);
    assert_report(0, "/c", "app.lua:3", true, false);
}

static void what_follows_a_function_of_c_is_ended(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/c', function()\n"
          "  spin_in_c(250)\n"
          "  while true do end end)");
    assert_int_equal(get("/c"), 503);
    const told *last = &reports[report_count - 1];
    assert_true(last->aborted);
}

static void an_error_that_never_ends_showing_itself_is_ended_alone(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/', function() error(setmetatable({}, { __tostring = function()\n"
          "  while true do pcall(function() while true do end end) end end })) end)\n"
          "app:get('/fails', function() error('at once') end)");
    assert_int_equal(get("/"), 500);
    assert_int_equal(get("/fails"), 500);
    assert_true(report_count > 0 && reports[report_count - 1].aborted);
}

// Not in the collector, where hooks sleep.
static void a_finalizer_is_named_and_ended_like_any_other_code(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("local u = newproxy(true)\n"
          "getmetatable(u).__gc = function() while true do end end u = nil\n"
          "app:get('/', function() return 'x' end)");
    lua_gc(mg_lua_app_vm(app)->L, LUA_GCCOLLECT, 0);
    assert_int_equal(get("/"), 200);
    assert_true(report_count > 0);
    const told *last = &reports[report_count - 1];
    assert_true(last->aborted && !last->in_c);
    assert_non_null(strstr(last->where, "app.lua:"));
}

static void a_loop_that_is_stuck_outside_of_lua_is_named(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS * 100);
    serve("");
    hears_outside = true;
    mg_loop_turn(r.loop, false, false, 0);
    assert_true(pulse.busy_since_ms != 0); // as behind every turn
    uint64_t until = real_ms() + PATIENCE_MS;
    while (report_count == 0 && real_ms() < until) {
    }
    assert_int_equal(report_count, 1);
    assert_report(0, "-", "-", true, false);
}

// --- life ---

static void a_loop_that_waits_is_not_stuck(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/', function(ctx) ctx:sleep(0.1):await() return 'x' end)");
    hears_outside = true;
    send_get("/");
    while (p.got.n == 0) {
        mg_loop_turn(r.loop, true, false, 0);
    }
    assert_int_equal(report_count, 0);
}

static void the_signal_is_given_back(void **state) {
    (void)state;
    struct sigaction before, now;
    sigaction(SIGPROF, NULL, &before);
    open_stall(WARN_MS, ABORT_MS);
    serve("");
    raise(SIGPROF); // nothing is wished: nothing happens
    mg_stall_close(stall);
    stall = NULL;
    sigaction(SIGPROF, NULL, &now);
    assert_ptr_equal(before.sa_handler, now.sa_handler);
}

// What a module's loading holds goes with the coroutine that loads it.
static void a_module_that_is_ended_while_it_loads_can_be_required_again(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("local calm\n"
          "package.preload.slow = function()\n"
          "  if not calm then while true do pcall(function() while true do end end) end end\n"
          "  return { calm = true }\n"
          "end\n"
          "app:get('/slow', function() return require('slow') end)\n"
          "app:get('/await', function(ctx) calm = true ctx:sleep(0.001):await() return 1 .. '' "
          "end)\n");
    assert_int_equal(get("/slow"), 503);
    assert_int_equal(get("/await"), 200);
    assert_int_equal(get("/slow"), 200);
    assert_has("calm");
    assert_int_equal(get("/await"), 200);
}

static void no_script_takes_the_profiler_away(void **state) {
    (void)state;
    open_stall(WARN_MS, ABORT_MS);
    serve("app:get('/profile', function()\n"
          "  local profile = require('jit.profile')\n"
          "  local good, message = pcall(profile.start, 'l', function() end) profile.stop()\n"
          "  return message end)\n"
          "app:get('/it', function() while true do end end)");
    assert_int_equal(get("/profile"), 200);
    assert_has("the profiler is used to notice stalls");
    assert_int_equal(get("/it"), 503);
}

static void closing_and_forgetting_accept_null(void **state) {
    (void)state;
    mg_stall_close(NULL);
    mg_stall_forget(NULL, NULL);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_loop_is_named_and_ended),
        TEST(a_jump_to_itself_is_ended),
        TEST(a_compiled_loop_of_numbers_is_ended),
        TEST(a_compiled_loop_of_calls_is_ended),
        TEST(endless_tail_calls_are_ended),
        TEST(a_loop_that_makes_garbage_is_ended),
        TEST(a_loop_over_foreign_memory_is_ended),
        TEST(no_pcall_holds_it),
        TEST(no_handler_of_errors_holds_it),
        TEST(no_handler_of_its_own_end_holds_it),
        TEST(no_coroutine_holds_it),
        TEST(callbacks_of_functions_of_c_are_ended),
        TEST(what_goes_on_after_an_await_is_ended),
        TEST(what_is_only_slow_is_named_and_goes_on),
        TEST(each_stall_is_named_anew),
        TEST(it_can_be_ended_without_a_warning),
        TEST(limits_can_be_changed),
        TEST(many_short_tasks_are_no_stall),
        TEST(on_error_hears_of_it_and_is_not_hit),
        TEST(a_stuck_on_error_is_ended_too_and_named_by_its_request),
        TEST(what_waits_beside_it_is_not_hit),
        TEST(a_job_is_ended_and_runs_again),
        TEST(an_on_start_is_ended),
        TEST(replaced_scripts_are_ended_too),
        TEST(a_function_of_c_is_named),
        TEST(a_function_of_c_in_a_users_coroutine_is_named),
        TEST(what_follows_a_function_of_c_is_ended),
        TEST(an_error_that_never_ends_showing_itself_is_ended_alone),
        TEST(a_finalizer_is_named_and_ended_like_any_other_code),
        TEST(a_loop_that_is_stuck_outside_of_lua_is_named),
        TEST(a_loop_that_waits_is_not_stuck),
        TEST(the_signal_is_given_back),
        TEST(a_module_that_is_ended_while_it_loads_can_be_required_again),
        TEST(no_script_takes_the_profiler_away),
        TEST(closing_and_forgetting_accept_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
