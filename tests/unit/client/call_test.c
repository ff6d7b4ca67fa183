// One call and its response.
#include "rig.h"

#include <zlib.h>

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void answered(const char *answer, int status, const char *content) {
    caller c;
    int i = accepted;
    get(&c, "/x");
    expect_request(i, "/x");
    says(i, answer);
    expect_content(&c, status, content);
    new_client(2, 10, 2); // so that the next one gets a connection of its own
}

static void breaks(const char *answer, bool hang_up, const char *code) {
    caller c;
    int i = accepted;
    get(&c, "/x");
    expect_request(i, "/x");
    says(i, answer);
    if (hang_up) {
        hangs_up(i);
    }
    expect_fault(&c, code, false);
    UNTIL(hang_up || peers[i].ended);
}

// --- responses ---

static void a_body_ends_by_length_chunk_or_status(void **state) {
    (void)state;
    answered(OK_HI, 200, "hi");
    answered(CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\nT: u\r\n\r\n", 200, "hi");
    answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "");
}

static void an_answer_to_head_has_no_body(void **state) {
    (void)state;
    caller c;
    for (int i = 0; i < 2; i++) {
        prepare(&c, "HEAD", "/x");
        start_call(&c);
        expect_request(0, "/x");
        says(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        expect_content(&c, 200, "");
    }
    assert_int_equal(accepted, 1);
}

static void a_body_without_a_length_ends_with_the_connection(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\n\r\nhi");
    turns(5);
    assert_false(is_over(&c));
    hangs_up(0);
    expect_content(&c, 200, "hi");
    assert_int_equal(stats().connections, 0);
}

static void a_reset_is_no_end_of_a_body(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\n\r\nhi");
    UNTIL(c.changes > 0 && mg_call_content(c.call).n == 2);
    mg_stream_close(&peers[0].s, true);
    expect_fault(&c, "closed", false);
}

static void what_is_cut_off_is_no_response(void **state) {
    (void)state;
    breaks("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, "closed");
    breaks(CHUNKED "2\r\nhi\r\n", true, "closed");
    breaks("HTTP/1.1 200 OK\r\nContent-", true, "closed");
}

static void what_is_malformed_closes_the_connection(void **state) {
    (void)state;
    breaks("SSH-2.0-x\r\n", false, "protocol");
    breaks("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "protocol");
    breaks(CHUNKED "x\r\n", false, "protocol");
    breaks("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "protocol");
}

static void interim_responses_are_passed_over(void **state) {
    (void)state;
    answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\n" OK_HI, 200, "hi");
}

static void endless_interim_responses_are_refused(void **state) {
    (void)state;
    char text[17 * 32] = "";
    for (int i = 0; i < 17; i++) {
        strcat(text, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    breaks(text, false, "protocol");
}

static void the_limit_of_a_body_is_exact(void **state) {
    (void)state;
    static const char *const answers[] = {OK_HI, CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"};
    caller c;
    for (int i = 0; i < 4; i++) {
        prepare(&c, "GET", "/x");
        c.options.max_bytes = i < 2 ? 2 : 1;
        start_call(&c);
        int at = i < 3 ? 0 : 1; // a fault closes the connection
        expect_request(at, "/x");
        says(at, answers[i % 2]);
        if (i < 2) {
            expect_content(&c, 200, "hi");
        } else {
            expect_fault(&c, "limit", false);
        }
    }
}

// --- content codings ---

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
    static char zeros[BYTES];
    caller c;
    ask_decoded(&c, BYTES);
    send_packed(zeros, BYTES, 0);
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

// --- uploads ---

static void upload(caller *c, int64_t length) {
    prepare(c, "POST", "/up");
    c->options.upload = true;
    c->options.length = length;
    start_call(c);
}

static void an_upload_is_chunked_or_has_its_length(void **state) {
    (void)state;
    caller c;
    upload(&c, -1);
    assert_int_equal(mg_call_send(c.call, "hi", 2), MG_OK); // waits with the call
    UNTIL(has_got(0, "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_OK);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "\r\n1\r\nx\r\n0\r\n\r\n"));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_ECLOSED);
    mg_buf_clear(&peers[0].got);
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");

    upload(&c, 3);
    assert_int_equal(mg_call_send(c.call, "ab", 2), MG_OK);
    assert_int_equal(mg_call_send(c.call, "cd", 2), MG_ELIMIT);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_ELIMIT);
    assert_int_equal(mg_call_send(c.call, "c", 1), MG_OK);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "Content-Length: 3\r\n\r\nabc"));
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    assert_int_equal(accepted, 1);
}

static void an_early_response_ends_an_upload_and_its_connection(void **state) {
    (void)state;
    caller c;
    upload(&c, -1);
    assert_int_equal(mg_call_send(c.call, "hi", 2), MG_OK);
    UNTIL(has_got(0, "hi\r\n"));
    says(0, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    UNTIL(is_over(&c));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_ECLOSED);
    expect_content(&c, 413, "no");
    UNTIL(peers[0].ended);
    assert_int_equal(stats().connections, 0);
}

static void an_upload_waits_for_a_server_that_does_not_read(void **state) {
    (void)state;
    static const char piece[65536];
    caller c;
    upload(&c, -1);
    UNTIL(has_got(0, "\r\n\r\n"));
    mg_stream_read_stop(&peers[0].s);
    size_t sent = 0;
    int rc = MG_OK;
    while (rc == MG_OK) {
        rc = mg_call_send(c.call, piece, sizeof piece);
        sent += sizeof piece;
        assert_true(sent < 64 * 1024 * 1024);
        turns(1);
    }
    assert_int_equal(rc, MG_EAGAIN);
    assert_false(mg_call_has_room(c.call));
    turns(5);
    assert_int_equal(c.changes, 0);
    mg_stream_read_start(&peers[0].s);
    UNTIL(c.changes > 0);
    assert_true(mg_call_has_room(c.call));
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "\r\n0\r\n\r\n"));
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    assert_true(peers[0].got.n > sent);
}

// --- time ---

static void a_call_that_gets_no_connection_ends_in_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    prepare(&a, "GET", "/a");
    a.options.timeouts.first_byte_ms = a.options.timeouts.total_ms = 60000;
    start_call(&a);
    expect_request(0, "/a");
    get(&b, "/b");
    pass_ms(8999);
    assert_int_equal(b.changes, 0);
    pass_ms(1);
    assert_non_null(strstr(mg_call_fault_of(b.call)->text,
                           ": all 1 connections to it (http.connections) were busy for 9 s: "));
    expect_fault(&b, "timeout", true);
    says(0, OK_EMPTY);
    expect_content(&a, 200, "");
}

static void a_silent_server_is_left_in_time(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    pass_ms(4999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
    UNTIL(peers[0].ended);
}

static void a_slow_body_is_left_after_the_total_time(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    pass_ms(8999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
}

// A server that answers no handshake.
static void a_connection_is_ready_in_time_or_given_up(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.origin.tls = true;
    c.options.origin.insecure = true;
    start_call(&c);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", true);
    UNTIL(peers[0].ended);
}

static void ask_handshake(caller *c, uint32_t connect_ms) {
    prepare(c, "GET", "/x");
    c->options.origin.tls = true;
    c->options.origin.insecure = true;
    c->options.timeouts.connect_ms = connect_ms;
    start_call(c);
}

static void who_waits_for_the_dial_of_a_call_that_went_has_its_own_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    ask_handshake(&a, 1000);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(900);
    ask_handshake(&b, 2000);
    mg_call_close(a.call);
    pass_ms(1999);
    assert_int_equal(b.changes, 0);
    pass_ms(1);
    expect_fault(&b, "timeout", true);
    UNTIL(peers[0].ended);

    ask_handshake(&a, 60000); // and likewise if it is shorter
    ask_handshake(&b, 500);
    mg_call_close(a.call);
    pass_ms(500);
    expect_fault(&b, "timeout", true);
    assert_int_equal(a.changes, 0);
}

static void a_dial_goes_on_for_those_who_have_more_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    ask_handshake(&a, 500);
    ask_handshake(&b, 2000);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(500);
    expect_fault(&a, "timeout", true);
    pass_ms(1999);
    assert_int_equal(b.changes, 0);
    assert_false(peers[0].ended);
    pass_ms(1);
    expect_fault(&b, "timeout", true);
    assert_int_equal(accepted, 1);
}

// --- streamed responses ---

static void stream(caller *c) {
    prepare(c, "GET", "/x");
    c->options.stream = true;
    start_call(c);
    expect_request(0, "/x");
}

static void a_stream_is_told_piece_by_piece(void **state) {
    (void)state;
    caller c;
    stream(&c);
    says(0, CHUNKED "2\r\nhi\r\n");
    UNTIL(c.changes == 1);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_BODY);
    assert_text("hi", mg_call_content(c.call));
    mg_call_take(c.call, 1);
    assert_text("i", mg_call_content(c.call));
    says(0, "2\r\nyo\r\n");
    UNTIL(c.changes == 2);
    assert_text("iyo", mg_call_content(c.call));
    says(0, "0\r\n\r\n");
    expect_content(&c, 200, "iyo");
    assert_int_equal(stats().idle, 1);
}

static void a_stream_that_rests_too_long_is_left(void **state) {
    (void)state;
    caller c;
    stream(&c);
    says(0, CHUNKED "2\r\nhi\r\n");
    UNTIL(c.changes == 1);
    pass_ms(2999);
    says(0, "1\r\nx\r\n");
    UNTIL(c.changes == 2);
    pass_ms(2999); // far beyond the total time by now, which ended with the head
    says(0, "1\r\nx\r\n");
    UNTIL(c.changes == 3);
    pass_ms(2999);
    assert_int_equal(c.changes, 3);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
    UNTIL(peers[0].ended);
}

enum { LARGE = 32 * 1024 * 1024 };

static void send_large(int i) {
    char *body = calloc(1, LARGE);
    char head[64];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    says(i, head);
    const struct iovec v = {body, LARGE};
    assert_int_equal(mg_stream_write(&peers[i].s, &v, 1), 0);
    free(body);
}

// Many more turns than the whole of it would need.
static void let_flow(void) {
    turns(4 * LARGE / MG_STREAM_READ_BYTES);
}

static void a_reader_that_is_behind_stalls_the_server(void **state) {
    (void)state;
    caller c;
    stream(&c);
    send_large(0);
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    let_flow();
    assert_true(peers[0].s.queued > 0);
    assert_true(mg_call_content(c.call).n < 512 * 1024);
    pass_ms(60000); // it is not the server who is slow
    assert_false(is_over(&c));
    size_t total = 0;
    UNTIL((total += mg_call_content(c.call).n, mg_call_take(c.call, mg_call_content(c.call).n),
           is_over(&c)));
    total += mg_call_content(c.call).n;
    assert_int_equal(total, LARGE);
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_DONE);
    mg_call_close(c.call);
    assert_int_equal(stats().idle, 1);
    get(&c, "/y");
    expect_request(0, "/y");
    says(0, OK_HI);
    expect_content(&c, 200, "hi");
}

// --- closing ---

static void a_closed_call_closes_its_connection(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    mg_call_close(c.call);
    UNTIL(peers[0].ended);
    assert_int_equal(c.changes, 0);
    assert_int_equal(stats().origins, 0);
}

static void a_closed_stream_closes_its_connection(void **state) {
    (void)state;
    caller c;
    stream(&c);
    send_large(0);
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    let_flow();
    int changes = c.changes;
    mg_call_close(c.call);
    UNTIL(peers[0].ended);
    assert_int_equal(c.changes, changes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_body_ends_by_length_chunk_or_status),
        EACH(an_answer_to_head_has_no_body),
        EACH(a_body_without_a_length_ends_with_the_connection),
        EACH(a_reset_is_no_end_of_a_body),
        EACH(what_is_cut_off_is_no_response),
        EACH(what_is_malformed_closes_the_connection),
        EACH(interim_responses_are_passed_over),
        EACH(endless_interim_responses_are_refused),
        EACH(the_limit_of_a_body_is_exact),
        EACH(coded_content_is_decoded_within_the_limit),
        EACH(much_content_is_decoded_over_several_turns),
        EACH(several_codings_and_coded_parts_are_not_decoded),
        EACH(broken_codings_are_refused),
        EACH(content_is_left_coded_unless_it_can_be_decoded),
        EACH(an_upload_is_chunked_or_has_its_length),
        EACH(an_early_response_ends_an_upload_and_its_connection),
        EACH(an_upload_waits_for_a_server_that_does_not_read),
        EACH(a_call_that_gets_no_connection_ends_in_time),
        EACH(a_silent_server_is_left_in_time),
        EACH(a_slow_body_is_left_after_the_total_time),
        EACH(a_connection_is_ready_in_time_or_given_up),
        EACH(who_waits_for_the_dial_of_a_call_that_went_has_its_own_time),
        EACH(a_dial_goes_on_for_those_who_have_more_time),
        EACH(a_stream_is_told_piece_by_piece),
        EACH(a_stream_that_rests_too_long_is_left),
        EACH(a_reader_that_is_behind_stalls_the_server),
        EACH(a_closed_call_closes_its_connection),
        EACH(a_closed_stream_closes_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
