#include "live/packet.h"

#include "unit.h"

static int encoded;

static void shout(const mg_publication *m, const void *arg, mg_buf *out) {
    encoded++;
    mg_buf_append_str(out, m->payload);
    mg_buf_append_char(out, *(const char *)arg);
}

static void nothing(const mg_publication *m, const void *arg, mg_buf *out) {
    (void)m;
    (void)arg;
    (void)out;
    encoded++;
}

static void is_encoded_once_for_each_form(void **state) {
    (void)state;
    char text[] = "hello";
    mg_publication m = {.kind = MG_PACKET_BINARY, .payload = mg_str_of(text), .id = MG_STR("7")};
    mg_packet *p = mg_packet_new(&m);
    encoded = 0;
    text[0] = 'j'; // it keeps a copy
    assert_int_equal(p->message.kind, MG_PACKET_BINARY);
    assert_true(mg_str_eq(p->message.id, MG_STR("7")));
    mg_str first = mg_packet_bytes(p, MG_FORM_FRAME, shout, "!");
    assert_true(mg_str_eq(first, MG_STR("hello!")));
    assert_ptr_equal(mg_packet_bytes(p, MG_FORM_FRAME, shout, "!").p, first.p);
    assert_int_equal(encoded, 1);
    assert_int_equal(mg_packet_bytes(p, MG_FORM_EVENT, nothing, NULL).n, 0);
    assert_int_equal(mg_packet_bytes(p, MG_FORM_EVENT, nothing, NULL).n, 0);
    assert_int_equal(encoded, 2);
    mg_packet *again = mg_packet_ref(p);
    mg_packet_unref(p);
    assert_true(mg_str_eq(mg_packet_bytes(again, MG_FORM_FRAME, shout, "!"), MG_STR("hello!")));
    mg_packet_unref(again);
    mg_packet_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_encoded_once_for_each_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
