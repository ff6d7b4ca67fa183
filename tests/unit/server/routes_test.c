#include "server/routes.h"

#include "fixed_answerer.h"
#include "unit.h"

static void a_route_asks_for_nothing_unless_told(void **state) {
    (void)state;
    mg_router *router = mg_router_new();
    mg_routes *r = mg_routes_new(router, 2);
    assert_ptr_equal(r->router, router);
    const mg_route *route = mg_routes_get(r, 2);
    assert_int_equal(route->name.n, 0);
    assert_int_equal(route->deadline_ms, -1);
    assert_int_equal(route->body_bytes, -1);
    assert_null(route->answerer);
    mg_routes_free(r);
    mg_router_free(router);
}

static void names_are_copied_and_answerers_taken(void **state) {
    (void)state;
    int freed = 0;
    char name[] = "user";
    mg_routes *r = mg_routes_new(NULL, 2);
    mg_answerer *a = fixed_answerer_new("x", &freed);
    mg_routes_set(r, 1, &(mg_route){.name = mg_str_of(name), .body_bytes = 3, .answerer = a});
    name[0] = 'x';
    assert_text("user", mg_routes_get(r, 1)->name);
    assert_int_equal(mg_routes_get(r, 1)->body_bytes, 3);
    assert_ptr_equal(mg_routes_get(r, 1)->answerer, a);
    mg_routes_free(r);
    assert_int_equal(freed, 1);
    mg_routes_free(NULL);
}

static void former_ones_go_with_it(void **state) {
    (void)state;
    int freed = 0;
    mg_routes *former = mg_routes_new(NULL, 1);
    mg_routes_set(former, 1, &(mg_route){.answerer = fixed_answerer_new("x", &freed)});
    mg_routes *r = mg_routes_new(NULL, 0);
    r->former = former;
    mg_routes_free(r);
    assert_int_equal(freed, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_asks_for_nothing_unless_told),
        cmocka_unit_test(names_are_copied_and_answerers_taken),
        cmocka_unit_test(former_ones_go_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
