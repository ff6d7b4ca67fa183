#include "event/dns_head.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// An answer to one question for WwW.x, of type A, with one record announced.
static const unsigned char good[] = "\1\2\x81\x80\0\1\0\1\0\0\0\0\3WwW\1x\0\0\1\0\1";
enum {
    N = sizeof good - 1,
    CODE = 3,
    FLAGS = 2,
    QUESTIONS = 5,
    ANSWERS = 7,
    LABEL = 12,
    TYPE = N - 3
};

static unsigned char m[N];

static int set_up(void **state) {
    (void)state;
    memcpy(m, good, N);
    return 0;
}

static void name_family_and_code_are_read(void **state) {
    (void)state;
    mg_dns_head h;
    assert_true(mg_dns_head_read(m, N, &h));
    assert_string_equal(h.name, "www.x.");
    assert_int_equal(h.family, AF_INET);
    assert_int_equal(h.code, 0);
    assert_true(h.holds);
    m[TYPE] = 28;
    m[CODE] = 0x80 | MG_DNS_REFUSED;
    assert_true(mg_dns_head_read(m, N, &h));
    assert_int_equal(h.family, AF_INET6);
    assert_int_equal(h.code, MG_DNS_REFUSED);
    assert_false(h.holds);
    m[TYPE] = 15;
    assert_true(mg_dns_head_read(m, N, &h));
    assert_int_equal(h.family, 0);
}

static void what_is_cut_off_holds_more(void **state) {
    (void)state;
    mg_dns_head h;
    m[ANSWERS] = 0;
    assert_true(mg_dns_head_read(m, N, &h));
    assert_false(h.holds);
    m[FLAGS] |= 2;
    assert_true(mg_dns_head_read(m, N, &h));
    assert_true(h.holds);
}

static void what_is_no_answer_to_one_question_is_passed_over(void **state) {
    (void)state;
    mg_dns_head h;
    m[FLAGS] = 0x01; // a question
    assert_false(mg_dns_head_read(m, N, &h));
    set_up(state);
    m[QUESTIONS] = 2;
    assert_false(mg_dns_head_read(m, N, &h));
    set_up(state);
    m[LABEL] = 0; // the root
    assert_false(mg_dns_head_read(m, N, &h));
    set_up(state);
    m[LABEL] = 0xc0; // a pointer
    assert_false(mg_dns_head_read(m, N, &h));
    m[LABEL] = 200;
    assert_false(mg_dns_head_read(m, N, &h));
    set_up(state);
    m[LABEL + 2] = '\0';
    assert_false(mg_dns_head_read(m, N, &h));
    m[LABEL + 2] = '.';
    assert_false(mg_dns_head_read(m, N, &h));
}

static void it_is_read_within_its_bounds(void **state) {
    (void)state;
    mg_dns_head h;
    for (size_t n = 0; n < N; n++) {
        unsigned char *cut = malloc(n + 1); // so that a sanitizer sees its end
        memcpy(cut + 1, m, n);
        assert_false(mg_dns_head_read(cut + 1, n, &h));
        free(cut);
    }
    unsigned char large[12 + 5 * 64 + 5] = {[2] = 0x80, [5] = 1};
    for (size_t at = 12; at + 64 < sizeof large - 5; at += 64) {
        large[at] = 63;
        memset(large + at + 1, 'a', 63);
    }
    assert_false(mg_dns_head_read(large, sizeof large, &h));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(name_family_and_code_are_read, set_up),
        cmocka_unit_test_setup(what_is_cut_off_holds_more, set_up),
        cmocka_unit_test_setup(what_is_no_answer_to_one_question_is_passed_over, set_up),
        cmocka_unit_test_setup(it_is_read_within_its_bounds, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
