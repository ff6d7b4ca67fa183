#include "event/listener.h"

#include "wire.h"

#include <netinet/in.h>
#include <sys/un.h>

static void assert_text(const char *given, const char *shown) {
    mg_address a;
    mg_error err;
    assert_int_equal(mg_address_parse(given, &a, &err), 0);
    assert_string_equal(a.text, shown);
}

static void tcp_addresses_are_understood_and_shown_in_full(void **state) {
    (void)state;
    assert_text("127.0.0.1:8080", "127.0.0.1:8080");
    assert_text("8080", "0.0.0.0:8080");
    assert_text(":80", "0.0.0.0:80");
    assert_text("*:80", "0.0.0.0:80");
    assert_text("localhost:0", "127.0.0.1:0");
    assert_text("LOCALHOST:1", "127.0.0.1:1");
    assert_text("[::1]:65535", "[::1]:65535");
    assert_text("[::]:80", "[::]:80");
    assert_text("[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80");
}

static void unix_paths_are_understood(void **state) {
    (void)state;
    mg_address a;
    mg_error err;
    assert_int_equal(mg_address_parse("unix:/run/x.sock", &a, &err), 0);
    assert_true(a.is_unix);
    assert_string_equal(a.text, "unix:/run/x.sock");
    assert_string_equal(((struct sockaddr_un *)&a.sa)->sun_path, "/run/x.sock");
}

static void the_longest_unix_path_fits_and_one_more_is_refused(void **state) {
    (void)state;
    mg_address a;
    mg_error err;
    char text[5 + 108 + 1] = "unix:";
    memset(text + 5, 'p', 107);
    assert_int_equal(mg_address_parse(text, &a, &err), 0);
    assert_string_equal(a.text, text);
    memset(text + 5, 'p', 108);
    assert_int_equal(mg_address_parse(text, &a, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "107"));
}

static void nonsense_is_refused_with_a_text_that_quotes_it(void **state) {
    (void)state;
    const char *bad[] = {
        "",           "x",
        ":",          "127.0.0.1",
        "127.0.0.1:", "1.2.3.4:65536",
        "1.2.3.4:-1", "1.2.3:80",
        "host:80",    "::1:80",
        "[::1]",      "[::1:80",
        "[]:80",      "[1.2.3.4]:80",
        "1.2.3.4:8x", "1.2.3.4:80 ",
        "unix:",      "11111111111111111111111111111111111111111111111111:80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mg_address a;
        mg_error err;
        assert_int_equal(mg_address_parse(bad[i], &a, &err), MG_ECONFIG);
        assert_non_null(strstr(err.text, bad[i]));
    }
    mg_address a;
    assert_int_equal(mg_address_parse("x", &a, NULL), MG_ECONFIG);
}

static void the_address_of_a_socket_has_its_real_port(void **state) {
    (void)state;
    mg_address a;
    int fd = listen_on("127.0.0.1:0");
    assert_int_equal(mg_address_of_socket(fd, &a), 0);
    assert_false(a.is_unix);
    assert_true(ntohs(((struct sockaddr_in *)&a.sa)->sin_port) > 0);
    assert_int_equal(strncmp(a.text, "127.0.0.1:", 10), 0);
    assert_string_not_equal(a.text, "127.0.0.1:0");
    close(fd);
    assert_true(mg_address_of_socket(fd, &a) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_addresses_are_understood_and_shown_in_full),
        cmocka_unit_test(unix_paths_are_understood),
        cmocka_unit_test(the_longest_unix_path_fits_and_one_more_is_refused),
        cmocka_unit_test(nonsense_is_refused_with_a_text_that_quotes_it),
        cmocka_unit_test(the_address_of_a_socket_has_its_real_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
