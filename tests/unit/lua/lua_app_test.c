#include "lua/lua_app.h"

#include "app_folder.h"
#include "server/peer.h"

enum { WINDOW = 1 << 16 };

static app_folder folder;
static rig r; // its loop and server; the app is one of Lua
static mg_lua_app *app;
static mg_error err;
static int readies, stops;
static char ready_message[200];
static uint64_t load_ms = 30000;
static bool ffi;

static int set_up(void **state) {
    (void)state;
    app = NULL;
    readies = 0;
    stops = 0;
    ffi = false;
    r = (rig){0};
    app_folder_open(&folder);
    return mg_loop_new(&r.loop, &(mg_loop_options){.virtual_clock = true});
}

static int tear_down(void **state) {
    (void)state;
    mg_lua_app_free(app);
    app_folder_close(&folder);
    return mg_loop_free(r.loop);
}

static int load(const char *source) {
    app_folder_write(&folder, source);
    mg_lua_app_options o = {
        .root = folder.root,
        .path = folder.script,
        .handler_ms = 30000,
        .load_ms = load_ms,
        .ffi = ffi,
    };
    int rc = mg_lua_app_new(&app, r.loop, &o, &err);
    if (rc == MG_OK) {
        mg_lua_app_attach(app);
    }
    return rc;
}

static void on_ready(void *arg, const char *message) {
    assert_ptr_equal(arg, &readies);
    readies++;
    snprintf(ready_message, sizeof ready_message, "%s", message == NULL ? "" : message);
}

static void on_stopped(void *arg) {
    assert_ptr_equal(arg, &stops);
    stops++;
}

// --- loading ---

static void an_app_is_loaded_and_lists_its_routes(void **state) {
    (void)state;
    assert_int_equal(load("local app = require('moongate').app()\n"
                          "app:get('/users/:id', { name = 'user' }, function() return 'x' end)\n"
                          "return app\n"),
                     MG_OK);
    mg_buf text = {0};
    mg_lua_app_print_routes(app, &text);
    assert_non_null(memmem(text.p, text.n, "GET     /users/:id  user  ", 26));
    assert_non_null(memmem(text.p, text.n, "app.lua:2", 9));
    mg_buf_deinit(&text);
}

// `want` is the message behind the folder's path.
static void assert_fault(const char *source, const char *want) {
    assert_int_equal(load(source), MG_ELUA);
    assert_null(app);
    if (strstr(err.text, want) == NULL) {
        fail_msg("want: %s\ngot:  %s", want, err.text);
    }
}

static void a_fault_in_the_script_gives_file_and_line(void **state) {
    (void)state;
    assert_fault("local app = \n\nlocal = 3", "app.lua:3: ");
    assert_fault("local x\nx.y = 1", "app.lua:2: attempt to index");
    assert_fault("\n\nerror('no good')", "app.lua:3: no good");
    assert_fault("require('no.such.module')", "no.such.module");
    assert_fault("error({})", "");
}

static void a_script_must_return_its_app(void **state) {
    (void)state;
    assert_fault("return 1", "app.lua: the script must return the app");
    assert_fault("", "app.lua: the script must return the app");
}

static void loading_only_declares(void **state) {
    (void)state;
    assert_fault("local moongate = require('moongate')\n"
                 "moongate.sleep(1):await()\n",
                 "app:on_start(");
    assert_fault("local moongate = require('moongate')\n"
                 "moongate.spawn(function() end)\n",
                 "app:on_start(");
}

// --- what scripts may not do to their process ---

