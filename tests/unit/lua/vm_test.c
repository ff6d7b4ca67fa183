#include "lua/vm.h"

#include "base/mem.h"
#include "lua/bind.h"

#include "server/peer.h"

#include "state.h"

enum { WINDOW = 1 << 16 };

// An operation of the test's own; `result` is what it tells.
typedef struct job {
    mg_op op;
    int result;
} job;

static rig r;
static lua_State *L;
static mg_vm *vm;
static peer p;
static int cancels, releases;

static int push_job(lua_State *to, mg_op *op) {
    lua_pushboolean(to, 1);
    lua_pushinteger(to, ((job *)op)->result);
    return 2;
}

static void cancel_job(mg_op *op) {
    (void)op;
    cancels++;
}

static void release_job(mg_op *op) {
    releases++;
    mg_free(op);
}

static const mg_op_kind job_kind = {"job", push_job, cancel_job, release_job};

static mg_op *start_job(int result) {
    job *j = mg_calloc(1, sizeof *j);
    j->result = result;
    mg_op_start(vm, &j->op, &job_kind);
    return &j->op;
}

// job() -> handle of one that finishes in the next turn
static int lua_job(lua_State *from) {
    mg_op *op = start_job(9);
    mg_op_finish_later(op);
    lua_pushnumber(from, (lua_Number)op->handle);
    return 1;
}

static int set_up(void **state) {
    (void)state;
    cancels = 0;
    releases = 0;
    r = (rig){0};
    assert_int_equal(mg_loop_new(&r.loop, &(mg_loop_options){.virtual_clock = true}), 0);
    L = luaL_newstate();
    luaL_openlibs(L);
    vm = mg_vm_new(L, r.loop);
    mg_vm_attach(vm);
    mg_push_native(L, vm);
    lua_setglobal(L, "native");
    lua_register(L, "job", lua_job);
    run_lua(L, "seen, turns = {}, 0\n"
               "native.bind_turn(function()\n"
               "  turns = turns + 1\n"
               "  while true do\n"
               "    local event = { native.next_event() }\n"
               "    if #event == 0 then return end\n"
               "    event.turn = turns\n"
               "    seen[#seen + 1] = event\n"
               "  end\n"
               "end)");
    mg_server_options options = rig_options();
    r.server = mg_server_new(r.loop, mg_vm_seam(vm), &options);
    vm->server = r.server;
    peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    mg_server_close(r.server);
    rig_settle(&r);
    mg_server_free(r.server);
    mg_vm_free(vm);
    lua_close(L);
    return mg_loop_free(r.loop);
}

static void set_global(const char *name, uint64_t handle) {
    lua_pushnumber(L, (lua_Number)handle);
    lua_setglobal(L, name);
}

// --- operations ---

static void operations_are_told_in_the_order_in_which_they_finished(void **state) {
    (void)state;
    mg_op *first = start_job(1);
    mg_op *second = start_job(2);
    set_global("first", first->handle);
    set_global("second", second->handle);
    mg_op_finish(second);
    mg_op_finish(first);
    assert_int_equal(releases, 0);
    rig_settle(&r);
    run_lua(L, "assert(#seen == 2)\n"
               "local a, b = seen[1], seen[2]\n"
               "assert(a[1] == 2 and a[2] == second and a[3] == true and a[4] == 2)\n"
               "assert(b[1] == 2 and b[2] == first and b[3] == true and b[4] == 1)\n"
               "assert(turns == 1)");
    assert_int_equal(releases, 2);
    assert_int_equal(cancels, 0);
    assert_int_equal(vm->ops.used, 0);
}

static void what_is_to_finish_later_is_told_in_the_next_turn(void **state) {
    (void)state;
    run_lua(L, "native.bind_turn(function()\n"
               "  turns = turns + 1\n"
               "  if turns == 1 then handle = job() end\n"
               "  local kind, op, good, result = native.next_event()\n"
               "  if kind then seen[1] = { op, good, result, turns } end\n"
               "end)\n"
               "native.turn_soon()");
    rig_settle(&r);
    run_lua(L, "local s = seen[1]\n"
               "assert(s[1] == handle and s[2] == true and s[3] == 9 and s[4] == 2)");
    assert_int_equal(releases, 1);
}

