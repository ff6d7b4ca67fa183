#include "server/front.h"

#include "fixed_answerer.h"
#include "peer.h"

enum { WINDOW = 4096 };

static rig r; // its app stands for the scripts
static peer p;
static mg_front front;
static mg_router *router;
static int freed, unpinned;

// Answers nothing, until it is told.
typedef struct lazy_answerer {
    mg_answerer answerer; // first
    mg_exchange *x;
    int gone, deadlines;
} lazy_answerer;

static lazy_answerer lazy;

static void lazy_on_request(mg_app *app, mg_exchange *x) {
    ((lazy_answerer *)app)->x = x;
}

static void lazy_on_deadline(mg_app *app, mg_exchange *x) {
    ((lazy_answerer *)app)->deadlines++;
    mg_front_pass(x);
}

static void lazy_on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    (void)x;
    (void)why;
    ((lazy_answerer *)app)->gone++;
}

static void lazy_free(mg_answerer *a) {
    (void)a;
    freed++;
}

static void on_none(void *arg) {
    assert_ptr_equal(arg, &r);
    unpinned++;
}

static void add(const char *method, const char *pattern, uint32_t id) {
    uint32_t existing;
    mg_error err;
    unsigned m = mg_router_add_method(router, mg_str_of(method));
    assert_int_equal(mg_router_add(router, m, mg_str_of(pattern), id, &existing, &err), 0);
}

static mg_routes *make_routes(void) {
    mg_routes *routes = mg_routes_new(router, 4);
    mg_routes_set(routes, 1,
                  &(mg_route){.name = MG_STR("user"), .deadline_ms = 500, .body_bytes = 3});
    mg_routes_set(routes, 2,
                  &(mg_route){.name = MG_STR("fixed"),
                              .deadline_ms = -1,
                              .body_bytes = 3,
                              .answerer = fixed_answerer_new("fixed", &freed)});
    mg_routes_set(routes, 3,
                  &(mg_route){.name = MG_STR("lazy"),
                              .deadline_ms = 500,
                              .body_bytes = -1,
                              .answerer = &lazy.answerer});
    mg_routes_set(routes, 4,
                  &(mg_route){.name = MG_STR("purge"), .deadline_ms = -1, .body_bytes = -1});
    return routes;
}

static int set_up(void **state) {
    (void)state;
    freed = 0;
    unpinned = 0;
    lazy = (lazy_answerer){
        .answerer = {.app = {.on_request = lazy_on_request,
                             .on_deadline = lazy_on_deadline,
                             .on_gone = lazy_on_gone},
                     .free = lazy_free},
    };
    router = mg_router_new();
    add("POST", "/users/:id", 1);
    add("GET", "/fixed", 2);
    add("POST", "/fixed", 2);
    add("GET", "/lazy", 3);
    add("PURGE", "/cache", 4);
    rig_open(&r);
    r.echo = false;
    mg_front_init(&front, &r.app);
    mg_front_set_routes(&front, make_routes());
    mg_server_set_app(r.server, MG_APP_MAIN, &front.app);
    peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    assert_int_equal(front.pins.count, 0);
    mg_front_deinit(&front);
    mg_router_free(router);
    return 0;
}

#define HOST " HTTP/1.1\r\nHost: h\r\n"

static void the_scripts_get_what_the_route_asks_for(void **state) {
    (void)state;
    peer_send(&r, &p, "POST /users/7" HOST "Content-Length: 3\r\n\r\nabc");
    mg_exchange *x = rig_take(&r);
    assert_ptr_equal(x->app, &r.app);
    assert_text("user", x->route);
    assert_int_equal(x->routed->match.id, 1);
    assert_text("7", x->routed->match.values[0]);
    assert_int_equal(x->routed->method, MG_METHOD_POST);
    assert_int_equal(x->body_limit, 3);
    assert_false(x->routed->refused);
    rig_pass(&r, 499);
    assert_int_equal(r.deadlines, 0);
    rig_pass(&r, 1);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
}

static void a_body_that_is_announced_too_large_is_for_the_scripts_to_refuse(void **state) {
    (void)state;
    static const char *const targets[] = {"POST /users/7", "POST /fixed"};
    for (int i = 0; i < 2; i++) {
        peer_send(&r, &p, targets[i]);
        peer_send(&r, &p, HOST "Content-Length: 4\r\n\r\n");
        mg_exchange *x = rig_take(&r);
        assert_non_null(x);
        assert_true(x->routed->refused);
        assert_int_equal(x->body_refusal.status, 413);
        mg_exchange_respond(x, &rig_ok, MG_STR("refused"));
        peer_close(&r, &p, false);
        peer_open(&r, &p, WINDOW);
    }
    assert_int_equal(front.pins.count, 0);
}

