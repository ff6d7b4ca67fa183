// What is told of upstreams, as JSON and as text.
#include "gate/status_upstreams.h"

#include "proxy/state.h"

#include "../unit.h"

#include <stdlib.h>

static void what_a_worker_uses_is_told(void **state) {
    (void)state;
    void *room = calloc(1, mg_shared_bytes());
    mg_shared *shared = mg_shared_new(room, 0);
    mg_upstream_hold u;
    mg_server_hold s;
    mg_buf json = {0};
    mg_buf text = {0};
    mg_status_append_upstreams(room, 1000, &json);
    assert_int_equal(json.n, 0);

    assert_true(mg_shared_hold_upstream(shared, MG_STR("shop"), &u));
    assert_true(mg_shared_hold_server(shared, MG_STR("shop"), MG_STR("http://a:1"), &s));
    mg_count_up(&s.own->in_flight);
    for (int i = 0; i < 4; i++) {
        mg_count_total(&s.own->tries);
    }
    mg_count_total(&s.own->reused);
    mg_count_total(&s.own->failed);
    atomic_store(&s.cell->draining, MG_DRAIN_ASKED);
    mg_count_total(&u.own->hedges);
    mg_count_total(&u.own->hedges);
    mg_count_total(&u.own->mirror_dropped);
    mg_status_append_upstreams(room, 1000, &json);
    assert_text(",\"upstreams\":[{\"upstream\":\"shop\",\"circuit\":\"closed\",\"in_flight\":0,"
                "\"waiting\":0,\"requests\":0,\"retries\":0,\"hedges\":2,\"mirrored\":0,"
                "\"mirror_dropped\":1,\"refused\":0,"
                "\"servers\":[{\"server\":\"http://a:1\",\"state\":\"draining\",\"why\":\"a script "
                "said so\",\"in_flight\":1,\"tries\":4,\"failed\":1,\"reused\":1}]}]",
                mg_buf_str(&json));

    mg_json_reader r;
    mg_buf decoded = {0};
    mg_str list = {json.p + sizeof ",\"upstreams\":" - 1, json.n - (sizeof ",\"upstreams\":" - 1)};
    mg_json_reader_init(&r, list, &decoded, 0);
    assert_int_equal(mg_json_next(&r), MG_JSON_ARRAY);
    assert_int_equal(mg_json_next(&r), MG_JSON_OBJECT);
    mg_status_read_upstream(&r, &text);
    assert_text("\nupstream shop: circuit closed, 0 in flight, 0 requests, 0 retries, 2 hedges, "
                "1 copies dropped\n"
                "  http://a:1                                draining     1 in flight         4 "
                "tries       1 failed   25 % on a kept connection: a script said so\n",
                mg_buf_str(&text));
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&text);
    mg_buf_deinit(&json);
    mg_count_down(&s.own->in_flight);
    mg_shared_drop_server(&s);
    mg_shared_drop_upstream(&u);
    mg_shared_free(shared);
    free(room);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_worker_uses_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
