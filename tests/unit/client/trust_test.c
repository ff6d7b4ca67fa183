// Which certificates are read once.
#include "rig.h"

#include "client/client_inside.h"

static void what_cannot_be_read_takes_the_place_of_nothing(void **state) {
    (void)state;
    mg_error err;
    mg_tls_context *good = mg_client_trust(client, NULL, true, &err);
    assert_non_null(good);
    for (int i = 0; i < 2 * MG_CLIENT_TRUSTS; i++) {
        assert_null(mg_client_trust(client, "/nowhere/ca.pem", false, &err));
        assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    }
    assert_ptr_equal(mg_client_trust(client, NULL, true, &err), good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(what_cannot_be_read_takes_the_place_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