static void a_cancelled_operation_is_stopped_and_never_told(void **state) {
    (void)state;
    set_global("op", start_job(1)->handle);
    run_lua(L, "native.cancel(op)");
    assert_int_equal(cancels, 1);
    assert_int_equal(releases, 1);
    run_lua(L, "native.cancel(op)");
    assert_int_equal(cancels, 1);
    rig_settle(&r);
    run_lua(L, "assert(#seen == 0 and turns == 0)");
}

static void a_finished_operation_can_be_cancelled_before_it_is_told(void **state) {
    (void)state;
    mg_op *now = start_job(1);
    mg_op *later = start_job(2);
    set_global("now", now->handle);
    set_global("later", later->handle);
    mg_op_finish(now);
    mg_op_finish_later(later);
    run_lua(L, "native.cancel(now) native.cancel(later)");
    rig_settle(&r);
    run_lua(L, "assert(#seen == 0)");
    assert_int_equal(cancels, 0);
    assert_int_equal(releases, 2);
}

static void freeing_stops_what_runs_and_drops_what_is_queued(void **state) {
    (void)state;
    mg_vm *other = mg_vm_new(L, r.loop);
    mg_vm_attach(other);
    mg_vm *own = vm;
    vm = other;
    start_job(1);
    mg_op_finish(start_job(2));
    mg_op_finish_later(start_job(3));
    vm = own;
    mg_vm_free(other);
    assert_int_equal(cancels, 1);
    assert_int_equal(releases, 3);
    mg_vm_free(NULL);
}

// --- the turn ---

static void lua_is_called_only_when_there_is_something_for_it(void **state) {
    (void)state;
    rig_settle(&r);
    mg_loop_turn_soon(r.loop);
    rig_settle(&r);
    run_lua(L, "assert(turns == 0)\n"
               "native.turn_soon()");
    rig_settle(&r);
    run_lua(L, "assert(turns == 1)");
}

static void only_a_function_can_be_bound_to_the_turn(void **state) {
    (void)state;
    run_lua(L, "local good, message = pcall(native.bind_turn, 1)\n"
               "assert(not good and message:find('function expected', 1, true))\n"
               "native.turn_soon()");
    rig_settle(&r);
    run_lua(L, "assert(turns == 1)");
}

static void a_failure_of_the_scheduler_does_not_end_the_loop(void **state) {
    (void)state;
    run_lua(L, "native.bind_turn(function() turns = turns + 1 error('out of order') end)\n"
               "native.turn_soon()");
    rig_settle(&r);
    assert_int_equal(lua_gettop(L), 0);
    run_lua(L, "assert(turns > 1) before = turns native.turn_soon()");
    rig_settle(&r);
    run_lua(L, "assert(turns == before + 1)");
}

static int pushes, refusals;

static int push_or_raise(lua_State *to, mg_op *op) {
    if (++pushes <= refusals) {
        return luaL_error(to, "not enough memory");
    }
    return push_job(to, op);
}

static const mg_op_kind refusing_kind = {"job", push_or_raise, cancel_job, release_job};

static void finish_refusing(int times) {
    pushes = 0;
    refusals = times;
    job *j = mg_calloc(1, sizeof *j);
    mg_op_start(vm, &j->op, &refusing_kind);
    set_global("op", j->op.handle);
    mg_op_finish(&j->op);
    mg_op_finish(start_job(2));
    rig_settle(&r);
}

static void a_result_that_cannot_be_pushed_is_pushed_once_more(void **state) {
    (void)state;
    finish_refusing(1);
    run_lua(L, "assert(#seen == 2 and seen[1][2] == op and seen[1][3] == true)\n"
               "assert(seen[2][4] == 2)");
    assert_int_equal(releases, 2);
    assert_int_equal(vm->ops.used, 0);
}

