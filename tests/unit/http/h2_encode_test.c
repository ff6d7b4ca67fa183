#include "http/h2_encode.h"

#include "http/h2_decode.h"
#include "unit.h"

#include <stdlib.h>

// Both ends of the tables.
typedef struct pair {
    mg_h2_encoder *encoder;
    mg_h2_decoder *decoder;
    mg_buf block, text;
} pair;

static pair open_pair(uint32_t table) {
    return (pair){.encoder = mg_h2_encoder_new(table), .decoder = mg_h2_decoder_new()};
}

static void close_pair(pair *p) {
    mg_h2_encoder_free(p->encoder);
    mg_h2_decoder_free(p->decoder);
    mg_buf_deinit(&p->block);
    mg_buf_deinit(&p->text);
}

static void begin(pair *p) {
    mg_buf_clear(&p->block);
    mg_buf_clear(&p->text);
    mg_h2_encode_begin(p->encoder, &p->block);
}

static void add(pair *p, mg_str name, mg_str value) {
    const mg_field f = mg_field_of(name, value);
    mg_h2_encode(p->encoder, &p->block, &f);
}

static void decode(pair *p) {
    mg_str in = mg_buf_str(&p->block);
    mg_h2_decoded f;
    int rc;
    while ((rc = mg_h2_decode(p->decoder, &in, true, &f)) == MG_OK) {
        mg_buf_printf(&p->text, "%.*s: %.*s\n", (int)f.name.n, f.name.p, (int)f.value.n, f.value.p);
    }
    assert_int_equal(MG_EAGAIN, rc);
}

// How many bytes a block of that one field takes now.
static size_t bytes_for(pair *p, const char *name, const char *value) {
    begin(p);
    add(p, mg_str_of(name), mg_str_of(value));
    decode(p);
    char want[4096];
    snprintf(want, sizeof want, "%s: %s\n", name, value);
    assert_text(want, mg_buf_str(&p->text));
    return p->block.n;
}

// --- what is written ---

static void names_are_written_in_lower_case(void **state) {
    (void)state;
    pair p = open_pair(4096);
    for (int i = 0; i < 3; i++) { // as it is, into the table, from the table
        begin(&p);
        add(&p, MG_STR("Content-Type"), MG_STR("text/plain"));
        add(&p, MG_STR("X-Forwarded-For"), MG_STR("::1"));
        add(&p, MG_STR("X-Own"), MG_STR(""));
        decode(&p);
        assert_text("content-type: text/plain\nx-forwarded-for: ::1\nx-own: \n",
                    mg_buf_str(&p.text));
    }
    assert_int_equal(3, (int)p.block.n);
    begin(&p);
    add(&p, MG_STR("x-OWN"), MG_STR("")); // however it is written
    assert_int_equal(1, (int)p.block.n);
    close_pair(&p);
}

static void pseudo_fields_come_from_the_static_table(void **state) {
    (void)state;
    static const struct {
        unsigned name;
        mg_str value;
        const char *want;
    } list[] = {
        {MG_H2_STATIC_METHOD, MG_STR("GET"), "\x82"},
        {MG_H2_STATIC_METHOD, MG_STR("POST"), "\x83"},
        {MG_H2_STATIC_PATH, MG_STR("/"), "\x84"},
        {MG_H2_STATIC_PATH, MG_STR("/index.html"), "\x85"},
        {MG_H2_STATIC_SCHEME, MG_STR("http"), "\x86"},
        {MG_H2_STATIC_SCHEME, MG_STR("https"), "\x87"},
        {MG_H2_STATIC_STATUS, MG_STR("200"), "\x88"},
        {MG_H2_STATIC_STATUS, MG_STR("404"), "\x8d"},
        {MG_H2_STATIC_STATUS, MG_STR("500"), "\x8e"},
        {MG_H2_STATIC_STATUS, MG_STR("503"),
         "\x08\x03"
         "503"},
        {MG_H2_STATIC_METHOD, MG_STR("PUT"), "\x02\x03PUT"},
        {MG_H2_STATIC_AUTHORITY, MG_STR("a.test"),
         "\x01\x06"
         "a.test"},
        {MG_H2_STATIC_PATH, MG_STR("/other"), "\x04\x06/other"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        pair p = open_pair(4096);
        begin(&p);
        mg_h2_encode_pseudo(p.encoder, &p.block, list[i].name, list[i].value);
        assert_text(list[i].want, mg_buf_str(&p.block));
        decode(&p);
        close_pair(&p);
    }
}

// Every name of http/fields is the one that its place in the static table says.
static void known_names_have_their_places(void **state) {
    (void)state;
    pair p = open_pair(4096);
    for (int id = MG_FIELD_OTHER + 1; id < MG_FIELD_COUNT; id++) {
        mg_str name = mg_field_name((mg_field_id)id);
        char lower[64] = {0};
        for (size_t i = 0; i < name.n; i++) {
            lower[i] = mg_lower(name.p[i]);
        }
        bytes_for(&p, lower, "v");
    }
    close_pair(&p);
}

// --- what is kept ---

static void what_comes_again_is_kept(void **state) {
    (void)state;
    pair p = open_pair(1024);
    size_t first = bytes_for(&p, "x-own", "a value");
    size_t second = bytes_for(&p, "x-own", "a value");
    assert_true(first > second + 1 && second > 10); // the table's size was told besides
    assert_int_equal(1, (int)bytes_for(&p, "x-own", "a value"));
    assert_int_equal(2 + 5 + 1 + 7, (int)bytes_for(&p, "x-own", "a other"));
    assert_int_equal(1, (int)bytes_for(&p, "x-own", "a value"));
    close_pair(&p);
}

static void what_never_repeats_pushes_nothing_out(void **state) {
    (void)state;
    pair p = open_pair(1024);
    char text[32];
    bytes_for(&p, "server", "one");
    bytes_for(&p, "server", "one");
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "/items/%d", i * 7919);
        bytes_for(&p, "location", text);
        assert_int_equal(1, (int)bytes_for(&p, "server", "one"));
    }
    close_pair(&p);
}

