// The bridge over a database that does nothing by itself: what is dropped when, and how often.

#include "lua/bind_database.h"

#include "base/mem.h"
#include "lua/bind.h"
#include "store/database_ops.h"

#include "state.h"

typedef struct fake_call {
    mg_db_call base;
    mg_db_session *session; // that it opens
    mg_db_done_cb on_done;
    void *arg;
    char sql[64];
} fake_call;

typedef struct fake {
    mg_database base;
    fake_call *last; // NULL: none is under way
    int cancels, drops, commits;
    int refuse; // what the next call answers
} fake;

static fake f;
static mg_loop *loop;
static lua_State *L;
static mg_vm *vm;
static mg_named_database named = {"default", &f.base};
static mg_services services = {.databases = &named, .database_count = 1};

static int start(mg_db_call **out, const mg_db_statement *s, mg_db_session *session,
                 mg_db_done_cb on_done, void *arg) {
    if (f.refuse != MG_OK) {
        return f.refuse;
    }
    fake_call *call = mg_calloc(1, sizeof *call);
    call->base.database = &f.base;
    call->session = session;
    call->on_done = on_done;
    call->arg = arg;
    if (s != NULL) {
        snprintf(call->sql, sizeof call->sql, "%.*s %u", (int)s->sql.n, s->sql.p, s->count);
    }
    f.last = call;
    *out = &call->base;
    return MG_OK;
}

static int open_session(mg_db_call **out, const mg_db_statement *s, mg_db_session **session,
                        mg_db_done_cb on_done, void *arg) {
    mg_db_session *made = mg_calloc(1, sizeof *made);
    made->database = &f.base;
    int rc = start(out, s, made, on_done, arg);
    if (rc != MG_OK) {
        mg_free(made);
        return rc;
    }
    *session = made;
    return MG_OK;
}

static int fake_query(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                      mg_db_done_cb on_done, void *arg) {
    (void)d;
    return start(out, s, NULL, on_done, arg);
}

static int fake_begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                      mg_db_done_cb on_done, void *arg) {
    (void)d;
    (void)flags;
    return open_session(out, NULL, session, on_done, arg);
}

static int fake_open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                          mg_db_session **session, mg_db_done_cb on_done, void *arg) {
    (void)d;
    return open_session(out, s, session, on_done, arg);
}

static int fake_end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
                    void *arg) {
    f.commits += commit;
    mg_free(session);
    return start(out, NULL, NULL, on_done, arg);
}

static int fake_fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows,
                      mg_db_done_cb on_done, void *arg) {
    (void)session;
    (void)max_rows;
    return start(out, NULL, NULL, on_done, arg);
}

static void free_last(void) {
    mg_free(f.last);
    f.last = NULL;
}

// Calls under way go with it, as the contract has it.
static void fake_drop(mg_db_session *session) {
    f.drops++;
    free_last();
    mg_free(session);
}

static void fake_cancel(mg_db_call *call) {
    assert_ptr_equal(call, f.last);
    f.cancels++;
    mg_free(f.last->session);
    free_last();
}

static const mg_database_ops fake_ops = {
    .query = fake_query,
    .begin = fake_begin,
    .end = fake_end,
    .open_rows = fake_open_rows,
    .fetch = fake_fetch,
    .drop = fake_drop,
    .cancel = fake_cancel,
};

static void finish_with(const mg_db_rows *rows, const mg_db_fault *fault) {
    fake_call *call = f.last;
    f.last = NULL;
    call->on_done(call->arg, rows, fault);
    if (fault != NULL) {
        mg_free(call->session);
    }
    mg_free(call);
}

static void finish(const mg_db_fault *fault) {
    static const mg_db_rows none;
    finish_with(fault == NULL ? &none : NULL, fault);
}

static void turn(void) {
    for (int i = 0; i < 5; i++) {
        mg_loop_turn(loop, false, false, UINT64_MAX);
    }
}

static int set_up(void **state) {
    (void)state;
    f = (fake){.base.ops = &fake_ops};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    L = luaL_newstate();
    luaL_openlibs(L);
    vm = mg_vm_new(L, loop);
    vm->services = &services;
    mg_vm_attach(vm);
    mg_push_native(L, vm);
    lua_setglobal(L, "native");
    run_lua(L, "seen = {}\n"
               "native.bind_turn(function()\n"
               "  while true do\n"
               "    local event = { native.next_event() }\n"
               "    if #event == 0 then return end\n"
               "    seen[event[2]] = event\n"
               "  end\n"
               "end)");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_vm_free(vm);
    lua_close(L);
    assert_null(f.last);
    return mg_loop_free(loop);
}

