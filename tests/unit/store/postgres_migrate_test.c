#include "store/postgres_migrate.h"

#include "unit.h"

// The statements of `sql`, each in brackets.
static void parts(const char *sql, const char *want) {
    mg_str rest = mg_str_of(sql);
    mg_buf b = {0};
    size_t n;
    while ((n = mg_postgres_statement_bytes(rest)) > 0) {
        mg_buf_append_char(&b, '[');
        mg_buf_append_str(&b, (mg_str){rest.p, n});
        mg_buf_append_char(&b, ']');
        rest = (mg_str){rest.p + n, rest.n - n};
    }
    assert_text(want, mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void statements_end_at_semicolons_outside_of_texts(void **state) {
    (void)state;
    parts("SELECT 1; SELECT 2", "[SELECT 1;][ SELECT 2]");
    parts("SELECT ';'';'; b", "[SELECT ';'';';][ b]");
    parts("SELECT E'a\\';b'; c", "[SELECT E'a\\';b';][ c]");
    parts("SELECT \"a;b\"; c", "[SELECT \"a;b\";][ c]");
    parts("SELECT 'a\\'; c", "[SELECT 'a\\';][ c]");
}

static void functions_keep_their_bodies(void **state) {
    (void)state;
    parts("DO $$ a; b; $$; c", "[DO $$ a; b; $$;][ c]");
    parts("DO $x$ a; $$; $y$ $x$; c", "[DO $x$ a; $$; $y$ $x$;][ c]");
    parts("SELECT $1; a$b$; c$b$;", "[SELECT $1;][ a$b$;][ c$b$;]");
}

static void comments_hide_semicolons_and_are_no_statements(void **state) {
    (void)state;
    parts("-- a; b\nSELECT 1; -- c;\n", "[-- a; b\nSELECT 1;]");
    parts("/* a; /* b; */ c; */ SELECT 1;", "[/* a; /* b; */ c; */ SELECT 1;]");
    parts(" ;; \n; ", "");
    parts("/* never ends", "");
    parts("SELECT 'never ends;", "[SELECT 'never ends;]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_semicolons_outside_of_texts),
        cmocka_unit_test(functions_keep_their_bodies),
        cmocka_unit_test(comments_hide_semicolons_and_are_no_statements),
    };
    return cmocka_run_group_tests_name("store/postgres_migrate", tests, NULL, NULL);
}
