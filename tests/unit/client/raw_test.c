#include "client/raw.h"

#include "rig.h"

#include "client/rules.h"
#include "event/descriptors.h"

static struct {
    mg_tunnel t;
    mg_buf in;
    int done, fins, closed;
    char code[16], text[320];
} us;

static void on_done(void *arg, const mg_call_fault *fault) {
    assert_ptr_equal(arg, &us);
    us.done++;
    snprintf(us.code, sizeof us.code, "%s", fault != NULL ? fault->code : "");
    snprintf(us.text, sizeof us.text, "%s", fault != NULL ? fault->text : "");
}

static void on_read(mg_tunnel *t, mg_str data) {
    (void)t;
    mg_buf_append_str(&us.in, data);
}

static void on_fin(mg_tunnel *t) {
    (void)t;
    us.fins++;
}

static void on_nothing(mg_tunnel *t) {
    (void)t;
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    (void)t;
    (void)why;
    us.closed++;
}

static const mg_tunnel_events events = {on_read, on_fin, on_nothing, on_nothing, on_closed};

static mg_raw *start(const mg_call_origin *to) {
    mg_buf_deinit(&us.in);
    memset(&us, 0, sizeof us);
    us.t.events = &events;
    return mg_raw_open(
        client,
        &(mg_raw_options){
            .origin = *to, .timeout_ms = 1000, .on_done = on_done, .arg = &us, .tunnel = &us.t});
}

static const mg_call_origin *here(void) {
    static mg_call_origin o;
    o = (mg_call_origin){.port = port, .host = MG_STR("127.0.0.1")};
    return &o;
}

static void it_carries_bytes_both_ways_and_is_closed(void **state) {
    (void)state;
    assert_non_null(start(here()));
    UNTIL(us.done && accepted == 1);
    assert_string_equal(us.code, "");
    assert_int_equal(mg_tunnel_write(&us.t, MG_STR("ping")), MG_OK);
    UNTIL(has_got(0, "ping"));
    says(0, "pong");
    UNTIL(us.in.n == 4);
    mg_tunnel_close(&us.t);
    UNTIL(peers[0].ended);
    mg_buf_deinit(&us.in);
}

static void a_server_that_leaves_is_told(void **state) {
    (void)state;
    start(here());
    UNTIL(us.done && accepted == 1);
    mg_stream_close(&peers[0].s, true);
    UNTIL(us.closed);
}

static void one_that_is_denied_is_not_dialled(void **state) {
    (void)state;
    mg_buf rules = {0};
    mg_rules_append(&rules, MG_RULES_DENY, MG_STR("loopback"));
    mg_call_origin to = *here();
    to.rules = mg_buf_str(&rules);
    start(&to);
    UNTIL(us.done);
    assert_string_equal(us.code, "denied");
    assert_non_null(strstr(us.text, "127.0.0.1 is denied by \"loopback\" (option deny)"));
    assert_int_equal(accepted, 0);
    mg_buf_deinit(&rules);
}

static int warnings;

static void on_warning(void *arg, const char *text) {
    (void)arg;
    assert_non_null(strstr(text, "INSECURE: the certificate of 127.0.0.1:"));
    warnings++;
}

static void an_insecure_server_is_told_once(void **state) {
    (void)state;
    mg_call_origin to = *here();
    to.tls = to.insecure = true;
    new_client_of(&(mg_client_options){.on_warning = on_warning});
    for (int i = 0; i < 2; i++) {
        mg_raw_cancel(start(&to));
        assert_int_equal(warnings, 1);
    }
}

static void it_is_given_up(void **state) {
    (void)state;
    mg_raw *r = start(here());
    mg_raw_cancel(r);
    turns(4);
    assert_int_equal(us.done, 0);
}

static void it_ends_with_the_client(void **state) {
    (void)state;
    start(here());
    UNTIL(us.done && accepted == 1);
    mg_client_free(client);
    client = NULL;
    assert_int_equal(us.closed, 1);
    UNTIL(peers[0].ended);
}

static void none_is_opened_beyond_the_limit(void **state) {
    (void)state;
    mg_descriptors_set_limit(loop, mg_descriptors_open(loop));
    assert_null(start(here()));
    mg_descriptors_set_limit(loop, UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(it_carries_bytes_both_ways_and_is_closed),
        EACH(a_server_that_leaves_is_told),
        EACH(one_that_is_denied_is_not_dialled),
        EACH(an_insecure_server_is_told_once),
        EACH(it_is_given_up),
        EACH(it_ends_with_the_client),
        EACH(none_is_opened_beyond_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