static void a_statement_is_told_and_a_cancelled_one_is_not(void **state) {
    (void)state;
    run_lua(L, "op = native.database_query('default', false, 'SELECT', 1, nil)");
    assert_string_equal(f.last->sql, "SELECT 2");
    finish(NULL);
    turn();
    run_lua(L, "assert(seen[op][3] == true and type(seen[op][4]) == 'table')\n"
               "op = native.database_query('default', false, 'SELECT')\n"
               "native.cancel(op)");
    assert_int_equal(f.cancels, 1);
    turn();
    run_lua(L, "assert(seen[op] == nil)");
    assert_int_equal(vm->ops.used, 0);
}

enum { MANY = 100000 };

static void finish_with_many(void) {
    static const mg_str name = {"n", 1};
    mg_db_value *values = mg_calloc(MANY, sizeof *values);
    for (int i = 0; i < MANY; i++) {
        values[i] = (mg_db_value){.kind = MG_DB_DOUBLE, .number = i + 1};
    }
    finish_with(&(mg_db_rows){.columns = 1, .rows = MANY, .names = &name, .values = values}, NULL);
    mg_free(values);
}

static bool is_seen(void) {
    run_lua(L, "known = seen[op] ~= nil");
    lua_getglobal(L, "known");
    bool known = lua_toboolean(L, -1);
    lua_settop(L, 0);
    return known;
}

static void many_rows_are_told_over_several_turns(void **state) {
    (void)state;
    int turns = 0;
    run_lua(L, "op = native.database_query('default', false, 'SELECT')");
    finish_with_many();
    while (!is_seen()) {
        mg_loop_turn(loop, false, false, UINT64_MAX);
        turns++;
    }
    assert_in_range(turns, 10, 20);
    run_lua(L, "local rows = seen[op][4]\n"
               "assert(seen[op][3] == true and #rows == 100000)\n"
               "for i = 1, #rows do assert(rows[i].n == i) end");
    assert_int_equal(vm->ops.used, 0);
}

static void many_rows_can_be_cancelled_in_the_middle(void **state) {
    (void)state;
    run_lua(L, "op = native.database_query('default', false, 'SELECT')");
    finish_with_many();
    mg_loop_turn(loop, false, false, UINT64_MAX);
    mg_loop_turn(loop, false, false, UINT64_MAX);
    run_lua(L, "native.cancel(op) collectgarbage() assert(collectgarbage('count') < 1000)");
    turn();
    assert_false(is_seen());
    assert_int_equal(vm->ops.used, 0);
}

static void what_cannot_be_started_is_said(void **state) {
    (void)state;
    f.refuse = MG_ELIMIT;
    run_lua(L, "local op, what = native.database_query('default', false, 'SELECT')\n"
               "assert(op == nil and what == 'limit')\n"
               "op, what = native.database_begin('default', true)\n"
               "assert(op == nil and what == 'limit')");
    f.refuse = MG_ECLOSED;
    run_lua(L, "local op, what = native.database_open_rows('default', false, 9, 'SELECT')\n"
               "assert(op == nil and what == 'closed')\n"
               "op, what = native.database_query('other', false, 'SELECT')\n"
               "assert(op == nil and what == 'unknown')\n"
               "local number, text\n"
               "op, what, number, text = native.database_query('default', false, 'SELECT', 1, {})\n"
               "assert(op == nil and what == 'parameter' and number == 2 and text)");
    assert_int_equal(vm->ops.used, 0);
}

static void a_fault_carries_what_is_known_of_it(void **state) {
    (void)state;
    run_lua(L, "op = native.database_query('default', false, 'INSERT\\n1')");
    finish(&(mg_db_fault){"constraint", "not unique", 19, {NULL}});
    turn();
    run_lua(L, "local e = seen[op]\n"
               "assert(e[3] == false and e[4] == 'database')\n"
               "assert(e[5] == 'not unique, in \"INSERT 1\"', e[5])\n"
               "assert(e[6].reason == 'constraint' and e[6].native == 19)\n"
               "assert(e[6].statement == 'INSERT\\n1')");
}

