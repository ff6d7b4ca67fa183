#include "http/h2_section.h"

#include "unit.h"

typedef struct rig {
    mg_arena arena;
    mg_h2_section section;
    mg_h2_event e;
    mg_h2_limits limits;
} rig;

static int setup(void **state) {
    static rig r;
    r = (rig){.limits = mg_h2_default_limits};
    *state = &r;
    return 0;
}

static int teardown(void **state) {
    mg_arena_deinit(&((rig *)*state)->arena);
    return 0;
}

static void add_one(rig *r, mg_str name, mg_str value) {
    mg_h2_section_add(&r->section, &(mg_h2_decoded){name, value, 0});
}

// "name: value" lines; the first character of a name may be a colon.
static void add(rig *r, mg_h2_section_kind kind, const char *lines) {
    uint32_t limit = r->limits.header_bytes;
    mg_h2_section_init(&r->section, kind, limit, &r->arena);
    while (*lines != '\0') {
        const char *end = strchrnul(lines, '\n');
        const char *colon = strstr(*lines == ':' ? lines + 1 : lines, ": ");
        add_one(r, (mg_str){lines, (size_t)(colon - lines)},
                (mg_str){colon + 2, (size_t)(end - colon - 2)});
        lines = *end == '\n' ? end + 1 : end;
    }
}

static const char *request(rig *r, const char *lines, bool end) {
    add(r, MG_H2_REQUEST, lines);
    r->e = (mg_h2_event){.end = end};
    return mg_h2_section_request(&r->section, &r->limits, &r->e);
}

#define START ":method: GET\n:scheme: https\n:path: /\n:authority: a.example\n"

static void makes_a_head_of_a_request(void **state) {
    rig *r = *state;
    assert_null(request(r, START "accept: */*\nx-own: 1\ncontent-length: 5", false));
    const mg_head *h = &r->e.head;
    assert_int_equal(MG_METHOD_GET, h->method);
    assert_int_equal(1, h->minor);
    assert_int_equal(MG_FRAMING_LENGTH, h->framing);
    assert_int_equal(5, (int)h->length);
    assert_true(h->keep_alive);
    assert_text("/", h->target.path);
    assert_text("a.example", h->host);
    assert_text("https", r->e.scheme);
    assert_text("Accept", h->fields.at[0].name);
    assert_text("x-own", h->fields.at[1].name);
    assert_text("a.example", mg_fields_find(&h->fields, MG_FIELD_HOST)->value);
    assert_int_equal(0, r->e.refusal.status);
}

static void content_ends_with_the_stream(void **state) {
    rig *r = *state;
    assert_null(request(r, START, false));
    assert_int_equal(MG_FRAMING_CHUNKED, r->e.head.framing);
    assert_null(request(r, START, true));
    assert_int_equal(MG_FRAMING_NONE, r->e.head.framing);
    assert_null(request(r, START "content-length: 0", false));
    assert_int_equal(MG_FRAMING_NONE, r->e.head.framing);
    assert_null(request(r, START "content-length: 0", true));
    assert_non_null(request(r, START "content-length: 1", true));
}

static void a_host_may_stand_in_either_place(void **state) {
    rig *r = *state;
    assert_null(request(r, ":method: GET\n:scheme: http\n:path: /\nhost: b", true));
    assert_text("b", r->e.head.host);
    assert_null(request(r, START "host: A.example", true));
    assert_int_equal(1, (int)r->e.head.fields.count);
}

static void joins_the_crumbs_of_cookies(void **state) {
    rig *r = *state;
    assert_null(request(r, START "cookie: a=1\nx: y\ncookie: b=2\ncookie: c=3", true));
    assert_int_equal(3, (int)r->e.head.fields.count);
    assert_text("a=1; b=2; c=3", mg_fields_find(&r->e.head.fields, MG_FIELD_COOKIE)->value);
    assert_null(request(r, START "cookie: a=1\ncookie: ", true));
    assert_text("a=1;", mg_fields_find(&r->e.head.fields, MG_FIELD_COOKIE)->value);
}

static void takes_both_kinds_of_connect(void **state) {
    rig *r = *state;
    assert_null(request(r, ":method: CONNECT\n:authority: a:443", false));
    assert_int_equal(MG_TARGET_AUTHORITY, r->e.head.target.form);
    assert_null(request(r,
                        ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /chat\n"
                        ":authority: a",
                        false));
    assert_int_equal(MG_TARGET_ORIGIN, r->e.head.target.form);
    assert_text("/chat", r->e.head.target.path);
    assert_text("websocket", r->e.protocol);
}

