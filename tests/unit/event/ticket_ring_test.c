#include "event/ticket_ring.h"

#include "base/buf.h"
#include "base/codec.h"

#include "unit.h"

static mg_ticket_ring ring;

static const mg_ticket_key *find(const mg_ticket_key *k, bool *renew) {
    return mg_ticket_ring_find(&ring, k->name, renew);
}

static void an_empty_ring_has_no_key(void **state) {
    (void)state;
    bool renew;
    ring = (mg_ticket_ring){0};
    assert_null(mg_ticket_ring_sealing(&ring));
    assert_null(mg_ticket_ring_find(&ring, (const unsigned char *)"0123456789abcdef", &renew));
}

static void the_key_that_seals_opens_too(void **state) {
    (void)state;
    bool renew = true;
    assert_int_equal(mg_ticket_ring_begin(&ring), 0);
    const mg_ticket_key *k = mg_ticket_ring_sealing(&ring);
    assert_non_null(k);
    assert_ptr_equal(find(k, &renew), k);
    assert_false(renew);
}

// A worker that rotates late still finds what another one has sealed with the next key.
static void a_new_key_is_known_before_it_seals(void **state) {
    (void)state;
    bool renew = false;
    mg_ticket_ring early;
    assert_int_equal(mg_ticket_ring_begin(&ring), 0);
    memcpy(&early, &ring, sizeof early);
    assert_int_equal(mg_ticket_ring_rotate(&ring), 0);
    const mg_ticket_key *next = mg_ticket_ring_sealing(&ring);
    assert_non_null(mg_ticket_ring_find(&early, next->name, &renew));
    assert_true(renew);
}

static void two_old_keys_open_and_no_third(void **state) {
    (void)state;
    bool renew = false;
    assert_int_equal(mg_ticket_ring_begin(&ring), 0);
    const mg_ticket_key first = *mg_ticket_ring_sealing(&ring);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mg_ticket_ring_rotate(&ring), 0);
        assert_true(memcmp(mg_ticket_ring_sealing(&ring), &first, sizeof first) != 0);
        assert_non_null(find(&first, &renew));
        assert_true(renew);
    }
    assert_int_equal(mg_ticket_ring_rotate(&ring), 0);
    assert_null(find(&first, &renew));
}

static mg_buf lines_of(int count, size_t bytes) {
    mg_buf text = {0};
    char key[200];
    for (int i = 0; i < count; i++) {
        memset(key, 'a' + i, sizeof key);
        mg_hex_encode(&text, (mg_str){key, bytes});
        mg_buf_append_str(&text, MG_STR("\r\n"));
    }
    return text;
}

static void the_first_given_key_seals_and_all_open(void **state) {
    (void)state;
    bool renew = true;
    mg_error err;
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("# of the fleet\n\n"));
    mg_buf keys = lines_of(3, MG_TICKET_KEY_BYTES);
    mg_buf_append_str(&text, mg_buf_str(&keys));
    assert_int_equal(mg_ticket_keys_read(&ring, mg_buf_str(&text), "f", &err), MG_OK);
    assert_int_equal(mg_ticket_ring_sealing(&ring)->name[0], 'a');
    assert_non_null(mg_ticket_ring_find(&ring, (const unsigned char *)"cccccccccccccccc", &renew));
    assert_true(renew);
    // The place of a fourth is filled with what nobody knows.
    static const mg_ticket_key zero;
    assert_null(mg_ticket_ring_find(&ring, zero.name, &renew));
    mg_buf_deinit(&keys);
    mg_buf_deinit(&text);
}

static void refuses(int count, size_t bytes, const char *want) {
    mg_error err;
    mg_buf text = lines_of(count, bytes);
    assert_int_equal(mg_ticket_keys_read(&ring, mg_buf_str(&text), "k.txt", &err), MG_ECONFIG);
    if (strstr(err.text, want) == NULL) {
        fail_msg("%s", err.text);
    }
    mg_buf_deinit(&text);
}

static void wrong_keys_are_named(void **state) {
    (void)state;
    refuses(0, 80, "k.txt: key 1 is missing, allowed: at most 4 lines of 80 random bytes");
    refuses(1, 48, "k.txt: key 1 is something else");
    refuses(5, 80, "k.txt: key 5 is one too many");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_no_key),
        cmocka_unit_test(the_key_that_seals_opens_too),
        cmocka_unit_test(a_new_key_is_known_before_it_seals),
        cmocka_unit_test(two_old_keys_open_and_no_third),
        cmocka_unit_test(the_first_given_key_seals_and_all_open),
        cmocka_unit_test(wrong_keys_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