static void a_result_that_never_can_be_pushed_is_told_as_a_failure_and_released(void **state) {
    (void)state;
    finish_refusing(100);
    run_lua(L, "assert(#seen == 2 and seen[1][2] == op)\n"
               "assert(seen[1][3] == false and seen[1][4] == 'memory')\n"
               "assert(seen[2][4] == 2)");
    assert_int_equal(pushes, 2);
    assert_int_equal(releases, 2);
    assert_int_equal(vm->ops.used, 0);
}

static void an_operation_too_many_is_an_error(void **state) {
    (void)state;
    uint32_t used = vm->ops.used;
    run_lua(L, "native.bind_limit(function(most) error({ code = 'limit', most = most }) end)");
    vm->ops.used = MG_OPS_MAX;
    run_lua(L, "local function refused(...)\n"
               "  local ok, err = pcall(...)\n"
               "  assert(not ok and err.code == 'limit' and err.most > 1e6)\n"
               "end\n"
               "refused(native.sleep, 1)\n"
               "refused(native.read_file, 'a', 1)\n"
               "refused(native.database_query, 'main', false, 'SELECT 1')\n"
               "refused(native.http_call, 'GET', 'http://a/')\n"
               "refused(native.body, 1, true)\n"
               "assert(native.sleep(1, true))"); // the framework's own
    vm->ops.used -= MG_OPS_MAX - used;
}

// --- requests ---

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

static void bind_routes(void) {
    run_lua(L, "local router = native.router.new()\n"
               "router:add('GET', '/users/:id', 1)\n"
               "router:add('POST', '/short', 2)\n"
               "native.bind_routes(router, {\n"
               "  { name = 'user', deadline_ms = 500 },\n"
               "  { body_bytes = 3 },\n"
               "})\n"
               "collectgarbage()");
}

// The exchange of the last request that Lua was told of.
static mg_exchange *last_exchange(void) {
    run_lua(L, "handle = seen[#seen][2]");
    lua_getglobal(L, "handle");
    mg_exchange *x = mg_vm_exchange(L, vm, -1);
    lua_pop(L, 1);
    return x;
}

static void respond(mg_exchange *x) {
    mg_vm_release_exchange(vm, x);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
    rig_settle(&r);
}

static void a_request_comes_with_its_route_and_a_handle(void **state) {
    (void)state;
    bind_routes();
    mg_loop_set_now(r.loop, 1500);
    peer_send(&r, &p, GET("/users/7"));
    run_lua(L, "local e = seen[1]\n"
               "assert(#seen == 1 and #e == 6)\n"
               "assert(e[1] == 1 and e[3] == 1 and e[4] == 0)\n"
               "assert(native.method_name(e[5] % 64) == 'GET')\n"
               "assert(math.floor(e[5] / 64) == 1500 and e[6].id == '7')");
    mg_exchange *x = last_exchange();
    assert_text("user", x->route);
    assert_text("7", x->routed->match.values[0]);
    respond(x);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_null(last_exchange());
    assert_int_equal(vm->exchanges.used, 0);
}

static void a_request_that_the_scheduler_did_not_take_is_told_as_lost(void **state) {
    (void)state;
    run_lua(L, "native.bind_turn(function()\n"
               "  local event = { native.next_event() }\n"
               "  if #event == 0 then return end\n"
               "  seen[#seen + 1] = event\n"
               "  if #seen == 1 then error('not enough memory') end\n"
               "end)");
    peer_send(&r, &p, GET("/"));
    run_lua(L, "assert(#seen == 2 and seen[2][1] == 3)\n"
               "assert(seen[2][2] == seen[1][2] and seen[2][3] == 'lost')\n"
               "native.give_up(seen[1][2])");
    rig_settle(&r);
    assert_true(memmem(p.got.p, p.got.n, "500 Internal", 12) != NULL);
}

