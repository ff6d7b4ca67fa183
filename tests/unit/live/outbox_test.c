#include "live/outbox.h"

#include "unit.h"

static void gives_packets_back_in_their_order(void **state) {
    (void)state;
    mg_outbox *o = NULL;
    mg_packet *packets[10];
    assert_null(mg_outbox_take(&o));
    assert_int_equal(mg_outbox_bytes(o), 0);
    for (int i = 0; i < 10; i++) {
        packets[i] = mg_packet_new(&(mg_publication){.payload = MG_STR("0123456789")});
    }
    for (int round = 0; round < 3; round++) { // so that the ring turns
        for (int i = 0; i < 3; i++) {
            mg_outbox_add(&o, packets[i]);
        }
        assert_ptr_equal(mg_outbox_take(&o), packets[0]);
        mg_packet_unref(packets[0]);
        for (int i = 3; i < 10; i++) {
            mg_outbox_add(&o, packets[i]);
        }
        assert_true(mg_outbox_bytes(o) >= 90);
        for (int i = 1; i < 10; i++) {
            assert_ptr_equal(mg_outbox_take(&o), packets[i]);
            mg_packet_unref(packets[i]);
        }
        assert_null(o);
    }
    mg_outbox_add(&o, packets[0]);
    for (int i = 0; i < 10; i++) {
        mg_packet_unref(packets[i]);
    }
    mg_outbox_clear(&o); // the last reference
    assert_null(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_packets_back_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