// By every way that leads to the libraries.
static void a_script_cannot_end_or_change_its_process(void **state) {
    (void)state;
    static const char *const ways[] = {
        "os.exit(0)",
        "require('os').exit(true)",
        "getfenv(0).os.exit(1)",
        "package.loaded.os.exit(1)",
        "package.loaded._G.os.exit(1)",
        "loadstring('os.exit(1)')()",
        "load(string.dump(function() return os end))().exit(1)",
        "setfenv(loadstring('os.exit(1)'), getfenv(0))()",
        "coroutine.wrap(function() os.exit(1) end)()",
        "os.setlocale('C')",
        "collectgarbage('stop')",
        "getfenv(0).collectgarbage('stop')",
        "debug.sethook()",
        "require('debug').sethook(function() end, '', 1)",
        "debug.getregistry()",
        "debug.debug()",
        "debug.setmetatable('', nil)",
        "debug.setmetatable(nil, { __index = {} })",
        "debug.getupvalue(require('moongate').spawn, 1)",
        "debug.setupvalue(require('moongate').spawn, 1, nil)",
        "debug.upvaluejoin(function() return app end, 1, require('moongate').spawn, 1)",
        "debug.getlocal(3, 1)",
        "debug.setfenv(require('moongate').spawn, {})",
        "setfenv(require('moongate').spawn, {})",
        "setfenv(0, {})",
        "require('jit.profile').start('l', function() end)",
        "require('ffi').C.exit(1)",
        "getfenv(0).require('ffi')",
        "package.loadlib('libc.so.6', '*')",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char source[200];
        snprintf(source, sizeof source, "local app = require('moongate').app()\n%s\nreturn app\n",
                 ways[i]);
        assert_int_equal(load(source), MG_ELUA);
        if (strstr(err.text, "1: ") == NULL && strstr(err.text, "app.lua:2: ") == NULL) {
            fail_msg("%s: %s", ways[i], err.text);
        }
    }
}

static void what_harms_nobody_is_allowed(void **state) {
    (void)state;
    assert_int_equal(load("local app = require('moongate').app()\n"
                          "assert(io.stdout:close() == nil and io.close() == nil)\n"
                          "assert(os.setlocale() == 'C')\n"
                          "assert(collectgarbage('count') > 0 and collectgarbage() == 0)\n"
                          "assert(os.execute('exit 3') ~= 0)\n"
                          "assert(io.popen('echo x'):read('*l') == 'x')\n"
                          "local own = setmetatable({}, { __index = _G })\n"
                          "local function f() return app, vim end\n"
                          "assert(debug.getupvalue(f, 1) == 'app')\n"
                          "assert(debug.setupvalue(f, 1, 7) == 'app' and f() == 7)\n"
                          "assert(debug.getlocal(1, 1) == 'app')\n"
                          "assert(debug.getinfo(1, 'l').currentline == 12)\n"
                          "assert(debug.setmetatable(own, nil))\n"
                          "assert(setfenv(f, { vim = 1 }) == f and select(2, f()) == 1)\n"
                          "local function g() local y = own setfenv(1, { x = 2 }) y.x = x end g()\n"
                          "assert(own.x == 2)\n"
                          "jit.off(true, true) jit.on() jit.on(f) jit.flush()\n"
                          "require('jit.opt').start('hotloop=20')\n"
                          "return require('moongate').app()\n"),
                     MG_OK);
}

static void each_state_draws_other_random_numbers(void **state) {
    (void)state;
    double drawn[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(load("getfenv(0).drawn = math.random() return require('moongate').app()"),
                         MG_OK);
        lua_State *L = mg_lua_app_vm(app)->L;
        lua_getglobal(L, "drawn");
        drawn[i] = lua_tonumber(L, -1);
        mg_lua_app_free(app);
        app = NULL;
    }
    assert_true(drawn[0] != drawn[1]);
}

static void loading_can_be_given_up(void **state) {
    (void)state;
    static const _Atomic bool now = true;
    app_folder_write(&folder, "while true do pcall(function() while true do end end) end");
    mg_lua_app_options o = {.root = folder.root, .path = folder.script, .give_up = &now};
    assert_int_equal(mg_lua_app_new(&app, r.loop, &o, &err), MG_ELUA);
    assert_string_equal(err.text, "loading was given up");
}

