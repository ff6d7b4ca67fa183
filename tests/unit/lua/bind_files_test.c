#include "lua/bind.h"

#include "event/wire.h"
#include "state.h"

#include <sys/stat.h>

static mg_loop *loop;
static lua_State *L;
static mg_vm *vm;
static char *folder;
static int descriptors;

static int count_descriptors(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static void turn_all(void) {
    mg_loop_run(loop);
}

static int lua_turn_all(lua_State *from) {
    (void)from;
    turn_all();
    return 0;
}

// `told[handle]` is what an operation came to; `path(name)` lies in a folder of the test's own.
static const char helpers[] =
    "told, count = {}, 0\n"
    "native.bind_turn(function()\n"
    "  while true do\n"
    "    local event = { native.next_event() }\n"
    "    if #event == 0 then return end\n"
    "    count = count + 1\n"
    "    told[event[2]] = event\n"
    "  end\n"
    "end)\n"
    "function path(name) return folder .. '/' .. name end\n"
    "function result(handle)\n"
    "  turn_all()\n"
    "  return unpack(assert(told[handle]), 3, 7)\n"
    "end\n"
    "function write(name, text)\n"
    "  return result(native.write_file(path(name), text, -1, false, false, false))\n"
    "end\n"
    "function read(name) return select(2, result(native.read_file(path(name), 1e6))) end\n";

static int set_up(void **state) {
    (void)state;
    alarm(60);
    folder = new_folder();
    loop = new_loop(true);
    L = luaL_newstate();
    luaL_openlibs(L);
    vm = mg_vm_new(L, loop);
    mg_vm_attach(vm);
    mg_push_native(L, vm);
    lua_setglobal(L, "native");
    lua_register(L, "turn_all", lua_turn_all);
    lua_pushstring(L, folder);
    lua_setglobal(L, "folder");
    run_lua(L, helpers);
    run_lua(L, "assert(write('warm', '') == true)"); // the threads and their descriptors are there
    descriptors = count_descriptors();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_vm_free(vm);
    turn_all();
    assert_int_equal(count_descriptors(), descriptors);
    lua_close(L);
    remove_folder(folder);
    return mg_loop_free(loop);
}

static void files_are_written_and_read(void **state) {
    (void)state;
    run_lua(L, "assert(write('a', 'x\\0y') == true)\n"
               "assert(read('a') == 'x\\0y')\n"
               "assert(write('a', '') == true)\n"
               "assert(read('a') == '')\n"
               "local ok = result(native.write_file(path('a'), 'z', 384, true, false, true))\n"
               "assert(ok == true and read('a') == 'z')\n"
               "ok = result(native.write_file(path('s/t/a'), 'q', -1, false, true, true))\n"
               "assert(ok == true and read('s/t/a') == 'q')");
}

static void a_failure_has_a_code_a_text_and_the_errno_with_its_name(void **state) {
    (void)state;
    run_lua(L, "local ok, code, text, errno, name = result(native.read_file(path('none'), 9))\n"
               "assert(ok == false and code == 'file' and text == 'No such file or directory')\n"
               "assert(errno == -2 and name == 'ENOENT')\n"
               "write('a', '12345')\n"
               "ok, code = result(native.read_file(path('a'), 4))\n"
               "assert(ok == false and code == 'limit')\n"
               "ok, code = result(native.list_folder(folder, 1))\n"
               "assert(ok == false and code == 'limit')");
}

static void what_is_there_is_told(void **state) {
    (void)state;
    run_lua(L, "write('a', '12345')\n"
               "local ok, st = result(native.stat_file(path('a'), true))\n"
               "assert(ok and st.kind == 'file' and st.size == 5 and st.mode == '0644')\n"
               "assert(st.modified > 1e9)\n"
               "local good, list = result(native.list_folder(folder, 10))\n"
               "assert(good and #list == 2 and list[1].name == 'a' and list[1].size == 5)\n"
               "assert(list[2].name == 'warm' and list[2].kind == 'file')");
}

static void changes_are_made(void **state) {
    (void)state;
    run_lua(L, "assert(result(native.change_file('make_folder', path('x/y'))) == true)\n"
               "assert(result(native.change_file('rename', path('warm'), path('x/w'))) == true)\n"
               "assert(result(native.change_file('delete', path('x/w'))) == true)\n"
               "assert(result(native.change_file('delete_folder', path('x/y'))) == true)\n"
               "local _, _, _, _, name = result(native.change_file('delete', path('x')))\n"
               "assert(name == 'EISDIR')\n"
               "assert(not pcall(native.change_file, 'rename', path('x')))\n"
               "assert(not pcall(native.change_file, 'burn', path('x')))");
}

static void what_is_cancelled_is_not_told(void **state) {
    (void)state;
    run_lua(L, "write('a', ('x'):rep(100000))\n"
               "local before = count\n"
               "for _ = 1, 20 do\n"
               "  native.cancel(native.read_file(path('a'), 1e6))\n"
               "  native.cancel(native.list_folder(folder, 10))\n"
               "  native.cancel(native.stat_file(path('a'), true))\n"
               "  native.cancel(native.write_file(path('b'), 'x', -1, false, false, true))\n"
               "end\n"
               "turn_all()\n"
               "assert(count == before)\n"
               "assert(#read('a') == 100000)");
}

static void a_file_is_read_in_pieces(void **state) {
    (void)state;
    run_lua(L, "write('a', '12345')\n"
               "local stream = native.open_stream(path('a'))\n"
               "local _, piece = result(native.read_stream(stream, 3))\n"
               "assert(piece == '123')\n"
               "_, piece = result(native.read_stream(stream, 3))\n"
               "assert(piece == '45')\n"
               "local ok, none = result(native.read_stream(stream, 3))\n"
               "assert(ok == true and none == nil)\n"
               "native.cancel(stream)\n"
               "local good, code = result(native.read_stream(stream, 3))\n"
               "assert(good == false and code == 'closed')\n"
               "stream = native.open_stream(path('none'))\n"
               "for _ = 1, 2 do\n"
               "  local _, _, _, _, name = result(native.read_stream(stream, 3))\n"
               "  assert(name == 'ENOENT')\n"
               "end\n"
               "native.cancel(stream)");
}

static void one_piece_at_a_time(void **state) {
    (void)state;
    run_lua(L, "write('a', '12345')\n"
               "local stream = native.open_stream(path('a'))\n"
               "local first = native.read_stream(stream, 1)\n"
               "local _, _, _, _, name = result(native.read_stream(stream, 1))\n"
               "assert(name == 'EBUSY')\n"
               "assert(told[first][4] == '1')\n"
               "native.cancel(native.read_stream(stream, 1))\n"
               "local busy = native.read_stream(stream, 1)\n"
               "turn_all()\n"
               "assert(told[busy][3] == false)\n"
               "native.cancel(stream)\n"
               "turn_all()");
}

static void closing_a_file_ends_the_read_under_way(void **state) {
    (void)state;
    run_lua(L, "write('a', '12345')\n"
               "for turns = 0, 1 do\n"
               "  local stream = native.open_stream(path('a'))\n"
               "  if turns == 1 then turn_all() end\n"
               "  local piece = native.read_stream(stream, 3)\n"
               "  native.cancel(stream)\n"
               "  local ok, code = result(piece)\n"
               "  assert(ok == false and code == 'closed')\n"
               "end");
}

static void a_handle_of_something_else_is_no_stream(void **state) {
    (void)state;
    run_lua(L, "local read = native.read_file(path('warm'), 9)\n"
               "local ok, code = result(native.read_stream(read, 3))\n"
               "assert(ok == false and code == 'closed')");
}

// tear_down looks for descriptors that are left.
static void a_severed_state_leaves_nothing_open(void **state) {
    (void)state;
    run_lua(L, "write('a', ('x'):rep(100000))\n"
               "native.open_stream(path('a'))\n"
               "local busy = native.open_stream(path('a'))\n"
               "turn_all()\n"
               "native.read_stream(busy, 1000)\n"
               "native.read_stream(native.open_stream(path('a')), 1000)\n"
               "native.open_stream(path('none'))\n"
               "native.read_file(path('a'), 1e6)\n"
               "native.list_folder(folder, 10)\n"
               "native.write_file(path('b'), ('y'):rep(1e6), -1, false, false, true)");
    mg_vm_sever(vm);
    turn_all();
    assert_int_equal(count_descriptors(), descriptors);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(files_are_written_and_read),
        EACH(a_failure_has_a_code_a_text_and_the_errno_with_its_name),
        EACH(what_is_there_is_told),
        EACH(changes_are_made),
        EACH(what_is_cancelled_is_not_told),
        EACH(a_file_is_read_in_pieces),
        EACH(one_piece_at_a_time),
        EACH(closing_a_file_ends_the_read_under_way),
        EACH(a_handle_of_something_else_is_no_stream),
        EACH(a_severed_state_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
