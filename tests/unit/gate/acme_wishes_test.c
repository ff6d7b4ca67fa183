#include "gate/acme_wishes.h"

#include "unit.h"

static void wished(const char *listen, const char *want) {
    mg_config c;
    mg_buf json = {0};
    mg_buf text = {0};
    mg_buf_printf(&json, "{\"listen\":%s}", listen);
    if (mg_config_init(&c, "/p/conf/m.lua", mg_buf_str(&json), &text) != MG_OK) {
        fail_msg("%.*s", (int)text.n, text.p);
    }
    mg_acme_wishes(&c, &text);
    assert_text(want, mg_buf_str(&text));
    mg_buf_deinit(&json);
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

#define AT(port, acme) "{\"address\":\":" port "\",\"tls\":{\"acme\":{" acme "}}}"
#define CA             "\"directory\":\"https://ca/d\""
#define PLACE                                                                                      \
    "\"directory\":\"https://ca/d\",\"folder\":\"/p/var/acme\","                                   \
    "\"place\":\"/p/var/acme/ca-d\""

static void nothing_is_wished_without_acme(void **state) {
    (void)state;
    wished("[\":1\",{\"address\":\":2\",\"tls\":{\"cert\":\"a\",\"key\":\"b\"}}]", "[]");
}

static void each_certificate_is_wished_once(void **state) {
    (void)state;
    wished("[" AT("1", "\"domains\":[\"a.test\",\"b.test\"]," CA) "," AT(
               "2", "\"domains\":[\"b.test\",\"c.test\"],\"challenge\":\"tls-alpn-01\"," CA) "]",
           "[{\"domain\":\"a.test\",\"challenge\":\"http-01\"," PLACE "},"
           "{\"domain\":\"b.test\",\"challenge\":\"http-01\"," PLACE "},"
           "{\"domain\":\"c.test\",\"challenge\":\"tls-alpn-01\"," PLACE "}]");
}

static void what_is_said_besides_is_handed_on(void **state) {
    (void)state;
    wished("[" AT("1", "\"domains\":[\"a.test\"],\"email\":\"m@a\",\"ca\":\"c\",\"key_id\":\"k\","
                       "\"hmac_key\":\"h\"," CA) "]",
           "[{\"domain\":\"a.test\",\"challenge\":\"http-01\"," PLACE
           ",\"email\":\"m@a\",\"ca\":\"/p/c\",\"key_id\":\"k\",\"hmac_key\":\"h\"}]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wished_without_acme),
        cmocka_unit_test(each_certificate_is_wished_once),
        cmocka_unit_test(what_is_said_besides_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