static void a_chunk_that_is_too_large_is_told_to_whoever_reads(void **state) {
    (void)state;
    peer_send(&r, &p, "POST /users/7" HOST "Transfer-Encoding: chunked\r\n\r\n4\r\n");
    mg_exchange *x = rig_take(&r);
    assert_false(x->routed->refused);
    assert_int_equal(x->body_refusal.status, 413);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

static void what_no_route_takes_goes_to_the_scripts(void **state) {
    (void)state;
    static const struct {
        const char *request;
        uint64_t allowed;
    } cases[] = {
        {"GET /nowhere" HOST "\r\n", 0},
        {"DELETE /users/7" HOST "\r\n", 1 << MG_METHOD_POST | 1 << MG_METHOD_OPTIONS},
        {"FROB /lazy" HOST "\r\n",
         1 << MG_METHOD_GET | 1 << MG_METHOD_HEAD | 1 << MG_METHOD_OPTIONS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        peer_send(&r, &p, cases[i].request);
        mg_exchange *x = rig_take(&r);
        assert_non_null(x);
        assert_int_equal(x->route.n, 0);
        assert_int_equal(x->routed->match.id, 0);
        assert_int_equal(x->routed->match.allowed, cases[i].allowed);
        assert_int_equal(x->body_limit, r.server->options.body_bytes);
        mg_exchange_respond(x, &rig_ok, MG_STR(""));
    }
}

static void a_server_as_a_whole_can_do_what_its_routes_can(void **state) {
    (void)state;
    peer_send(&r, &p, "OPTIONS *" HOST "\r\n");
    mg_exchange *x = rig_take(&r);
    unsigned purge = mg_router_method(router, MG_STR("PURGE"));
    assert_true(x->routed->match.allowed & (uint64_t)1 << purge);
    assert_true(x->routed->match.allowed & 1 << MG_METHOD_DELETE);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

static void a_method_of_the_apps_own_has_its_number(void **state) {
    (void)state;
    peer_send(&r, &p, "PURGE /cache" HOST "\r\n");
    mg_exchange *x = rig_take(&r);
    assert_int_equal(x->routed->match.id, 4);
    assert_int_equal(x->routed->method, mg_router_method(router, MG_STR("PURGE")));
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

// --- other answerers ---

static void a_routes_own_answerer_answers(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /fixed" HOST "\r\n");
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfixed");
    assert_null(rig_take(&r));
    assert_log(&r, "GET /fixed 200 5\n");
    assert_int_equal(front.pins.count, 0);
    assert_int_equal(mg_front_apart(&front), 0);
}

// Answered where the head is read: nothing of what came behind it may be lost, or its own body be
// taken for a request.
static void answers_at_once_keep_the_order_of_a_pipeline(void **state) {
    (void)state;
    r.echo = true;
    peer_send(&r, &p,
              "POST /fixed" HOST "Content-Length: 3\r\n\r\nabcGET /fixed" HOST "\r\n"
              "GET /nowhere" HOST "\r\nGET /fixed" HOST "Connection: close\r\n\r\n");
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfixed"
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfixed"
                   "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n/nowhere"
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfixed");
    assert_int_equal(p.ends, 1);
}

static void an_answerer_may_pass_a_request_on(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    assert_null(rig_take(&r));
    assert_int_equal(mg_front_apart(&front), 1);
    mg_front_pass(lazy.x);
    assert_int_equal(mg_front_apart(&front), 0);
    mg_exchange *x = rig_take(&r);
    assert_ptr_equal(x, lazy.x);
    assert_ptr_equal(x->app, &r.app);
    assert_int_equal(x->routed->match.id, 3);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
}

static void deadlines_and_losses_are_the_answerers(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    rig_pass(&r, 500);
    assert_int_equal(lazy.deadlines, 1);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("x"));
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(lazy.gone, 1);
    assert_int_equal(r.gone, 0);
    assert_int_equal(mg_front_apart(&front), 0);
}

// --- generations ---

static void requests_under_way_pin_it(void **state) {
    (void)state;
    static peer other;
    peer_open(&r, &other, WINDOW);
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    peer_send(&r, &other, "POST /users/7" HOST "Content-Length: 3\r\n\r\na");
    assert_int_equal(front.pins.count, 2);
    front.pins.on_none = on_none;
    front.pins.arg = &r;
    mg_exchange_respond(lazy.x, &rig_ok, MG_STR("x"));
    assert_int_equal(unpinned, 0);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("x"));
    assert_int_equal(unpinned, 1); // though the rest of its body is still to come
    peer_close(&r, &other, false);
    assert_int_equal(unpinned, 1);
}

static void routes_live_as_long_as_their_requests(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    mg_front_set_routes(&front, mg_routes_new(router, 4));
    assert_int_equal(freed, 0);
    assert_text("lazy", lazy.x->route);
    mg_exchange_respond(lazy.x, &rig_ok, MG_STR("x"));
    mg_front_set_routes(&front, mg_routes_new(router, 4));
    assert_int_equal(freed, 2);
}

static void an_eviction_ends_what_others_than_the_scripts_answer(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    mg_front_evict(&front);
    assert_int_equal(lazy.gone, 1);
    rig_settle(&r);
    assert_true(memmem(p.got.p, p.got.n, "503 Service", 11) != NULL);
    assert_true(memmem(p.got.p, p.got.n, "Retry-After: 1\r\n", 16) != NULL);
    peer_close(&r, &p, false);
    peer_open(&r, &p, WINDOW);
    peer_send(&r, &p, "GET /lazy" HOST "\r\n");
    mg_exchange_begin(lazy.x, &rig_ok, 5);
    mg_front_evict(&front);
    rig_settle(&r);
    assert_int_equal(lazy.gone, 2);
    assert_int_equal(p.ends, 1);
    assert_int_equal(mg_front_apart(&front), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_scripts_get_what_the_route_asks_for),
        TEST(a_body_that_is_announced_too_large_is_for_the_scripts_to_refuse),
        TEST(a_chunk_that_is_too_large_is_told_to_whoever_reads),
        TEST(what_no_route_takes_goes_to_the_scripts),
        TEST(a_server_as_a_whole_can_do_what_its_routes_can),
        TEST(a_method_of_the_apps_own_has_its_number),
        TEST(a_routes_own_answerer_answers),
        TEST(answers_at_once_keep_the_order_of_a_pipeline),
        TEST(an_answerer_may_pass_a_request_on),
        TEST(deadlines_and_losses_are_the_answerers),
        TEST(requests_under_way_pin_it),
        TEST(routes_live_as_long_as_their_requests),
        TEST(an_eviction_ends_what_others_than_the_scripts_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
