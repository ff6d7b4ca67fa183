#include "lua/database_values.h"

#include "base/error.h"
#include "base/mem.h"
#include "lua/bind_json.h"

#include "state.h"

static lua_State *L;

static int set_up(void **state) {
    (void)state;
    L = state_with(mg_open_json, "json");
    mg_database_values_open(L);
    mg_database_values_open(L);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    lua_close(L);
    return 0;
}

// Reads the value of a Lua expression. NULL, or what is wrong with it.
static const char *read_one(const char *expression, mg_db_value *out) {
    char source[128];
    const char *what = NULL;
    snprintf(source, sizeof source, "value = %s", expression);
    run_lua(L, source);
    lua_getglobal(L, "value"); // which keeps texts alive
    uint32_t bad = mg_database_read_values(L, 1, 1, out, &what);
    assert_int_equal(lua_gettop(L), 1);
    assert_int_equal(bad, what != NULL);
    lua_settop(L, 0);
    return what;
}

static void each_kind_of_parameter_has_its_own(void **state) {
    (void)state;
    mg_db_value v;
    assert_null(read_one("nil", &v));
    assert_int_equal(v.kind, MG_DB_NULL);
    assert_null(read_one("json.null", &v));
    assert_int_equal(v.kind, MG_DB_NULL);
    assert_null(read_one("true", &v));
    assert_int_equal(v.kind, MG_DB_BOOL);
    assert_int_equal(v.i64, 1);
    assert_null(read_one("-7", &v));
    assert_int_equal(v.kind, MG_DB_I64);
    assert_true(v.i64 == -7);
    assert_null(read_one("'a\\0b'", &v));
    assert_int_equal(v.kind, MG_DB_TEXT);
    assert_int_equal(v.text.n, 3);
}

static void integers_are_whole_numbers_that_a_double_holds(void **state) {
    (void)state;
    mg_db_value v;
    assert_null(read_one("2^53", &v));
    assert_int_equal(v.kind, MG_DB_I64);
    assert_true(v.i64 == INT64_C(1) << 53);
    assert_null(read_one("2^53 + 2", &v));
    assert_int_equal(v.kind, MG_DB_DOUBLE);
    assert_null(read_one("0.5", &v));
    assert_int_equal(v.kind, MG_DB_DOUBLE);
    assert_null(read_one("1 / 0", &v));
    assert_int_equal(v.kind, MG_DB_DOUBLE);
    assert_null(read_one("-9223372036854775807LL - 1", &v));
    assert_int_equal(v.kind, MG_DB_I64);
    assert_true(v.i64 == INT64_MIN);
    assert_null(read_one("9223372036854775807ULL", &v));
    assert_true(v.i64 == INT64_MAX);
    assert_non_null(read_one("9223372036854775808ULL", &v));
    assert_non_null(read_one("0 / 0", &v));
}

static void bytes_are_those_that_were_marked(void **state) {
    (void)state;
    mg_db_value v;
    lua_pushlstring(L, "a\0b", 3);
    mg_database_push_blob(L, 1);
    lua_setglobal(L, "blob");
    lua_settop(L, 0);
    assert_null(read_one("blob", &v));
    assert_int_equal(v.kind, MG_DB_BLOB);
    assert_int_equal(v.text.n, 3);
    run_lua(L, "equal('blob of 3 bytes', tostring(blob))\n"
               "blob[1] = 7");
    assert_non_null(read_one("blob", &v));
    assert_non_null(read_one("{ 'a' }", &v));
    assert_non_null(read_one("setmetatable({ 'a' }, {})", &v));
    assert_non_null(read_one("print", &v));
    assert_non_null(read_one("io.stdout", &v));
}

static void the_first_value_that_is_none_is_numbered(void **state) {
    (void)state;
    mg_db_value values[3];
    const char *what;
    lua_pushinteger(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    assert_int_equal(mg_database_read_values(L, 1, 3, values, &what), 2);
}

static const mg_str names[] = {{"id", 2}, {"name", 4}};

static mg_db_rows *new_rows(uint32_t rows) {
    mg_db_value *values = mg_calloc((size_t)rows * 2 + 1, sizeof *values);
    for (uint32_t i = 0; i < rows; i++) {
        values[i * 2] = (mg_db_value){.kind = MG_DB_I64, .i64 = i + 1};
        values[i * 2 + 1] = (mg_db_value){.kind = i % 2 == 0 ? MG_DB_TEXT : MG_DB_NULL};
        values[i * 2 + 1].text = i % 2 == 0 ? MG_STR("ada") : (mg_str){0};
    }
    mg_db_rows r = {.columns = 2, .rows = rows, .names = names, .values = values};
    mg_db_rows *copy = mg_database_copy_rows(&r);
    mg_free(values);
    return copy;
}

static void rows_are_an_array_of_tables(void **state) {
    (void)state;
    mg_db_rows *r = new_rows(2);
    assert_true(mg_database_push_rows(L, r));
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "rows");
    assert_true(mg_database_push_first(L, r));
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "row");
    mg_free(r);
    run_lua(L, "equal(2, #rows)\n"
               "equal(1, rows[1].id) equal('ada', rows[1].name)\n"
               "equal(2, rows[2].id) equal(json.null, rows[2].name)\n"
               "equal('ada', row.name)\n"
               "equal(0, rows.affected) equal(nil, rows.last_id) equal(false, rows.more)");
}

static void no_rows_are_an_empty_array_that_knows_what_was_affected(void **state) {
    (void)state;
    mg_db_rows *r = new_rows(0);
    assert_true(mg_database_push_first(L, r));
    assert_true(lua_isnil(L, -1));
    lua_settop(L, 0);
    r->columns = 0;
    r->affected = 3;
    r->last_id = INT64_MAX;
    r->more = true;
    assert_true(mg_database_push_rows(L, r));
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "rows");
    mg_free(r);
    run_lua(L, "equal('[]', json.encode(rows))\n"
               "equal(rows, json.array(rows))\n"
               "equal(3, rows.affected) equal(9223372036854775807LL, rows.last_id)\n"
               "equal(true, rows.more)");
}

static void too_many_columns_are_refused(void **state) {
    (void)state;
    enum { MANY = 5000 };
    mg_str *many = mg_calloc(MANY, sizeof *many);
    mg_db_value *values = mg_calloc(MANY, sizeof *values);
    for (int i = 0; i < MANY; i++) {
        many[i] = MG_STR("x");
    }
    mg_db_rows r = {.columns = MANY, .rows = 1, .names = many, .values = values};
    assert_false(mg_database_push_rows(L, &r));
    assert_false(mg_database_push_first(L, &r));
    assert_int_equal(lua_gettop(L), 0);
    r.columns = 2000; // as many as SQLite has
    assert_true(mg_database_push_rows(L, &r));
    mg_free(many);
    mg_free(values);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(each_kind_of_parameter_has_its_own),
        T(integers_are_whole_numbers_that_a_double_holds),
        T(bytes_are_those_that_were_marked),
        T(the_first_value_that_is_none_is_numbered),
        T(rows_are_an_array_of_tables),
        T(no_rows_are_an_empty_array_that_knows_what_was_affected),
        T(too_many_columns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
