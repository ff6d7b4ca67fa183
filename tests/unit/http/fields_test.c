// The fields of a message as a list.
#include "http/fields.h"

#include "unit.h"

static mg_arena arena;
static mg_fields list;

static int set_up(void **state) {
    (void)state;
    mg_fields_init(&list, &arena);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_arena_deinit(&arena);
    arena = (mg_arena){0};
    return 0;
}

static void add(const char *name, const char *value) {
    assert_int_equal(mg_fields_add(&list, mg_str_of(name), mg_str_of(value)), MG_OK);
}

// The list as "name=value|name=value".
static void expect(const char *want) {
    char text[512] = "";
    size_t n = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        const mg_field *f = &list.at[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s=%.*s", i > 0 ? "|" : "",
                              (int)f->name.n, f->name.p, (int)f->value.n, f->value.p);
        bytes += f->name.n + f->value.n + MG_FIELD_OVERHEAD;
    }
    assert_string_equal(text, want);
    assert_int_equal(list.bytes, bytes);
}

// --- names and values ---

static void every_known_name_is_found_in_any_case(void **state) {
    (void)state;
    for (int id = MG_FIELD_OTHER + 1; id < MG_FIELD_COUNT; id++) {
        char other[64];
        mg_str name = mg_field_name((mg_field_id)id);
        assert_int_equal(mg_field_id_of(name), id);
        for (size_t i = 0; i < name.n; i++) {
            char small = mg_lower(name.p[i]);
            other[i] =
                small == name.p[i] && small >= 'a' && small <= 'z' ? (char)(small - 32) : small;
        }
        assert_int_equal(mg_field_id_of((mg_str){other, name.n}), id);
        for (size_t i = 0; i < name.n; i++) {
            char kept = other[i];
            for (int c = 0; c < 256; c++) {
                other[i] = (char)c;
                mg_field_id got = mg_field_id_of((mg_str){other, name.n});
                bool same = mg_lower((char)c) == mg_lower(kept);
                assert_true(same ? (int)got == id : (int)got != id);
            }
            other[i] = kept;
        }
        assert_int_equal(mg_field_id_of((mg_str){other, name.n - 1}), MG_FIELD_OTHER);
    }
    assert_int_equal(mg_field_id_of((mg_str){0}), MG_FIELD_OTHER);
    assert_int_equal(mg_field_id_of(MG_STR("content\rtype")), MG_FIELD_OTHER);
}

static void a_value_has_no_control_character_but_a_tab(void **state) {
    (void)state;
    char text[20];
    for (int c = 0; c < 256; c++) {
        bool good = (c >= 0x20 || c == '\t') && c != 0x7f;
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, 'a', sizeof text);
            text[(at + 1) % sizeof text] = (char)0x80;
            text[at] = (char)c;
            assert_int_equal(mg_field_is_value((mg_str){text, sizeof text}), good);
        }
    }
    assert_true(mg_field_is_value((mg_str){0}));
}

// --- making ---

static void an_injection_is_refused_where_it_enters(void **state) {
    (void)state;
    static const char *const bad[] = {"a\r\nSet-Cookie: b", "\r", "\n", "\x01"};
    add("A", "b\tc");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_str text = mg_str_of(bad[i]);
        assert_int_equal(mg_fields_add(&list, MG_STR("B"), text), MG_ESYNTAX);
        assert_int_equal(mg_fields_add(&list, text, MG_STR("b")), MG_ESYNTAX);
        assert_int_equal(mg_fields_set(&list, MG_STR("A"), text), MG_ESYNTAX);
        assert_int_equal(mg_fields_add_id(&list, MG_FIELD_ETAG, text), MG_ESYNTAX);
        assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, text), MG_ESYNTAX);
    }
    assert_int_equal(mg_fields_add(&list, MG_STR("B"), MG_STR("\0")), MG_ESYNTAX);
    assert_int_equal(mg_fields_add(&list, MG_STR(""), MG_STR("b")), MG_ESYNTAX);
    assert_int_equal(mg_fields_add(&list, MG_STR("A b"), MG_STR("b")), MG_ESYNTAX);
    assert_int_equal(mg_fields_add(&list, MG_STR("A:"), MG_STR("b")), MG_ESYNTAX);
    expect("A=b\tc");
}

static void a_list_has_a_limit(void **state) {
    (void)state;
    list.limit = 2 * (MG_FIELD_OVERHEAD + 2);
    add("A", "b");
    assert_int_equal(mg_fields_add(&list, MG_STR("B"), MG_STR("bc")), MG_ELIMIT);
    add("B", "b");
    assert_int_equal(mg_fields_add(&list, MG_STR("C"), MG_STR("")), MG_ELIMIT);
    expect("A=b|B=b");
    mg_fields none = {0};
    assert_int_equal(mg_fields_add(&none, MG_STR("C"), MG_STR("")), MG_ELIMIT);
}

static void many_fields_are_kept_in_order(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "X%d", i);
        mg_str kept = {mg_arena_copy(&arena, mg_str_of(name)), strlen(name)};
        assert_int_equal(mg_fields_add(&list, kept, MG_STR("v")), MG_OK);
    }
    assert_int_equal(list.count, 1000);
    assert_text("X999", list.at[999].name);
    assert_text("X0", list.at[0].name);
}

