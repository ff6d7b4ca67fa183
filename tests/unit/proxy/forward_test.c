#include "proxy/forward.h"

#include "../field_list.h"

static mg_arena arena;
static mg_fields out;

static int set_up(void **state) {
    (void)state;
    mg_fields_init(&out, &arena);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_arena_deinit(&arena);
    return 0;
}

static const mg_requester stranger = {MG_STR("192.0.2.7"), MG_STR("http"), MG_STR("a.example"),
                                      MG_STR("192.0.2.7"), false};
static const mg_requester proxied = {MG_STR("203.0.113.9"), MG_STR("https"), MG_STR("a.example"),
                                     MG_STR("10.0.0.1"), true};
static const mg_forward_rules nothing;

static void assert_fields(const char *want) {
    mg_buf text = {0};
    for (uint32_t i = 0; i < out.count; i++) {
        const mg_field *f = &out.at[i];
        mg_buf_printf(&text, "%.*s: %.*s\n", (int)f->name.n, f->name.p, (int)f->value.n,
                      f->value.n > 0 ? f->value.p : "");
    }
    assert_text(want, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

// --- targets ---

static mg_head head_of(const char *target) {
    mg_head h = {.minor = 1, .host = MG_STR("a.example"), .target_text = mg_str_of(target)};
    assert_int_equal(mg_target_parse(h.target_text, MG_METHOD_GET, &arena, &h.target), MG_OK);
    return h;
}

static void assert_target(const char *want, const char *target, const mg_forward_rules *rules) {
    mg_head h = head_of(target);
    assert_text(want, mg_forward_target(&h, rules, &arena));
}

static void a_target_goes_on_as_it_came(void **state) {
    (void)state;
    static const char *const same[] = {
        "/", "/a//b/%7euser/%2F?x=%zz&&y", "/a?", "/a/./b/../c", "/a%20b", "/?a?b/../c"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_target(same[i], same[i], &nothing);
    }
    assert_target("/a/../b?c", "http://a.example:8080/a/../b?c", &nothing);
    assert_target("/", "http://a.example", &nothing);
    assert_target("/?q", "http://a.example?q", &nothing);
}

static void segments_are_stripped(void **state) {
    (void)state;
    const mg_forward_rules rules = {.strip = MG_STR("/users/v1")};
    assert_target("/7%2F8?a=b", "/users/v1/7%2F8?a=b", &rules);
    assert_target("/7", "/%75sers/v1/7", &rules);
    assert_target("/7?a", "/x/../users/v1/7?a", &rules);
    assert_target("/", "/users/v1", &rules);
    assert_target("/?a", "/users/v1?a", &rules);
    assert_target("/", "/users/v1/", &rules);
    assert_target("//7", "/users/v1//7", &rules);
    assert_target("/users/v12/7", "/users/v12/7", &rules); // another segment
    assert_target("/users", "/users", &rules);
}

static void a_path_replaces_the_path_and_its_query_the_query(void **state) {
    (void)state;
    const mg_forward_rules path = {.path = MG_STR("/v2/x")};
    assert_target("/v2/x?a=b", "/users/7?a=b", &path);
    assert_target("/v2/x", "/users/7", &path);
    const mg_forward_rules query = {.path = MG_STR("/v2?fixed")};
    assert_target("/v2?fixed", "/users/7?a=b", &query);
}

static void host_is_as_the_rule_or_else_the_upstream_says(void **state) {
    (void)state;
    mg_head h = head_of("/");
    mg_upstream_options o = {.host = MG_HOST_CLIENT};
    const mg_str own = MG_STR("b.internal:81");
    assert_text("a.example", mg_forward_host(&h, &nothing, &o, own));
    o.host = MG_HOST_UPSTREAM;
    assert_text("b.internal:81", mg_forward_host(&h, &nothing, &o, own));
    o = (mg_upstream_options){.host = MG_HOST_LITERAL, .host_literal = "c"};
    assert_text("c", mg_forward_host(&h, &nothing, &o, own));
    assert_text("d", mg_forward_host(&h, &(mg_forward_rules){.host = MG_STR("d")}, &o, own));
    assert_text("a.example",
                mg_forward_host(&h, &(mg_forward_rules){.host = MG_STR("client")}, &o, own));
    h.host = (mg_str){NULL, 0}; // HTTP/1.0
    assert_text("b.internal:81",
                mg_forward_host(&h, &(mg_forward_rules){.host = MG_STR("client")}, &o, own));
}

// --- requests ---

static void forward(const mg_head *h, const mg_requester *who, bool forwarded,
                    const mg_forward_rules *rules) {
    const mg_forward_from from = {
        .head = h,
        .protocol = h->minor > 0 ? MG_STR("HTTP/1.1") : MG_STR("HTTP/1.0"),
        .who = who,
        .forwarded = forwarded,
    };
    mg_forward_request(&out, &from, rules);
}

static void via_tells_the_version_that_a_request_came_in(void **state) {
    (void)state;
    mg_head h = head_of("/");
    const mg_requester who = {MG_STR("::1"), MG_STR("http"), MG_STR(""), MG_STR("::1"), false};
    const mg_forward_from from = {.head = &h, .protocol = MG_STR("HTTP/2.0"), .who = &who};
    mg_forward_request(&out, &from, &nothing);
    assert_fields("X-Forwarded-For: ::1\nX-Forwarded-Proto: http\n"
                  "Forwarded: for=\"[::1]\";proto=http\nVia: 2.0 moongate\n");
}

static void what_is_of_the_connection_ends_here(void **state) {
    (void)state;
    mg_head h = head_of("/");
    h.fields = FIELD_LIST(&arena, "Host", "a.example", "Accept", "x", "Connection",
                          "close, X-Mine, Authorization, X-Forwarded-For, content-length", "X-Mine",
                          "1", "Keep-Alive", "timeout=5", "TE", "trailers", "Upgrade", "websocket",
                          "Proxy-Connection", "keep-alive", "Transfer-Encoding", "chunked",
                          "Proxy-Authorization", "Basic eA==", "HTTP2-Settings", "x", "Expect",
                          "100-continue", "Content-Length", "3", "Authorization",
                          "Basic eA==", "Trailer", "X-Sum", "Cookie", "a=b");
    forward(&h, &stranger, false, &nothing);
    assert_fields("Accept: x\nAuthorization: Basic eA==\nTrailer: X-Sum\nCookie: a=b\n"
                  "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                  "X-Forwarded-Host: a.example\n"
                  "Forwarded: for=192.0.2.7;host=\"a.example\";proto=http\n"
                  "Via: 1.1 moongate\n");
}

static void a_stranger_is_not_believed(void **state) {
    (void)state;
    mg_head h = head_of("/");
    h.minor = 0;
    h.fields = FIELD_LIST(&arena, "X-Forwarded-For", "1.2.3.4", "x-forwarded-PROTO", "https",
                          "X-Forwarded-Host", "evil", "X-Forwarded-Port", "1", "Forwarded",
                          "for=1.2.3.4", "Via", "1.1 a", "via", "1.0 b");
    forward(&h, &stranger, true, &nothing);
    assert_fields("X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                  "X-Forwarded-Host: a.example\n"
                  "Forwarded: for=192.0.2.7;host=\"a.example\";proto=http\n"
                  "Via: 1.1 a, 1.0 b, 1.0 moongate\n");
}

// Whoever it is from: servers that know it by the name of X-Forwarded-For cannot tell them apart.
static void a_disguised_claim_is_dropped(void **state) {
    (void)state;
    mg_head h = head_of("/");
    h.fields = FIELD_LIST(&arena, "X_Forwarded_For", "1.2.3.4", "x-forwarded_proto", "https",
                          "X_Forwarded-Port", "1", "X_Forward", "a", "X_Own", "b");
    forward(&h, &proxied, false, &nothing);
    assert_fields("X_Forward: a\nX_Own: b\n"
                  "X-Forwarded-For: 10.0.0.1\nX-Forwarded-Proto: https\n"
                  "X-Forwarded-Host: a.example\n"
                  "Forwarded: for=203.0.113.9, for=10.0.0.1;host=\"a.example\";proto=https\n"
                  "Via: 1.1 moongate\n");
}

static void a_proxys_list_is_continued_as_one(void **state) {
    (void)state;
    mg_head h = head_of("/");
    h.fields = FIELD_LIST(&arena, "X-Forwarded-For", "203.0.113.9, 10.0.0.3", "X-Forwarded-Port",
                          "443", "X-Forwarded-For", "10.0.0.2", "Forwarded", "for=x");
    forward(&h, &proxied, false, &nothing);
    assert_fields("X-Forwarded-Port: 443\n"
                  "X-Forwarded-For: 203.0.113.9, 10.0.0.3, 10.0.0.2, 10.0.0.1\n"
                  "X-Forwarded-Proto: https\nX-Forwarded-Host: a.example\n"
                  "Forwarded: for=203.0.113.9, for=10.0.0.1;host=\"a.example\";proto=https\n"
                  "Via: 1.1 moongate\n");
}

static void forwarded_is_continued_where_it_is_believed(void **state) {
    (void)state;
    mg_head h = head_of("/");
    mg_requester who = proxied;
    who.peer_ip = MG_STR("2001:db8::1");
    h.fields = FIELD_LIST(&arena, "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=203.0.113.9");
    forward(&h, &who, true, &nothing);
    assert_fields("X-Forwarded-For: 203.0.113.9, 2001:db8::1\nX-Forwarded-Proto: https\n"
                  "X-Forwarded-Host: a.example\nForwarded: for=203.0.113.9, "
                  "for=\"[2001:db8::1]\";host=\"a.example\";proto=https\nVia: 1.1 moongate\n");
}

static void a_local_socket_has_no_address(void **state) {
    (void)state;
    mg_head h = head_of("/");
    mg_requester who = {MG_STR("unix"), MG_STR("http"), MG_STR(""), MG_STR("unix"), false};
    forward(&h, &who, true, &nothing);
    assert_fields("X-Forwarded-For: unknown\nX-Forwarded-Proto: http\n"
                  "Forwarded: for=unknown;proto=http\nVia: 1.1 moongate\n");
    who.trusted = true;
    mg_fields_init(&out, &arena);
    h.fields = FIELD_LIST(&arena, "X-Forwarded-For", "203.0.113.9");
    forward(&h, &who, false, &nothing);
    assert_fields("X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: http\n"
                  "Forwarded: for=unknown;proto=http\nVia: 1.1 moongate\n");
}

static void rules_set_and_remove_fields(void **state) {
    (void)state;
    mg_head h = head_of("/");
    h.fields = FIELD_LIST(&arena, "X-User", "mallory", "Cookie", "a=b", "x-user", "again");
    mg_fields set = FIELD_LIST(&arena, "X-User", "7", "X-Forwarded-Proto", "https");
    mg_fields removed = FIELD_LIST(&arena, "cookie", "", "x-forwarded-host", "");
    forward(&h, &stranger, false, &(mg_forward_rules){.set = &set, .removed = &removed});
    assert_fields("X-Forwarded-For: 192.0.2.7\n"
                  "Forwarded: for=192.0.2.7;host=\"a.example\";proto=http\n"
                  "Via: 1.1 moongate\nX-User: 7\nX-Forwarded-Proto: https\n");
}

// --- responses ---

static void a_response_keeps_what_is_its_own(void **state) {
    (void)state;
    const mg_head h = {
        .minor = 0,
        .fields = FIELD_LIST(&arena, "Content-Type", "text/plain", "Connection", "X-Hop", "X-Hop",
                             "1", "Keep-Alive", "timeout=5", "Content-Length", "3", "Set-Cookie",
                             "a=b", "Set-Cookie", "c=d", "Server", "s", "Date", "d", "Upgrade",
                             "h2c", "Proxy-Authenticate", "Basic", "X-Accel-Buffering", "no"),
    };
    assert_int_equal(mg_forward_response(&out, &(mg_response){.head = h}), MG_OK);
    assert_fields("Content-Type: text/plain\nSet-Cookie: a=b\nSet-Cookie: c=d\nServer: s\n"
                  "Date: d\nX-Accel-Buffering: no\nVia: 1.0 moongate\n");
}

static void an_interim_response_gets_no_via(void **state) {
    (void)state;
    const mg_head h = {.fields = FIELD_LIST(&arena, "Link", "</a>", "Connection", "close")};
    mg_forward_interim(&out, &h);
    assert_fields("Link: </a>\n");
}

static void trailers_decide_nothing(void **state) {
    (void)state;
    mg_fields l =
        FIELD_LIST(&arena, "X-Sum", "42", "Content-Length", "3", "Host", "b", "Authorization", "x",
                   "Transfer-Encoding", "chunked", "X-Forwarded-For", "1.2.3.4", "Cookie", "a",
                   "Set-Cookie", "a", "Connection", "close", "ETag", "\"e\"");
    mg_forward_trailers(&out, &l);
    assert_fields("X-Sum: 42\nETag: \"e\"\n");
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_target_goes_on_as_it_came),
        EACH(segments_are_stripped),
        EACH(a_path_replaces_the_path_and_its_query_the_query),
        EACH(host_is_as_the_rule_or_else_the_upstream_says),
        EACH(what_is_of_the_connection_ends_here),
        EACH(via_tells_the_version_that_a_request_came_in),
        EACH(a_stranger_is_not_believed),
        EACH(a_disguised_claim_is_dropped),
        EACH(a_proxys_list_is_continued_as_one),
        EACH(forwarded_is_continued_where_it_is_believed),
        EACH(a_local_socket_has_no_address),
        EACH(rules_set_and_remove_fields),
        EACH(a_response_keeps_what_is_its_own),
        EACH(an_interim_response_gets_no_via),
        EACH(trailers_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
