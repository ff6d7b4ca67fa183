#include "h2_rig.h"

#include <stdlib.h>

typedef struct pair {
    rig client, server;
} pair;

static int setup(void **state) {
    pair *p = malloc(sizeof *p);
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

static mg_h2_stream *ask(pair *p, const char *method, const mg_fields *fields, bool end) {
    rig_stream *s = rig_stream_new(&p->client);
    mg_request_head head = {.method = mg_str_of(method),
                            .target = MG_STR("/"),
                            .host = MG_STR("a"),
                            .scheme = MG_STR("http"),
                            .fields = fields};
    assert_int_equal(MG_OK,
                     mg_h2_request(&p->client.h, &s->s, &s->arena, &p->client.out, &head, end));
    return &s->s;
}

static void answer(pair *p, const mg_answer_head *a, bool end) {
    mg_h2_send_answer(&p->server.h, p->server.stream, &p->server.out, a, end);
}

static void writes_the_head_of_an_answer(void **state) {
    pair *p = *state;
    ask(p, "GET", NULL, true);
    rig_pass(&p->client, &p->server);
    mg_fields fields;
    mg_arena arena = {0};
    mg_fields_init(&fields, &arena);
    mg_fields_add(&fields, MG_STR("X-Own"), MG_STR("1"));
    mg_fields_add(&fields, MG_STR("Connection"), MG_STR("close")); // of no use here
    mg_fields_add(&fields, MG_STR("Keep-Alive"), MG_STR("1"));
    answer(p,
           &(mg_answer_head){.status = 404,
                             .kind = MG_LENGTH_KNOWN,
                             .length = 12,
                             .content_type = MG_STR("text/html"),
                             .fields = &fields,
                             .date = MG_STR("Mon, 01 Jan 2024 00:00:00 GMT"),
                             .close = true},
           false);
    rig_pass(&p->server, &p->client);
    assert_told("head 404 Content-Type=text/html Content-Length=12 "
                "Date=Mon, 01 Jan 2024 00:00:00 GMT x-own=1\n",
                &p->client);
    mg_arena_deinit(&arena);
}

static void interim_answers_come_before_it(void **state) {
    pair *p = *state;
    ask(p, "GET", NULL, true);
    rig_pass(&p->client, &p->server);
    mg_fields none = {0};
    mg_h2_send_interim(&p->server.h, p->server.stream, &p->server.out, 103, NULL);
    answer(p, &(mg_answer_head){.status = 204, .fields = &none}, true);
    rig_pass(&p->server, &p->client);
    assert_told("head 103\nhead 204 end\n", &p->client);
}

static void an_answer_to_head_announces_what_does_not_come(void **state) {
    pair *p = *state;
    ask(p, "HEAD", NULL, true);
    rig_pass(&p->client, &p->server);
    mg_fields none = {0};
    answer(p,
           &(mg_answer_head){.status = 200, .kind = MG_LENGTH_KNOWN, .length = 5, .fields = &none},
           true);
    rig_pass(&p->server, &p->client);
    assert_told("head 200 Content-Length=5 end\n", &p->client);
}

static void a_large_head_goes_in_several_frames(void **state) {
    pair *p = *state;
    mg_fields fields;
    mg_arena arena = {0};
    mg_fields_init(&fields, &arena);
    char name[20];
    char value[9000];
    memset(value, '~', sizeof value); // 13 bits each in Huffman coding: written as it is
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "x-%d", i);
        mg_fields_add(&fields, (mg_str){mg_arena_copy(&arena, mg_str_of(name)), strlen(name)},
                      (mg_str){value, sizeof value});
    }
    ask(p, "GET", &fields, true);
    mg_buf copy = {0};
    mg_buf_append_str(&copy, mg_buf_str(&p->client.out));
    mg_buf text = {0};
    rig_frames(&copy, &text);
    assert_text("HEADERS 1/1\nCONTINUATION 1/4\n", mg_buf_str(&text));
    rig_pass(&p->client, &p->server);
    assert_int_equal(4, p->server.head.fields.count);
    mg_buf_deinit(&copy);
    mg_buf_deinit(&text);
    mg_arena_deinit(&arena);
}

static void content_keeps_within_the_windows(void **state) {
    pair *p = *state;
    p->server.holds = true;
    mg_h2_stream *s = ask(p, "POST", NULL, false);
    static const char content[MG_H2_FRAME_MAX] = {0};
    size_t sent = 0;
    for (size_t room; (room = mg_h2_room(&p->client.h, s)) > 0; sent += room) {
        mg_h2_send_data(&p->client.h, s, &p->client.out, (mg_str){content, room}, false);
    }
    assert_int_equal(64 << 10, sent); // SETTINGS_INITIAL_WINDOW_SIZE
    rig_pass(&p->client, &p->server);
    assert_int_equal(64 << 10, p->server.stream->stored);
    mg_h2_taken(&p->server.h, p->server.stream, &p->server.out, 64 << 10);
    rig_pass(&p->server, &p->client);
    assert_int_equal(MG_H2_FRAME_MAX, mg_h2_room(&p->client.h, s));
}