static void begin_transaction(void) {
    run_lua(L, "op, session = native.database_begin('default', true)");
    finish(NULL);
    turn();
}

static void a_session_that_is_cancelled_is_dropped_once(void **state) {
    (void)state;
    begin_transaction();
    run_lua(L, "native.cancel(session)\n"
               "native.cancel(session)\n"
               "local op, what = native.session_query(session, false, 'SELECT')\n"
               "assert(op == nil and what == 'closed')\n"
               "op, what = native.session_commit(session)\n"
               "assert(op == nil and what == 'closed')");
    assert_int_equal(f.drops, 1);
}

static void a_session_that_is_committed_is_not_dropped(void **state) {
    (void)state;
    begin_transaction();
    run_lua(L, "op = native.session_commit(session)\n"
               "native.cancel(session)");
    finish(NULL);
    turn();
    run_lua(L, "assert(seen[op][3] == true)");
    assert_int_equal(f.commits, 1);
    assert_int_equal(f.drops, 0);
    assert_int_equal(vm->ops.used, 0);
}

static void statements_of_a_dropped_session_are_closed(void **state) {
    (void)state;
    begin_transaction();
    run_lua(L, "op = native.session_query(session, false, 'SELECT')\n"
               "native.cancel(session)");
    turn();
    run_lua(L, "assert(seen[op][3] == false and seen[op][4] == 'closed')");
    assert_int_equal(f.drops, 1);
    assert_int_equal(f.cancels, 0);
}

static void a_begin_that_is_cancelled_takes_its_session_with_it(void **state) {
    (void)state;
    run_lua(L, "op, session = native.database_begin('default', true)\n"
               "native.cancel(op)\n"
               "native.cancel(session)");
    assert_int_equal(f.cancels, 1);
    assert_int_equal(f.drops, 0);
}

static void a_begin_that_failed_has_no_session(void **state) {
    (void)state;
    run_lua(L, "op, session = native.database_open_rows('default', false, 9, 'SELECT')");
    finish(&(mg_db_fault){"busy", "locked", 5, {NULL}});
    turn();
    run_lua(L, "assert(seen[op][6].reason == 'busy')\n"
               "native.cancel(session)");
    assert_int_equal(f.drops, 0);
    assert_int_equal(vm->ops.used, 0);
}

static void the_end_of_the_vm_drops_sessions(void **state) {
    (void)state;
    begin_transaction();
    run_lua(L, "native.session_query(session, false, 'SELECT')");
    mg_vm_sever(vm);
    assert_int_equal(f.drops, 1);
    assert_null(f.last);
}

static void the_end_of_the_vm_cancels_a_begin_once(void **state) {
    (void)state;
    run_lua(L, "native.database_begin('default', true)");
    mg_vm_sever(vm);
    assert_int_equal(f.drops + f.cancels, 1);
}

static void a_database_that_goes_closes_what_is_under_way(void **state) {
    (void)state;
    run_lua(L, "op = native.database_query('default', false, 'SELECT')");
    mg_bind_database_forget(vm, &f.base);
    assert_int_equal(f.cancels, 1);
    begin_transaction();
    run_lua(L, "assert(seen)");
    mg_bind_database_forget(vm, &f.base);
    assert_int_equal(f.drops, 1);
    turn();
    run_lua(L, "native.cancel(session)");
    assert_int_equal(f.drops, 1);
    assert_int_equal(vm->ops.used, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_statement_is_told_and_a_cancelled_one_is_not),
        T(many_rows_are_told_over_several_turns),
        T(many_rows_can_be_cancelled_in_the_middle),
        T(what_cannot_be_started_is_said),
        T(a_fault_carries_what_is_known_of_it),
        T(a_session_that_is_cancelled_is_dropped_once),
        T(a_session_that_is_committed_is_not_dropped),
        T(statements_of_a_dropped_session_are_closed),
        T(a_begin_that_is_cancelled_takes_its_session_with_it),
        T(a_begin_that_failed_has_no_session),
        T(the_end_of_the_vm_drops_sessions),
        T(the_end_of_the_vm_cancels_a_begin_once),
        T(a_database_that_goes_closes_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