static void set_takes_the_place_of_all_of_that_name(void **state) {
    (void)state;
    add("A", "1");
    add("X-B", "2");
    add("a", "3");
    add("x-b", "4");
    add("C", "5");
    assert_int_equal(mg_fields_set(&list, MG_STR("x-B"), MG_STR("new")), MG_OK);
    expect("A=1|x-B=new|a=3|C=5");
    assert_int_equal(mg_fields_set(&list, MG_STR("D"), MG_STR("6")), MG_OK);
    expect("A=1|x-B=new|a=3|C=5|D=6");
}

static void remove_takes_all_of_that_name(void **state) {
    (void)state;
    add("ETag", "1");
    add("X-A", "2");
    add("etag", "3");
    assert_int_equal(mg_fields_remove(&list, MG_STR("ETAG")), 2);
    assert_int_equal(mg_fields_remove(&list, MG_STR("ETAG")), 0);
    expect("X-A=2");
    assert_int_equal(mg_fields_remove(&list, MG_STR("x-a")), 1);
    expect("");
}

static void a_copy_stands_alone(void **state) {
    (void)state;
    char name[] = "X-A";
    char value[] = "1";
    add(name, value);
    add("vary", "a");
    mg_fields from = list;
    mg_fields_init(&list, &arena);
    assert_int_equal(mg_fields_copy(&list, &from), MG_OK);
    name[0] = value[0] = '?';
    expect("X-A=1|Vary=a");
    assert_int_equal(list.at[1].id, MG_FIELD_VARY);
    list.limit = list.bytes;
    assert_int_equal(mg_fields_copy(&list, &from), MG_ELIMIT);
}

static void members_are_merged_as_a_set(void **state) {
    (void)state;
    assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, MG_STR("")), MG_OK);
    expect("");
    assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, MG_STR("Origin, origin")), MG_OK);
    add("A", "b");
    add("vary", "Accept");
    assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, MG_STR("ORIGIN,Cookie , ")), MG_OK);
    expect("Vary=Origin, Accept, Cookie|A=b");
    assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, MG_STR("*")), MG_OK);
    expect("Vary=*|A=b");
    assert_int_equal(mg_fields_merge(&list, MG_FIELD_VARY, MG_STR("X")), MG_OK);
    expect("Vary=*|A=b");
}

// --- reading ---

static void fields_are_found_by_number_and_by_name(void **state) {
    (void)state;
    add("x-a", "1");
    add("hOST", "2");
    add("X-A", "3");
    add("Host", "4");
    assert_text("2", mg_fields_find(&list, MG_FIELD_HOST)->value);
    assert_text("2", mg_fields_find_name(&list, MG_STR("host"))->value);
    assert_text("1", mg_fields_find_name(&list, MG_STR("X-a"))->value);
    assert_null(mg_fields_find_name(&list, MG_STR("X")));
    assert_null(mg_fields_find(&list, MG_FIELD_VARY));
    const mg_field *second = mg_fields_next(&list, &list.at[1], MG_FIELD_HOST);
    assert_text("4", second->value);
    assert_null(mg_fields_next(&list, second, MG_FIELD_HOST));
}

static void repeated_fields_are_joined(void **state) {
    (void)state;
    add("X-A", "1");
    add("Cookie", "a=1");
    add("x-a", "2, 3");
    add("Cookie", "b=2");
    add("Set-Cookie", "c");
    add("Set-Cookie", "d");
    add("Host", "h");
    assert_text("1, 2, 3", mg_fields_join(&list, MG_STR("X-A")));
    assert_text("a=1; b=2", mg_fields_join(&list, MG_STR("cookie")));
    assert_text("c", mg_fields_join(&list, MG_STR("Set-Cookie")));
    assert_text("h", mg_fields_join(&list, MG_STR("Host")));
    assert_ptr_equal(mg_fields_join(&list, MG_STR("Host")).p, list.at[6].value.p);
    assert_null(mg_fields_join(&list, MG_STR("Via")).p);
}

static bool hop(const char *name) {
    return mg_fields_is_hop_by_hop(&list, mg_fields_find_name(&list, mg_str_of(name)));
}

static void what_belongs_to_the_connection_is_told(void **state) {
    (void)state;
    static const char *const own[] = {"Connection", "TE",      "Upgrade",
                                      "Keep-Alive", "X-Named", "HTTP2-Settings"};
    static const char *const ends[] = {"Host",           "X-Forwarded-For", "Authorization",
                                       "Content-Length", "Forwarded",       "X-Other"};
    add("Connection", "close, x-NAMED");
    add("Connection", "host, X-Forwarded-For, Authorization, Content-Length, Forwarded");
    for (size_t i = 1; i < sizeof own / sizeof *own; i++) {
        add(own[i], "1");
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        add(ends[i], "1");
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        assert_true(hop(own[i]));
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_false(hop(ends[i]));
    }
    assert_true(mg_fields_has_member(&list, MG_FIELD_CONNECTION, MG_STR("CLOSE")));
    assert_false(mg_fields_has_member(&list, MG_FIELD_CONNECTION, MG_STR("clos")));
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(every_known_name_is_found_in_any_case),
        EACH(a_value_has_no_control_character_but_a_tab),
        EACH(an_injection_is_refused_where_it_enters),
        EACH(a_list_has_a_limit),
        EACH(many_fields_are_kept_in_order),
        EACH(set_takes_the_place_of_all_of_that_name),
        EACH(remove_takes_all_of_that_name),
        EACH(a_copy_stands_alone),
        EACH(members_are_merged_as_a_set),
        EACH(fields_are_found_by_number_and_by_name),
        EACH(repeated_fields_are_joined),
        EACH(what_belongs_to_the_connection_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