static void loading_that_only_computes_is_ended_sooner(void **state) {
    (void)state;
    app_folder_write(&folder, "\nwhile true do pcall(function() while true do end end) end");
    mg_lua_app_options o = {
        .root = folder.root, .path = folder.script, .load_ms = 3600000, .load_cpu_ms = 100};
    assert_int_equal(mg_lua_app_new(&app, r.loop, &o, &err), MG_ELUA);
    assert_non_null(strstr(err.text, "app.lua:2: loading does not come to an end: stopped after "));
    assert_non_null(strstr(err.text, " 0.1 s"));
}

static void ffi_is_given_where_the_configuration_says_so(void **state) {
    (void)state;
    ffi = true;
    assert_int_equal(load("assert(require('ffi').sizeof('int') == 4)\n"
                          "assert(package.loadlib)\n"
                          "return require('moongate').app()\n"),
                     MG_OK);
}

static void a_finalizer_that_fails_does_not_fail_the_load(void **state) {
    (void)state;
    assert_int_equal(load("for i = 1, 50 do\n"
                          "  getmetatable(newproxy(true)).__gc = function() error('no') end\n"
                          "end\n"
                          "local t = {}\n"
                          "for i = 1, 1e5 do t[i % 10] = { tostring(i) } end\n"
                          "collectgarbage()\n"
                          "return require('moongate').app()\n"),
                     MG_OK);
}

static void load_kept(const char *finalizer) {
    char source[500];
    snprintf(source, sizeof source,
             "local app = require('moongate').app()\n"
             "local kept = newproxy(true)\n"
             "getmetatable(kept).__gc = function() %s end\n"
             "app:get('/', function() return kept and 'x' end)\n"
             "return app\n",
             finalizer);
    assert_int_equal(load(source), MG_OK);
}

static void finalizers_run_before_the_end(void **state) {
    (void)state;
    char text[300];
    snprintf(text, sizeof text, "local f = io.open('%s/seen', 'w') f:write('x') f:close()",
             folder.root);
    load_kept(text);
    mg_lua_app_free(app);
    app = NULL;
    snprintf(text, sizeof text, "%s/seen", folder.root);
    assert_int_equal(unlink(text), 0);
}

static void a_finalizer_that_never_ends_does_not_hold_up_the_end(void **state) {
    (void)state;
    load_kept("while true do pcall(function() while true do end end) end");
    mg_lua_app_free(app);
    app = NULL;
}

static void freeing_accepts_null(void **state) {
    (void)state;
    mg_lua_app_free(NULL);
}

// --- starting and stopping ---

static void on_start_runs_before_the_app_is_ready(void **state) {
    (void)state;
    load("local moongate = require('moongate')\n"
         "local app = moongate.app()\n"
         "app:on_start(function() moongate.sleep(2):await() end)\n"
         "return app\n");
    mg_lua_app_start(app, on_ready, &readies);
    rig_pass(&r, 1999);
    assert_int_equal(readies, 0);
    rig_pass(&r, 1);
    assert_int_equal(readies, 1);
    assert_string_equal(ready_message, "");
}

static void a_failing_on_start_is_told_with_file_and_line(void **state) {
    (void)state;
    load("local app = require('moongate').app()\n"
         "app:on_start(function() error('not today') end)\n"
         "return app\n");
    mg_lua_app_start(app, on_ready, &readies);
    rig_settle(&r);
    assert_int_equal(readies, 1);
    assert_non_null(strstr(ready_message, "app.lua:2: not today"));
}

