#include "gate/status_text.h"

#include "unit.h"

static mg_buf out;

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&out);
    return 0;
}

static void a_reply_is_read(void **state) {
    (void)state;
    bool ok = false;
    assert_int_equal(mg_reply_text(MG_STR("{\"ok\":true,\"text\":\"a\\nb\"}\n"), &ok, &out), MG_OK);
    assert_true(ok);
    assert_text("a\nb", mg_buf_str(&out));
    mg_buf_clear(&out);
    assert_int_equal(mg_reply_text(MG_STR("{\"ok\":false,\"text\":\"no\"}"), &ok, &out), MG_OK);
    assert_false(ok);
    assert_int_equal(mg_reply_text(MG_STR("nonsense"), &ok, &out), MG_ESYNTAX);
}

static void a_status_becomes_a_table(void **state) {
    (void)state;
    static const char json[] =
        "{\"ok\":true,\"version\":\"0.1.0\",\"conf\":\"conf/m.lua\",\"pid\":7,\"uptime\":3725.0,"
        "\"generation\":3,\"stopping\":false,\"listen\":[\"127.0.0.1:1\",\"unix:/x\"],"
        "\"served_certificates\":3,\"first_expiry_days\":29,\"first_expiry_file\":\"a.pem\","
        "\"workers\":[{\"worker\":1,\"pid\":8,\"state\":\"serving\",\"uptime\":61.0,"
        "\"generation\":3,\"connections\":2,\"requests\":10,\"accepted\":4,\"bytes_in\":1,"
        "\"bytes_out\":2,\"failed_handshakes\":5,\"memory\":9437184,\"lua_memory\":1048576,"
        "\"restarts\":2,\"event_streams\":12,\"lost_messages\":3,"
        "\"generations\":[{\"generation\":3,\"requests\":1,\"streams\":0,\"background\":0},"
        "{\"generation\":2,\"requests\":2,\"streams\":1,\"background\":0}],"
        "\"jobs\":[{\"job\":\"sweep\",\"seconds\":75.5}],"
        "\"redis\":[{\"redis\":\"default\",\"state\":\"down\",\"waiting\":0}]}]}\n";
    assert_int_equal(mg_status_text(mg_str_of(json), &out), MG_OK);
    mg_buf_append_char(&out, '\0');
    assert_non_null(
        strstr(out.p, "moongate 0.1.0, pid 7, conf/m.lua, up 1 h 02 min, generation 3"));
    assert_non_null(strstr(out.p, "listening on 127.0.0.1:1, unix:/x\n"));
    assert_non_null(strstr(out.p, "1 min 01 s"));
    assert_non_null(strstr(out.p, "9.0 MiB"));
    assert_non_null(strstr(out.p, "restarted 2 x  5 TLS handshakes failed  "
                                  "12 event streams  3 messages lost\n"));
    assert_non_null(strstr(out.p, "3 certificates, the first expires in 29 days: a.pem\n"));
    assert_non_null(strstr(out.p, "generation 2 is kept by 2 requests, 1 stream\n"));
    assert_null(strstr(out.p, "generation 3 is kept"));
    assert_non_null(strstr(out.p, "job sweep runs since 1 min 15 s\n"));
    assert_non_null(strstr(out.p, "redis default is down\n"));
}

static void what_is_no_status_is_refused(void **state) {
    (void)state;
    const char *const texts[] = {"", "[]", "{\"workers\":[{\"worker\":", "{\"pid\":1}x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(mg_status_text(mg_str_of(texts[i]), &out), MG_ESYNTAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_reply_is_read, tear_down),
        cmocka_unit_test_teardown(a_status_becomes_a_table, tear_down),
        cmocka_unit_test_teardown(what_is_no_status_is_refused, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
