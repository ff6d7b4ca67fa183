#include "lua/read_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[128];

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path,
             "/tmp/moongate-config-with-a-name-longer-than-sixty-characters-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

static int read_text(const char *lua, size_t n, mg_buf *out, mg_error *err) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(lua, 1, n, f), n);
    fclose(f);
    *err = (mg_error){0};
    return mg_read_config(path, out, err);
}

static void gives(const char *lua, const char *json) {
    mg_buf out = {0};
    mg_error err;
    if (read_text(lua, strlen(lua), &out, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, json);
    mg_buf_deinit(&out);
}

// `expected` follows the path in the message.
static void fails(const char *lua, int code, const char *expected) {
    mg_buf out = {0};
    mg_error err;
    assert_int_equal(read_text(lua, strlen(lua), &out, &err), code);
    assert_memory_equal(err.text, path, strlen(path));
    const char *rest = err.text + strlen(path);
    if (strncmp(rest, expected, strlen(expected)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", rest, expected);
    }
    mg_buf_deinit(&out);
}

static void a_table_becomes_json_with_sorted_keys(void **state) {
    (void)state;
    gives("return { b = 1, a = { 'x', true, 0.5 }, c = { d = false, ['e f'] = '\"' } }",
          "{\"a\":[\"x\",true,0.5],\"b\":1,\"c\":{\"d\":false,\"e f\":\"\\\"\"}}");
    gives("return {}", "{}");
    gives("return { a = {}, ab = 1, A = 2 }", "{\"A\":2,\"a\":{},\"ab\":1}");
}

static void the_file_may_compute(void **state) {
    (void)state;
    assert_int_equal(setenv("MOONGATE_TEST_PORT", "8123", 1), 0);
    gives("local port = os.getenv('MOONGATE_TEST_PORT')\n"
          "local list = {}\n"
          "for i, host in ipairs { 'a', 'b' } do list[i] = ('%s:%d'):format(host, port) end\n"
          "function double(n) return n * 2 end\n"
          "return { listen = list, n = double(math.floor(2.5)), m = bit.bor(1, 4) }",
          "{\"listen\":[\"a:8123\",\"b:8123\"],\"m\":5,\"n\":4}");
}

static void a_shell_line_and_a_byte_order_mark_are_skipped(void **state) {
    (void)state;
    gives("#!/usr/bin/env moongate\nreturn {}", "{}");
    gives("\xef\xbb\xbfreturn {}", "{}");
    fails("# one\n\nreturn +", MG_ELUA, ":3: ");
}

static void faults_of_the_script_name_the_line(void **state) {
    (void)state;
    fails("return {\n  a = \n}", MG_ELUA, ":3: unexpected symbol near '}'");
    fails("local a\nreturn { b = a.c }", MG_ELUA, ":2: attempt to index local 'a' (a nil value)");
    fails("error('no secret set')", MG_ELUA, ":1: no secret set");
    fails("error('bare', 0)", MG_ELUA, ": bare");
    fails("error({})", MG_ELUA, ": the error is a table");
}

static void unknown_names_are_errors(void **state) {
    (void)state;
    fails("return { workers = atuo }", MG_ELUA, ":1: atuo is not defined here");
    fails("return { x = io.open('/etc/passwd') }", MG_ELUA, ":1: io is not defined here");
    fails("os.execute('true') return {}", MG_ELUA, ":1: attempt to call field 'execute'");
    fails("return require('x')", MG_ELUA, ":1: require is not defined here");
    fails("return pcall(error)", MG_ELUA, ":1: pcall is not defined here");
}

static void an_endless_loop_ends(void **state) {
    (void)state;
    fails("while true do end", MG_ELUA, ":1: the configuration does not come to an end");
    fails("local function f() return f() end f()", MG_ELUA, ":1: the configuration does not come");
}

static void only_one_table_is_configuration(void **state) {
    (void)state;
    fails("", MG_ECONFIG, ": the file must return one table");
    fails("return 'text'", MG_ECONFIG, ": the file must return one table");
}

static void what_is_not_plain_data_is_named(void **state) {
    (void)state;
    fails("return { a = { b = print } }", MG_ELUA, ":1: print is not defined here");
    fails("return { a = { b = tostring } }", MG_ECONFIG, ": a.b: a function cannot be config");
    fails("return { a = { 1, { tostring } } }", MG_ECONFIG, ": a[2][1]: a function cannot be");
    fails("return { a = 0/0 }", MG_ECONFIG, ": a: is not a number");
    fails("return { a = -math.huge }", MG_ECONFIG, ": a: the number is infinite");
    fails("return { a = '\\255' }", MG_ECONFIG, ": a: the text is not UTF-8");
    fails("return { a = { 1, x = 2 } }", MG_ECONFIG,
          ": a: the table mixes names and list items, allowed: either");
    fails("return { upstreams = { a = { 'http://a', balance = 'random' } } }", MG_ECONFIG,
          ": upstreams.a: the table mixes names and list items, allowed: names, as { servers = ");
    fails("return { upstreams = { a = { { 'http://a', weight = 3 } } } }", MG_ECONFIG,
          ": upstreams.a[1]: the table mixes names and list items, allowed: names, as { url = ");
    fails("return { listen = { { '0.0.0.0:80', tls = {} } } }", MG_ECONFIG,
          ": listen[1]: the table mixes names and list items, allowed: names, as { address = ");
    fails("return { a = { 1, [5] = 2 } }", MG_ECONFIG, ": a: the list has gaps");
    fails("return { a = { [true] = 2 } }", MG_ECONFIG, ": a: keys must be names");
    fails("local t = {} t.t = t return t", MG_ECONFIG, ": t.t.t.t.t.t.t.t.t.t.t.t.t.t.t.t: tables");
}

static void bytecode_is_refused(void **state) {
    (void)state;
    fails("\x1bLJ\x02", MG_ELUA, ": ");
}

static void a_file_that_cannot_be_read_is_an_error(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_error err;
    assert_int_equal(mg_read_config("/nowhere/moongate.lua", &out, &err), -ENOENT);
    assert_string_equal(err.text, "/nowhere/moongate.lua: No such file or directory");
    assert_int_equal(mg_read_config("/tmp", &out, &err), -EISDIR);
    assert_int_equal(mg_read_config("/dev/zero", &out, NULL), -EFBIG);
    mg_buf_deinit(&out);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, make_path, remove_path)
    const struct CMUnitTest tests[] = {
        T(a_table_becomes_json_with_sorted_keys),
        T(the_file_may_compute),
        T(a_shell_line_and_a_byte_order_mark_are_skipped),
        T(faults_of_the_script_name_the_line),
        T(unknown_names_are_errors),
        T(an_endless_loop_ends),
        T(only_one_table_is_configuration),
        T(what_is_not_plain_data_is_named),
        T(bytecode_is_refused),
        T(a_file_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