static void an_on_start_that_does_not_end_is_told_with_its_line(void **state) {
    (void)state;
    load("local moongate = require('moongate')\n"
         "local app = moongate.app()\n"
         "app:on_start(function()\n"
         "  while true do pcall(function() moongate.sleep(7):await() end) end\n"
         "end)\n"
         "return app\n");
    mg_lua_app_start(app, on_ready, &readies);
    rig_pass(&r, 20000);
    assert_int_equal(readies, 0);
    rig_pass(&r, 10000);
    assert_int_equal(readies, 1);
    assert_non_null(
        strstr(ready_message,
               "app.lua:4: on_start does not come to an end: worker 1 was not ready after 30.0 s"));
}

static void on_stop_runs_before_the_end(void **state) {
    (void)state;
    load("local moongate = require('moongate')\n"
         "local app = moongate.app()\n"
         "app:on_stop(function() moongate.sleep(0.5):await() end)\n"
         "return app\n");
    mg_lua_app_start(app, on_ready, &readies);
    rig_settle(&r);
    mg_lua_app_stop(app, 0, 1000, on_stopped, &stops);
    rig_pass(&r, 499);
    assert_int_equal(stops, 0);
    rig_pass(&r, 1);
    assert_int_equal(stops, 1);
}

// --- serving ---

static void open_server(peer *p) {
    mg_lua_app_start(app, on_ready, &readies);
    rig_settle(&r);
    assert_int_equal(readies, 1);
    mg_server_options options = rig_options();
    r.server = mg_server_new(r.loop, mg_lua_app_seam(app), &options);
    mg_lua_app_vm(app)->server = r.server;
    peer_open(&r, p, WINDOW);
}

static void close_server(peer *p) {
    peer_close(&r, p, false);
    mg_server_close(r.server);
    rig_settle(&r);
    mg_server_free(r.server);
}

static void requests_are_answered_by_the_script(void **state) {
    (void)state;
    peer p;
    load("local app = require('moongate').app()\n"
         "app:get('/hello/:name', function(ctx)\n"
         "  ctx:sleep(1):await()\n"
         "  return ctx.params.name\n"
         "end)\n"
         "return app\n");
    open_server(&p);
    peer_send(&r, &p, "GET /hello/moon HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(p.got.n, 0);
    rig_pass(&r, 1000);
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 200 OK\r\n")));
    assert_memory_equal(p.got.p + p.got.n - 8, "\r\n\r\nmoon", 8);
    mg_buf_clear(&p.got);
    peer_send(&r, &p, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 404 ")));
    close_server(&p);
}

static void an_app_may_be_freed_while_handlers_wait(void **state) {
    (void)state;
    peer p;
    load("local app = require('moongate').app()\n"
         "app:get('/', function(ctx) ctx:sleep(100):await() end)\n"
         "return app\n");
    open_server(&p);
    peer_send(&r, &p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_server_close(r.server);
    mg_lua_app_free(app);
    app = NULL;
    rig_settle(&r);
    assert_int_equal(p.got.n, 0);
    close_server(&p);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_app_is_loaded_and_lists_its_routes),
        TEST(a_fault_in_the_script_gives_file_and_line),
        TEST(a_script_must_return_its_app),
        TEST(loading_only_declares),
        TEST(a_script_cannot_end_or_change_its_process),
        TEST(what_harms_nobody_is_allowed),
        TEST(each_state_draws_other_random_numbers),
        TEST(loading_can_be_given_up),
        TEST(loading_that_only_computes_is_ended_sooner),
        TEST(ffi_is_given_where_the_configuration_says_so),
        TEST(a_finalizer_that_fails_does_not_fail_the_load),
        TEST(finalizers_run_before_the_end),
        TEST(a_finalizer_that_never_ends_does_not_hold_up_the_end),
        TEST(freeing_accepts_null),
        TEST(on_start_runs_before_the_app_is_ready),
        TEST(a_failing_on_start_is_told_with_file_and_line),
        TEST(an_on_start_that_does_not_end_is_told_with_its_line),
        TEST(on_stop_runs_before_the_end),
        TEST(requests_are_answered_by_the_script),
        TEST(an_app_may_be_freed_while_handlers_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