static void secrets_are_never_kept(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        uint8_t first;
    } list[] = {
        {"authorization", "Bearer of what nobody may guess", 0x1f},
        {"proxy-authorization", "Basic eDp5", 0x1f},
        {"cookie", "s=1", 0x1f},
    };
    pair p = open_pair(4096);
    for (size_t i = 0; i < 3 * sizeof list / sizeof *list; i++) {
        size_t at = i % 3;
        size_t n = bytes_for(&p, list[at].name, list[at].value);
        assert_int_equal(3 + strlen(list[at].value), (int)n);
        assert_int_equal(list[at].first, (uint8_t)p.block.p[0]);
    }
    close_pair(&p);
}

static void what_would_fill_the_table_is_not_kept(void **state) {
    (void)state;
    pair p = open_pair(1024);
    char value[1001] = {0};
    memset(value, 'v', 1000);
    for (int i = 0; i < 3; i++) {
        assert_true(bytes_for(&p, "x-own", value) > 1000);
    }
    close_pair(&p);
}

// Whatever comes in whatever order, the other end reads the same: texts wrap around, the oldest go.
static void both_ends_stay_the_same(void **state) {
    (void)state;
    pair p = open_pair(1024);
    unsigned seed = 1;
    char name[300], value[800];
    for (int i = 0; i < 20000; i++) {
        unsigned r = (unsigned)rand_r(&seed);
        size_t n = r % 40 == 0 ? r / 40 % 200 : r / 40 % 12;
        snprintf(name, sizeof name, "%s%u", r % 3 == 0 ? "server" : "x-", r / 7 % 5);
        memset(value, 'a' + (int)(r / 11 % 4), n * 3);
        value[n * 3] = '\0';
        if (r % 997 == 0) {
            mg_h2_encoder_resize(p.encoder, r / 997 % 1200);
        }
        bytes_for(&p, r % 3 == 1 ? "via" : name, value);
    }
    close_pair(&p);
}

// --- the table's size ---

static void a_smaller_table_is_told(void **state) {
    (void)state;
    pair p = open_pair(4096);
    mg_h2_encoder_resize(p.encoder, 0);
    mg_h2_encoder_resize(p.encoder, 100);
    begin(&p);
    mg_h2_encode_pseudo(p.encoder, &p.block, MG_H2_STATIC_METHOD, MG_STR("GET"));
    assert_text("\x20\x3f\x45\x82", mg_buf_str(&p.block)); // 0, then 100
    begin(&p);
    assert_int_equal(0, (int)p.block.n);
    close_pair(&p);
}

static void a_table_is_no_larger_than_it_was_made_for(void **state) {
    (void)state;
    pair p = open_pair(1024);
    begin(&p);
    assert_text("\x3f\xe1\x07", mg_buf_str(&p.block));
    mg_h2_encoder_resize(p.encoder, 65536);
    begin(&p);
    assert_int_equal(0, (int)p.block.n);
    close_pair(&p);
}

static void nothing_is_kept_without_a_table(void **state) {
    (void)state;
    pair p = open_pair(0);
    for (int i = 0; i < 3; i++) {
        assert_true(bytes_for(&p, "x-own", "v") > 5);
    }
    close_pair(&p);
    mg_h2_encoder_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_written_in_lower_case),
        cmocka_unit_test(pseudo_fields_come_from_the_static_table),
        cmocka_unit_test(known_names_have_their_places),
        cmocka_unit_test(what_comes_again_is_kept),
        cmocka_unit_test(what_never_repeats_pushes_nothing_out),
        cmocka_unit_test(secrets_are_never_kept),
        cmocka_unit_test(what_would_fill_the_table_is_not_kept),
        cmocka_unit_test(both_ends_stay_the_same),
        cmocka_unit_test(a_smaller_table_is_told),
        cmocka_unit_test(a_table_is_no_larger_than_it_was_made_for),
        cmocka_unit_test(nothing_is_kept_without_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