static void resets_what_is_malformed(void **state) {
    static const char *const wrong[] = {
        ":scheme: http\n:path: /\n:authority: a",                       // no method
        ":method: GET\n:path: /\n:authority: a",                        // no scheme
        ":method: GET\n:scheme: http\n:authority: a",                   // no path
        ":method: GET\n:scheme: http\n:path: \n:authority: a",          // empty
        ":method: GET\n:scheme: http\n:path: a\n:authority: a",         // no slash
        ":method: GET\n:scheme: http\n:path: *\n:authority: a",         // not OPTIONS
        ":method: GET\n:scheme: http\n:path: http://a/\n:authority: a", // absolute
        ":method: G T\n:scheme: http\n:path: /\n:authority: a",         // no token
        ":method: \n:scheme: http\n:path: /\n:authority: a",
        START ":method: GET",        // twice
        START "a: b\n:scheme: http", // behind others
        START ":status: 200",        // a response's
        START ":unknown: 1",
        START ":protocol: websocket", // without CONNECT
        START "Upper: 1",
        START "sp ace: 1",
        START ": 1",
        START "col:on: 1",
        START "a: b\rc",
        START "a:  b",
        START "a: b ",
        START "a: b\t",
        START "a: \x7f",
        START "a: b\x01",
        START "connection: close",
        START "keep-alive: 1",
        START "proxy-connection: close",
        START "transfer-encoding: chunked",
        START "upgrade: websocket",
        START "te: gzip",
        START "te: trailers, gzip",
        START "host: b", // another
        ":method: GET\n:scheme: http\n:path: /\n:authority: user@a",
        ":method: CONNECT\n:scheme: http\n:path: /\n:authority: a:1",
        ":method: CONNECT\n:path: /\n:authority: a:1",
        ":method: CONNECT\n:scheme: http",
        ":method: CONNECT\n:protocol: websocket\n:authority: a",
        ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (request(*state, wrong[i], true) == NULL) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    assert_null(request(*state, START "te: trailers", true));
}

static void resets_nul_and_lf_in_values(void **state) {
    rig *r = *state;
    static const mg_str values[] = {{"a\0b", 3}, {"a\nb", 3}, {"\n", 1}};
    for (size_t i = 0; i < 3; i++) {
        add(r, MG_H2_REQUEST, START);
        add_one(r, MG_STR("x"), values[i]);
        assert_non_null(mg_h2_section_request(&r->section, &r->limits, &r->e));
    }
}

// What HTTP/1.1 answers with a status is answered so here.
static void refuses_what_http_1_refuses(void **state) {
    static const struct {
        int status;
        const char *lines;
    } wrong[] = {
        {400, ":method: GET\n:scheme: http\n:path: /a b\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /a#b\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /../a\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /%zz\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /\x80\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /\n:authority: a b"},
        {400, ":method: GET\n:scheme: http\n:path: /\n:authority: "},
        {400, ":method: GET\n:scheme: http\n:path: /"},
        {400, ":method: GET\n:scheme: ftp\n:path: /\n:authority: a"},
        {400, ":method: GET\n:scheme: http\n:path: /\nhost: a\nhost: a"},
        {400, START "content-length: 1\ncontent-length: 1"},
        {400, START "content-length: +1"},
        {400, START "content-length: 1, 1"},
        {400, START "content-length: "},
        {400, START "content-length: 99999999999999999999"},
        {417, START "expect: something"},
        {400, ":method: CONNECT\n:authority: a"}, // no port
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rig *r = *state;
        const char *fault = request(r, wrong[i].lines, false);
        if (fault != NULL || r->e.refusal.status != wrong[i].status) {
            fail_msg("%s: %d, %s", wrong[i].lines, r->e.refusal.status, fault);
        }
    }
    assert_null(request(*state, START "expect: 100-continue", false));
    assert_true(((rig *)*state)->e.head.expect_continue);
}

static void counts_fields_and_bytes(void **state) {
    rig *r = *state;
    r->limits.header_bytes = 300;
    assert_null(request(r, START "a: b", true));
    assert_int_equal(0, r->e.refusal.status);
    assert_null(request(r, START "a: b\nc: d\ne: f\ng: h", true)); // 32 bytes each beside the text
    assert_int_equal(431, r->e.refusal.status);
    assert_true(r->e.told); // as far as it came
    assert_text("/", r->e.head.target.path);
    assert_text("a.example", r->e.head.host);
    assert_text("b", mg_fields_find_name(&r->e.head.fields, MG_STR("a"))->value);
    r->limits.header_bytes = 10000;
    r->limits.header_fields = 3; // with Host
    assert_null(request(r, START "cookie: a\ncookie: b\ncookie: c\nx: y", true));
    assert_int_equal(0, r->e.refusal.status); // crumbs are one
    assert_null(request(r, START "a: b\nc: d\ne: f", true));
    assert_int_equal(431, r->e.refusal.status);
    assert_true(r->e.told);
    r->limits.request_line = 20;
    assert_null(request(r, ":method: GET\n:scheme: http\n:path: /long-path\n:authority: a", true));
    assert_int_equal(414, r->e.refusal.status);
    assert_false(r->e.told);
}

static const char *response(rig *r, const char *lines, bool to_head, bool end) {
    add(r, MG_H2_RESPONSE, lines);
    r->e = (mg_h2_event){.end = end};
    return mg_h2_section_response(&r->section, &r->limits, to_head, &r->e);
}

static void makes_a_head_of_a_response(void **state) {
    rig *r = *state;
    assert_null(response(r, ":status: 200\ncontent-length: 3\nserver: x", false, false));
    assert_int_equal(200, r->e.status);
    assert_int_equal(MG_FRAMING_LENGTH, r->e.head.framing);
    assert_null(response(r, ":status: 200", false, false));
    assert_int_equal(MG_FRAMING_CHUNKED, r->e.head.framing);
    assert_null(response(r, ":status: 200\ncontent-length: 3", true, true)); // to HEAD
    assert_int_equal(MG_FRAMING_NONE, r->e.head.framing);
    assert_null(response(r, ":status: 304\ncontent-length: 3", false, true));
    assert_null(response(r, ":status: 103\nlink: </a>", false, false));
}

static void resets_malformed_responses(void **state) {
    static const char *const wrong[] = {
        "server: x",
        ":status: 99",
        ":status: 0200",
        ":status: abc",
        ":status: 101",
        ":status: 200\n:status: 200",
        ":method: GET",
        ":status: 200\nA: b",
        ":status: 1000",
        ":status: 200\nconnection: close",
        ":status: 200\ncontent-length: 1\ncontent-length: 1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (response(*state, wrong[i], false, false) == NULL) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    assert_non_null(response(*state, ":status: 100", false, true));
    assert_non_null(response(*state, ":status: 200\ncontent-length: 1", false, true));
}

static void trailers_have_no_pseudo_fields(void **state) {
    rig *r = *state;
    add(r, MG_H2_TRAILER_SECTION, "sum: 1");
    assert_null(r->section.fault);
    add(r, MG_H2_TRAILER_SECTION, ":path: /");
    assert_non_null(r->section.fault);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void a_known_name_means_the_same(void **state) {
    rig *r = *state;
    const mg_h2_dynamic none = {0};
    mg_h2_section kinds[2];
    for (uint32_t i = 1; i <= MG_H2_STATIC_FIELDS; i++) {
        mg_h2_decoded f;
        mg_h2_table_get(&none, i, &f);
        f.value = MG_STR("v");
        for (int k = 0; k < 2; k++) {
            mg_h2_section_init(&kinds[k], MG_H2_REQUEST, 1000, &r->arena);
            mg_h2_section_add(&kinds[k], &f);
            f.known = 0;
        }
        assert_ptr_equal(kinds[0].fault, kinds[1].fault);
        assert_int_equal(kinds[0].regular, kinds[1].regular);
        for (int p = 0; p < MG_H2_PSEUDOS; p++) {
            assert_true(mg_str_eq(kinds[0].pseudo[p], kinds[1].pseudo[p]));
        }
        assert_int_equal(kinds[0].fields.count, kinds[1].fields.count);
        for (uint32_t n = 0; n < kinds[0].fields.count; n++) {
            assert_int_equal(kinds[0].fields.at[n].id, kinds[1].fields.at[n].id);
            assert_true(mg_str_eq(kinds[0].fields.at[n].name, kinds[1].fields.at[n].name));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(makes_a_head_of_a_request),        TEST(content_ends_with_the_stream),
        TEST(a_host_may_stand_in_either_place), TEST(joins_the_crumbs_of_cookies),
        TEST(takes_both_kinds_of_connect),      TEST(resets_what_is_malformed),
        TEST(a_known_name_means_the_same),      TEST(resets_nul_and_lf_in_values),
        TEST(refuses_what_http_1_refuses),      TEST(counts_fields_and_bytes),
        TEST(makes_a_head_of_a_response),       TEST(resets_malformed_responses),
        TEST(trailers_have_no_pseudo_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
