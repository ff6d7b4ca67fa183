#include "h2_rig.h"

#include <stdlib.h>

typedef struct pair {
    rig client, server;
} pair;

static int setup(void **state) {
    pair *p = calloc(1, sizeof *p);
    rig_open(&p->client, true, NULL);
    rig_open(&p->server, false, NULL);
    rig_greet(&p->client, &p->server);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    pair *p = *state;
    rig_close(&p->client);
    rig_close(&p->server);
    free(p);
    return 0;
}

static mg_h2_stream *ask(pair *p, const char *method, const char *target, bool end) {
    rig_stream *s = rig_stream_new(&p->client);
    mg_fields fields;
    mg_fields_init(&fields, &s->arena);
    mg_fields_add(&fields, MG_STR("X-Name"), MG_STR("value"));
    mg_request_head head = {.method = mg_str_of(method),
                            .target = mg_str_of(target),
                            .host = MG_STR("example.org"),
                            .scheme = MG_STR("http"),
                            .fields = &fields};
    assert_int_equal(MG_OK,
                     mg_h2_request(&p->client.h, &s->s, &s->arena, &p->client.out, &head, end));
    return &s->s;
}

static void answer(pair *p, int status, bool end) {
    mg_fields none = {0};
    mg_answer_head head = {.status = status, .content_type = MG_STR("text/plain"), .fields = &none};
    mg_h2_send_answer(&p->server.h, p->server.stream, &p->server.out, &head, end);
}

static void carries_a_request_and_its_answer(void **state) {
    pair *p = *state;
    ask(p, "GET", "/a", true);
    rig_pass(&p->client, &p->server);
    assert_told("head GET /a x-name=value Host=example.org end\n", &p->server);
    answer(p, 200, false);
    mg_h2_send_data(&p->server.h, p->server.stream, &p->server.out, MG_STR("hello"), true);
    rig_pass(&p->server, &p->client);
    assert_told("head 200 Content-Type=text/plain\ndata hello end\n", &p->client);
    assert_int_equal(0, mg_h2_count(&p->client.h));
    assert_int_equal(0, mg_h2_count(&p->server.h));
}

static void carries_content_and_trailers_both_ways(void **state) {
    pair *p = *state;
    mg_h2_stream *s = ask(p, "POST", "/", false);
    mg_h2_send_data(&p->client.h, s, &p->client.out, MG_STR("one"), false);
    mg_fields trailers;
    mg_fields_init(&trailers, s->arena);
    mg_fields_add(&trailers, MG_STR("Sum"), MG_STR("3"));
    mg_h2_send_end(&p->client.h, s, &p->client.out, &trailers);
    rig_pass(&p->client, &p->server);
    assert_told("head POST / x-name=value Host=example.org\ndata one\ntrailers sum=3 end\n",
                &p->server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_a_request_and_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(carries_content_and_trailers_both_ways, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