static void a_request_without_a_route_says_what_is_allowed(void **state) {
    (void)state;
    bind_routes();
    peer_send(&r, &p, "DELETE /users/7 HTTP/1.1\r\nHost: h\r\n\r\n");
    run_lua(L, "bit = require('bit')\n"
               "local e = seen[1]\n"
               "assert(e[3] == 0)\n"
               "for m = 0, 8 do\n"
               "  local name = native.method_name(m)\n"
               "  local want = name == 'GET' or name == 'HEAD' or name == 'OPTIONS'\n"
               "  assert((bit.band(e[4], bit.lshift(1, m)) ~= 0) == want, name)\n"
               "end");
    respond(last_exchange());
    peer_send(&r, &p, GET("/nowhere"));
    run_lua(L, "assert(seen[2][3] == 0 and seen[2][4] == 0)");
    respond(last_exchange());
}

static void options_of_the_server_allows_what_it_can_do(void **state) {
    (void)state;
    peer_send(&r, &p, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    run_lua(L, "assert(seen[1][3] == 0 and seen[1][4] > 0)");
    respond(last_exchange());
}

static void a_body_beyond_its_routes_limit_is_refused_in_the_handlers_place(void **state) {
    (void)state;
    bind_routes();
    peer_send(&r, &p, "POST /short HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    run_lua(L, "assert(#seen == 1 and seen[1][3] > 0 and seen[1][4] == 1)\n"
               "local nothing, code, message, fields = native.body(seen[1][2], true)\n"
               "assert(nothing == nil and code == 'status' and fields.status == 413)\n"
               "assert(message == \"the request's body is too large\")");
    respond(last_exchange());
    assert_int_equal(p.ends, 1);
}

static void a_routes_deadline_is_signalled(void **state) {
    (void)state;
    bind_routes();
    peer_send(&r, &p, GET("/users/7"));
    mg_exchange *x = last_exchange();
    rig_pass(&r, 499);
    run_lua(L, "assert(#seen == 1)");
    rig_pass(&r, 1);
    run_lua(L, "assert(#seen == 2 and #seen[2] == 3)\n"
               "assert(seen[2][1] == 3 and seen[2][2] == seen[1][2] and seen[2][3] == 'deadline')");
    respond(x);
}

static void a_client_that_leaves_is_signalled_and_the_handle_is_stale(void **state) {
    (void)state;
    peer_send(&r, &p, GET("/a"));
    assert_non_null(last_exchange());
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    run_lua(L, "assert(#seen == 2 and seen[2][1] == 3 and seen[2][2] == seen[1][2])\n"
               "assert(seen[2][3] == 'closed')");
    assert_null(last_exchange());
}

static void a_stopping_server_is_signalled(void **state) {
    (void)state;
    peer_send(&r, &p, GET("/a"));
    mg_server_close(r.server);
    rig_settle(&r);
    run_lua(L, "assert(#seen == 2 and seen[2][3] == 'stop')");
}

static void a_request_that_is_lost_before_its_turn_is_never_told(void **state) {
    (void)state;
    run_lua(L, "native.bind_turn(function() end)");
    peer_send(&r, &p, GET("/a"));
    assert_false(mg_link_alone(&vm->requests));
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_true(mg_link_alone(&vm->requests));
    assert_true(mg_link_alone(&vm->events));
    assert_int_equal(vm->exchanges.used, 0);
}

// --- bodies ---

#define POST "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"

// Lua has asked for all of the body, of which one byte has come.
static void wait_for_body(void) {
    peer_send(&r, &p, POST "a");
    run_lua(L, "handle = seen[1][2]\n"
               "op = native.body(handle, true)\n"
               "assert(type(op) == 'number')\n"
               "assert(select(2, native.body(handle, true)) == 'busy')");
}

static void a_body_is_told_once_it_is_complete(void **state) {
    (void)state;
    wait_for_body();
    peer_send(&r, &p, "b");
    run_lua(L, "assert(#seen == 1)");
    peer_send(&r, &p, "c");
    run_lua(L, "local e = seen[2]\n"
               "assert(e[1] == 2 and e[2] == op and e[3] == true and e[4] == 'abc')\n"
               "local op, rest = native.body(handle, false)\n"
               "assert(op == false and rest == nil)");
    respond(last_exchange());
}

// The exchange may serve somebody else by the time Lua looks.
static void a_body_whose_request_went_in_the_same_turn_is_not_told(void **state) {
    (void)state;
    wait_for_body();
    static peer other;
    peer_open(&r, &other, WINDOW);
    peer_write(&p, "bc", 2);
    mg_stream_close(&p.s, true);
    peer_send(&r, &other, POST "xyz");
    run_lua(L, "local e = seen[2]\n"
               "assert(#seen == 4 and e[1] == 2 and e[2] == op and e[3] == false)\n"
               "assert(e[4] == 'closed')\n"
               "assert(seen[3][1] == 3 and seen[3][3] == 'closed')\n"
               "assert(select(2, native.body(seen[4][2], true)) == 'xyz')");
    assert_int_equal(vm->ops.used, 0);
    peer_close(&r, &other, true);
}

static void a_body_is_not_waited_for_beyond_the_answer(void **state) {
    (void)state;
    wait_for_body();
    run_lua(L, "assert(native.respond(handle, 200, nil, nil, 'x'))");
    rig_settle(&r);
    run_lua(L, "local e = seen[2]\n"
               "assert(#seen == 2 and e[2] == op and e[3] == false and e[4] == 'closed')");
    peer_send(&r, &p, "bc" GET("/b"));
    run_lua(L, "native.cancel(op)");
    assert_int_equal(vm->ops.used, 0);
    run_lua(L, "seen[#seen + 1] = { 1, seen[3][2] }");
    respond(last_exchange());
}

static void a_complete_body_can_be_cancelled_before_it_is_told(void **state) {
    (void)state;
    wait_for_body();
    run_lua(L, "native.bind_turn(function() native.cancel(op) end)");
    peer_send(&r, &p, "bc");
    run_lua(L, "local op, text = native.body(handle, true)\n"
               "assert(op == false and text == 'abc')");
    respond(last_exchange());
}

static void new_routes_replace_the_old_ones(void **state) {
    (void)state;
    bind_routes();
    run_lua(L, "local router = native.router.new()\n"
               "router:add('GET', '/b', 1)\n"
               "native.bind_routes(router, { { name = 'b' } })\n"
               "collectgarbage() collectgarbage()");
    peer_send(&r, &p, GET("/users/7"));
    run_lua(L, "assert(seen[1][3] == 0)");
    respond(last_exchange());
    peer_send(&r, &p, GET("/b"));
    run_lua(L, "assert(seen[2][3] == 1)");
    respond(last_exchange());
    run_lua(L, "assert(not pcall(native.bind_routes, {}, {}))");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(operations_are_told_in_the_order_in_which_they_finished),
        TEST(what_is_to_finish_later_is_told_in_the_next_turn),
        TEST(a_cancelled_operation_is_stopped_and_never_told),
        TEST(a_finished_operation_can_be_cancelled_before_it_is_told),
        TEST(freeing_stops_what_runs_and_drops_what_is_queued),
        TEST(lua_is_called_only_when_there_is_something_for_it),
        TEST(only_a_function_can_be_bound_to_the_turn),
        TEST(a_failure_of_the_scheduler_does_not_end_the_loop),
        TEST(a_result_that_cannot_be_pushed_is_pushed_once_more),
        TEST(a_result_that_never_can_be_pushed_is_told_as_a_failure_and_released),
        TEST(an_operation_too_many_is_an_error),
        TEST(a_request_that_the_scheduler_did_not_take_is_told_as_lost),
        TEST(a_request_comes_with_its_route_and_a_handle),
        TEST(a_request_without_a_route_says_what_is_allowed),
        TEST(options_of_the_server_allows_what_it_can_do),
        TEST(a_body_beyond_its_routes_limit_is_refused_in_the_handlers_place),
        TEST(a_routes_deadline_is_signalled),
        TEST(a_client_that_leaves_is_signalled_and_the_handle_is_stale),
        TEST(a_stopping_server_is_signalled),
        TEST(a_request_that_is_lost_before_its_turn_is_never_told),
        TEST(new_routes_replace_the_old_ones),
        TEST(a_body_is_told_once_it_is_complete),
        TEST(a_body_whose_request_went_in_the_same_turn_is_not_told),
        TEST(a_body_is_not_waited_for_beyond_the_answer),
        TEST(a_complete_body_can_be_cancelled_before_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