static void opens_as_many_streams_as_allowed(void **state) {
    pair *p = *state;
    for (int i = 0; i < 100; i++) {
        ask(p, "GET", NULL, true);
    }
    mg_request_head head = {.method = MG_STR("GET"), .target = MG_STR("/"), .host = MG_STR("a")};
    rig_stream *s = rig_stream_new(&p->client);
    assert_int_equal(MG_EAGAIN,
                     mg_h2_request(&p->client.h, &s->s, &s->arena, &p->client.out, &head, true));
    rig_pass(&p->client, &p->server);
    assert_int_equal(100, mg_h2_count(&p->server.h));
}

static void an_extended_connect_is_a_tunnel(void **state) {
    pair *p = *state;
    assert_true(p->client.h.peer.extended_connect);
    rig_stream *s = rig_stream_new(&p->client);
    mg_request_head head = {.method = MG_STR("CONNECT"),
                            .target = MG_STR("/chat"),
                            .host = MG_STR("a"),
                            .scheme = MG_STR("https"),
                            .protocol = MG_STR("websocket")};
    mg_h2_request(&p->client.h, &s->s, &s->arena, &p->client.out, &head, false);
    rig_pass(&p->client, &p->server);
    assert_told("head CONNECT /chat Host=a\n", &p->server);
    mg_fields none = {0};
    answer(p, &(mg_answer_head){.status = 200, .fields = &none}, false);
    mg_h2_send_data(&p->server.h, p->server.stream, &p->server.out, MG_STR("hello"), true);
    rig_pass(&p->server, &p->client);
    assert_told("head 200\ndata hello end\n", &p->client);
}

static void a_reset_behind_a_whole_answer_stops_the_upload(void **state) {
    pair *p = *state;
    mg_h2_stream *s = ask(p, "POST", NULL, false);
    rig_pass(&p->client, &p->server);
    mg_fields none = {0};
    answer(p, &(mg_answer_head){.status = 413, .fields = &none}, true);
    mg_h2_send_reset(&p->server.h, p->server.stream, &p->server.out, MG_H2_NO_ERROR);
    mg_h2_send_data(&p->client.h, s, &p->client.out, MG_STR("more"), false);
    rig_pass(&p->client, &p->server);
    assert_told("head POST / Host=a\n", &p->server);
    rig_pass(&p->server, &p->client);
    assert_told("head 413 end\nreset 0 by peer: the peer reset the stream\n", &p->client);
}

// What a rest has thrown away is told to be empty.
static void the_encoder_is_made_again_after_a_rest(void **state) {
    pair *p = *state;
    mg_fields none = {0};
    for (int i = 0; i < 3; i++) {
        ask(p, "GET", NULL, true);
        rig_pass(&p->client, &p->server);
        answer(p, &(mg_answer_head){.status = 200, .content_type = MG_STR("x/y"), .fields = &none},
               true);
        rig_pass(&p->server, &p->client);
        mg_h2_rest(&p->server.h);
        assert_null(p->server.h.encoder);
    }
    assert_told("head 200 Content-Type=x/y end\nhead 200 Content-Type=x/y end\n"
                "head 200 Content-Type=x/y end\n",
                &p->client);
}

static void a_failure_says_why(void **state) {
    pair *p = *state;
    mg_h2_fail(&p->server.h, &p->server.out, MG_H2_INTERNAL_ERROR, "why");
    assert_memory_equal("why", p->server.out.p + p->server.out.n - 3, 3);
    rig_pass(&p->server, &p->client);
    assert_told("goaway 2\n", &p->client);
}

static void pings_are_answered(void **state) {
    pair *p = *state;
    mg_h2_send_ping(&p->client.h, &p->client.out);
    rig_pass(&p->client, &p->server);
    rig_pass(&p->server, &p->client);
    assert_told("pong\n", &p->client);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(writes_the_head_of_an_answer),
        TEST(interim_answers_come_before_it),
        TEST(an_answer_to_head_announces_what_does_not_come),
        TEST(a_large_head_goes_in_several_frames),
        TEST(content_keeps_within_the_windows),
        TEST(opens_as_many_streams_as_allowed),
        TEST(an_extended_connect_is_a_tunnel),
        TEST(a_reset_behind_a_whole_answer_stops_the_upload),
        TEST(the_encoder_is_made_again_after_a_rest),
        TEST(a_failure_says_why),
        TEST(pings_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
