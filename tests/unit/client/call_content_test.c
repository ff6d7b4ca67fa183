// Codings of content, and its limit.
#include "rig.h"

#include "base/mem.h"

#include <zlib.h>

static size_t pack(const char *plain, size_t n, char *out, size_t most) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)plain,
                  .avail_in = (uInt)n,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)most};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void send_packed(const char *plain, size_t n, size_t cut) {
    static char packed[65536];
    char head[128];
    size_t length = pack(plain, n, packed, sizeof packed) - cut;
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", length);
    says(accepted - 1, head);
    const struct iovec v = {packed, length};
    assert_int_equal(mg_stream_write(&peers[accepted - 1].s, &v, 1), 0);
}

static void ask_decoded(caller *c, uint64_t max_bytes) {
    prepare(c, "GET", "/x");
    c->options.decode = true;
    c->options.max_bytes = max_bytes;
    int i = accepted;
    new_client(2, 10, 2);
    start_call(c);
    expect_request(i, "/x");
}

static void coded_content_is_decoded_within_the_limit(void **state) {
    (void)state;
    static const char zeros[200000];
    caller c;
    ask_decoded(&c, 1000);
    send_packed("hi", 2, 0);
    UNTIL(is_over(&c));
    assert_true(mg_call_decoded(c.call));
    expect_content(&c, 200, "hi");
    ask_decoded(&c, 1000);
    send_packed(zeros, 1000, 0);
    UNTIL(is_over(&c));
    assert_null(mg_call_fault_of(c.call));
    assert_int_equal(mg_call_content(c.call).n, 1000);
    mg_call_close(c.call);
    ask_decoded(&c, 1000);
    send_packed(zeros, 1001, 0);
    expect_fault(&c, "limit", false);
    ask_decoded(&c, 1000);
    send_packed(zeros, sizeof zeros, 0);
    expect_fault(&c, "limit", false);
}

static void much_content_is_decoded_over_several_turns(void **state) {
    (void)state;
    enum { BYTES = 20 << 20, TURN = 2 << 20 };
    // An array would be searched for pointers at the end of every test.
    char *zeros = mg_calloc(1, BYTES);
    caller c;
    ask_decoded(&c, BYTES);
    send_packed(zeros, BYTES, 0);
    mg_free(zeros);
    size_t before = 0;
    int turns_taken = 0;
    for (; !is_over(&c); turns_taken++) {
        mg_loop_turn(loop, true, false, UINT64_MAX);
        size_t n = mg_call_content(c.call).n;
        assert_true(n - before <= TURN);
        before = n;
    }
    assert_null(mg_call_fault_of(c.call));
    assert_int_equal(before, BYTES);
    assert_true(turns_taken >= BYTES / TURN);
    mg_call_close(c.call);
}

static void several_codings_and_coded_parts_are_not_decoded(void **state) {
    (void)state;
    caller c;
    ask_decoded(&c, 1000);
    says(0, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\nhi");
    expect_fault(&c, "protocol", false);
    ask_decoded(&c, 1000);
    says(1, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Encoding: gzip\r\n"
            "Content-Length: 2\r\n\r\nhi");
    expect_fault(&c, "protocol", false);
    ask_decoded(&c, 1000);
    says(2, "HTTP/1.1 200 OK\r\nContent-Encoding: identity, identity\r\n"
            "Content-Length: 2\r\n\r\nhi");
    expect_content(&c, 200, "hi");
    ask_decoded(&c, 1000);
    says(3, "HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip\r\n"
            "Content-Length: 2\r\n\r\nhi");
    expect_content(&c, 206, "hi");
}

static void broken_codings_are_refused(void **state) {
    (void)state;
    caller c;
    ask_decoded(&c, 1000);
    send_packed("hi", 2, 1); // cut off
    expect_fault(&c, "protocol", false);
    ask_decoded(&c, 1000);
    says(1, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi");
    expect_fault(&c, "protocol", false);
}

static void content_is_left_coded_unless_it_can_be_decoded(void **state) {
    (void)state;
    caller c;
    get(&c, "/x"); // does not ask for it
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi");
    expect_content(&c, 200, "hi");
    ask_decoded(&c, 1000);
    says(1, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi");
    UNTIL(is_over(&c));
    assert_false(mg_call_decoded(c.call));
    expect_content(&c, 200, "hi");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(coded_content_is_decoded_within_the_limit),
        EACH(much_content_is_decoded_over_several_turns),
        EACH(several_codings_and_coded_parts_are_not_decoded),
        EACH(broken_codings_are_refused),
        EACH(content_is_left_coded_unless_it_can_be_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
