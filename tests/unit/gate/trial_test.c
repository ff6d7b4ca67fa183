#include "gate/trial.h"

#include "app_folder.h"

#include "base/buf.h"

#include <unistd.h>

static app_folder folder;
static mg_error err;
static mg_buf said;

static int set_up(void **state) {
    (void)state;
    app_folder_open(&folder);
    said = (mg_buf){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&said);
    app_folder_close(&folder);
    return 0;
}

static int look_no_further(void *arg, mg_lua_app *app, mg_error *fault) {
    (void)arg;
    (void)app;
    (void)fault;
    return MG_OK;
}

// `line` is the third of the script.
static int try_line(const char *line, uint64_t load_ms,
                    int (*on_loaded)(void *arg, mg_lua_app *app, mg_error *err), void *arg) {
    char text[1000];
    snprintf(text, sizeof text,
             "local app = require('moongate').app()\n"
             "local ffi = require('ffi') ffi.cdef('int getpid(void); int kill(int, int); "
             "void abort(void); void exit(int); void _exit(int); unsigned sleep(unsigned); int "
             "close(int);')\n"
             "%s\n"
             "return app\n",
             line);
    app_folder_write(&folder, text);
    mg_lua_app_options o = {
        .root = folder.root, .path = folder.script, .load_ms = load_ms, .ffi = true};
    return mg_trial(&o, on_loaded, arg, &said, &err);
}

static void assert_refused(const char *line, uint64_t load_ms, const char *want) {
    assert_int_equal(try_line(line, load_ms, look_no_further, NULL), MG_ELUA);
    if (strstr(err.text, want) == NULL) {
        fail_msg("want: %s\ngot:  %s", want, err.text);
    }
}

static int tell_pid(void *arg, mg_lua_app *app, mg_error *fault) {
    pid_t pid = getpid();
    assert_non_null(app);
    (void)fault;
    (void)!write(*(int *)arg, &pid, sizeof pid);
    return MG_OK;
}

static void what_can_be_loaded_is_good(void **state) {
    (void)state;
    int pipes[2];
    pid_t pid = 0;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(try_line("print('one', 2)", 30000, tell_pid, &pipes[1]), MG_OK);
    assert_int_equal(read(pipes[0], &pid, sizeof pid), sizeof pid);
    assert_true(pid > 0 && pid != getpid());
    assert_int_equal(said.n, 6);
    assert_memory_equal(said.p, "one\t2\n", 6);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_fault_is_told_as_the_script_told_it(void **state) {
    (void)state;
    assert_refused("print('before') error('no good')", 30000, "app.lua:3: no good");
    assert_memory_equal(said.p, "before\n", 7);
}

static void scripts_that_end_the_process_are_named(void **state) {
    (void)state;
    // A sanitizer has its own opinion of exit's status.
    assert_refused("ffi.C.exit(0)", 30000, "app.lua:3: loading ended the process, which exited");
    assert_refused("ffi.C._exit(7)", 30000,
                   "app.lua:3: loading ended the process, which exited with status 7");
    assert_refused("ffi.C.kill(ffi.C.getpid(), 9)", 30000,
                   "app.lua:3: loading ended the process, which was killed by signal 9 (Killed)");
    assert_refused("ffi.C.kill(0, 9)", 30000, "app.lua:3: loading ended the process");
    assert_refused("local function f() ffi.C.exit(0) end\n\npcall(f)", 30000, "app.lua:3: ");
}

// What the framework does is done for a line of a script, whatever other lines it called meanwhile.
static void the_line_that_called_the_framework_is_named(void **state) {
    (void)state;
    assert_refused("local ours = loadstring('local f, g = ...\\nf()\\ng()', "
                   "'@lua/moongate/ours.lua')\n"
                   "local function f()\n"
                   "  return 5\n"
                   "end\n"
                   "ours(f, function() end)\n"
                   "ours(f, ffi.C.abort)\n",
                   30000, "app.lua:8: loading ended the process");
    assert_refused("local ours = loadstring('local g = ...\\nlocal x = 1\\ng()', "
                   "'@lua/moongate/ours.lua')\n"
                   "ours(function() end)\n"
                   "ours(ffi.C.abort)\n",
                   30000, "app.lua:5: loading ended the process");
    assert_refused("local n = 0\n"
                   "for i = 1, 3 do\n"
                   "  n = n + i\n"
                   "  if i == 3 then\n"
                   "    ffi.C.abort()\n"
                   "  end\n"
                   "end\n",
                   30000, "app.lua:7: loading ended the process");
}

static void scripts_that_close_what_is_not_theirs_are_refused(void **state) {
    (void)state;
    assert_refused("for fd = 3, 63 do ffi.C.close(fd) end", 30000,
                   "app.lua: loading closed descriptor ");
    assert_int_equal(try_line("assert(io.open('/dev/null')):close()", 30000, look_no_further, NULL),
                     MG_OK);
}

static void scripts_that_do_not_come_to_an_end_are_named(void **state) {
    (void)state;
    static const char want[] = "app.lua:3: loading does not come to an end: stopped after 0.05 s";
    assert_refused("while true do end", 50, want);
    assert_refused("while true do pcall(function() while true do end end) end", 50, want);
    assert_refused("xpcall(function() while true do end end, function() while true do end end)", 50,
                   want);
    assert_refused("coroutine.wrap(function() while true do end end)()", 50, want);
    assert_refused("package.preload.m = function() while true do end end pcall(require, 'm')", 50,
                   want);
    assert_refused("jit.on() while true do end", 50, want);
    assert_refused("ffi.C.sleep(9)", 50, want);
    assert_refused("getmetatable(newproxy(true)).__gc = function() while true do end end "
                   "collectgarbage()",
                   50, want);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_can_be_loaded_is_good),
        TEST(a_fault_is_told_as_the_script_told_it),
        TEST(scripts_that_end_the_process_are_named),
        TEST(the_line_that_called_the_framework_is_named),
        TEST(scripts_that_close_what_is_not_theirs_are_refused),
        TEST(scripts_that_do_not_come_to_an_end_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
