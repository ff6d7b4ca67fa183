// Bytes, ends, and closing in each callback.

#include "event/tls.h"

#include "tls_rig.h"

#include <errno.h>

// Enough that no kernel buffer takes it whole.
enum { MUCH = 8 * 1024 * 1024 };

static char *much(void) {
    char *data = malloc(MUCH);
    for (int i = 0; i < MUCH; i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    return data;
}

// --- bytes ---

static void update_server_key(void) {
    SSL *ssl = server.w.s.u.tls->ssl;
    assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(wire_send(&server.w, "k", 1), 0);
}

static void keys_are_changed_on_request(void **state) {
    (void)state;
    connect_well();
    read_both();
    for (size_t i = 1; i <= 5; i++) {
        update_server_key();
        turn_until_bytes(loop, &client.w, i);
        assert_int_equal(wire_send(&client.w, "answer", 6), 0);
        turn_until_bytes(loop, &server.w, i * 6);
    }
    assert_int_equal(client.w.drains, 0);
}

static void one_who_asks_for_keys_but_does_not_read_is_cut_off(void **state) {
    (void)state;
    connect_well();
    assert_int_equal(mg_stream_read_start(&client.w.s), 0);
    for (size_t n = 1; client.w.ends == 0 && n < 100000; n++) {
        update_server_key();
        while (client.w.ends == 0 && client.w.got.n < n) {
            mg_loop_turn(loop, false, false, 0);
        }
    }
    assert_int_equal(client.w.end_status, -EPROTO);
    assert_true(client.w.s.u.tls->inner.queued < 128 * 1024);
}

static void much_goes_both_ways_at_once_and_the_queues_drain(void **state) {
    (void)state;
    connect_well();
    char *data = much();
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    assert_int_equal(wire_send(&server.w, data, MUCH), 0);
    assert_true(client.w.s.queued > 0);
    assert_int_equal(client.w.drains, 0);
    read_both();
    turn_until_bytes(loop, &server.w, MUCH);
    turn_until_bytes(loop, &client.w, MUCH);
    turn_until(loop, &client.w.drains, 1);
    turn_until(loop, &server.w.drains, 1);
    assert_int_equal(client.w.drains, 1);
    assert_int_equal(client.w.drain_status, 0);
    assert_memory_equal(server.w.got.p, data, MUCH);
    assert_memory_equal(client.w.got.p, data, MUCH);
    free(data);
}

static void a_paused_reader_gets_nothing_and_slows_the_writer_down(void **state) {
    (void)state;
    connect_well();
    char *data = much();
    read_both();
    server.w.stop_in_read = true;
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    turn_until_bytes(loop, &server.w, 1);
    size_t first = server.w.got.n;
    turn_times(loop, 30);
    assert_int_equal(server.w.got.n, first);
    assert_true(client.w.s.queued > 0);
    assert_int_equal(client.w.drains, 0);
    while (server.w.got.n < MUCH) {
        size_t before = server.w.got.n;
        assert_int_equal(mg_stream_read_start(&server.w.s), 0);
        assert_int_equal(server.w.got.n, before);
        turn_until_bytes(loop, &server.w, before + 1);
        // One record at most: the reader stops in its first call.
        assert_true(server.w.got.n - before <= 16384);
        assert_true(server.w.s.u.tls->kept.n <= MG_STREAM_READ_BYTES);
    }
    assert_memory_equal(server.w.got.p, data, MUCH);
    turn_until(loop, &client.w.drains, 1);
    free(data);
}

static void reading_may_begin_in_on_ready(void **state) {
    (void)state;
    contexts("good");
    client.read_in_ready = true;
    server.read_in_ready = true;
    shake_hands("good.test");
    assert_int_equal(wire_send(&client.w, "x", 1), 0);
    turn_until_bytes(loop, &server.w, 1);
}

static void a_write_of_nothing_is_good(void **state) {
    (void)state;
    connect_well();
    assert_int_equal(mg_stream_write(&client.w.s, NULL, 0), 0);
    assert_int_equal(wire_send(&client.w, "", 0), 0);
    assert_int_equal(client.w.s.queued, 0);
}

static void nothing_can_be_written_before_the_handshake(void **state) {
    (void)state;
    int raw = open_to_raw();
    assert_int_equal(wire_send(&client.w, "x", 1), -ENOTCONN);
    close(raw);
}

// --- ends ---

static void a_shutdown_leaves_after_the_queue_and_reading_goes_on(void **state) {
    (void)state;
    connect_well();
    char *data = much();
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    assert_int_equal(mg_stream_shutdown(&client.w.s), 0);
    assert_int_equal(wire_send(&client.w, "x", 1), -EPIPE);
    read_both();
    turn_until(loop, &server.w.ends, 1);
    assert_int_equal(server.w.end_status, 0);
    assert_int_equal(server.w.got.n, MUCH);
    assert_int_equal(wire_send(&server.w, data, MUCH), 0);
    mg_stream_shutdown(&server.w.s);
    turn_until(loop, &client.w.ends, 1);
    assert_int_equal(client.w.end_status, 0);
    assert_int_equal(client.w.got.n, MUCH);
    assert_memory_equal(client.w.got.p, data, MUCH);
    free(data);
}

static void closing_says_goodbye(void **state) {
    (void)state;
    connect_well();
    read_both();
    assert_int_equal(wire_send(&server.w, "bye", 3), 0);
    mg_stream_close(&server.w.s, false);
    turn_until(loop, &client.w.ends, 1);
    assert_int_equal(client.w.end_status, 0);
    assert_int_equal(client.w.got.n, 3);
}

static void an_end_without_goodbye_is_a_truncation(void **state) {
    (void)state;
    connect_well();
    read_both();
    assert_int_equal(wire_send(&server.w, "half", 4), 0);
    mg_stream_close(&server.w.s, true);
    turn_until(loop, &client.w.ends, 1);
    assert_int_equal(client.w.end_status, -ECONNRESET);
    assert_int_equal(client.w.got.n, 4);
    turn_times(loop, 3);
    assert_int_equal(client.w.ends, 1);
}

static void closing_with_a_queue_is_a_truncation(void **state) {
    (void)state;
    connect_well();
    char *data = much();
    assert_int_equal(wire_send(&server.w, data, MUCH), 0);
    mg_stream_close(&server.w.s, false);
    turn_until(loop, &server.w.closes, 1);
    assert_int_equal(mg_stream_read_start(&client.w.s), 0);
    turn_until(loop, &client.w.ends, 1);
    assert_true(client.w.end_status < 0);
    assert_true(client.w.got.n < MUCH);
    free(data);
}

static void the_end_is_unseen_while_paused(void **state) {
    (void)state;
    connect_well();
    mg_stream_close(&server.w.s, false);
    turn_times(loop, 10);
    assert_int_equal(client.w.ends, 0);
    mg_stream_read_start(&client.w.s);
    turn_until(loop, &client.w.ends, 1);
    assert_int_equal(client.w.end_status, 0);
}

static void a_queued_write_to_one_who_left_fails(void **state) {
    (void)state;
    connect_well();
    char *data = much();
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    mg_stream_close(&server.w.s, false);
    turn_until(loop, &client.w.drains, 1);
    assert_true(client.w.drain_status < 0);
    assert_int_equal(wire_send(&client.w, "x", 1), -EPIPE);
    free(data);
}

static void addresses_are_those_of_the_socket(void **state) {
    (void)state;
    connect_well();
    struct sockaddr_storage here;
    struct sockaddr_storage there;
    assert_int_equal(mg_stream_local(&client.w.s, &here), 0);
    assert_int_equal(mg_stream_peer(&server.w.s, &there), 0);
    assert_int_equal(here.ss_family, AF_INET);
    assert_memory_equal(&here, &there, sizeof here);
    assert_ptr_equal(mg_stream_loop(&client.w.s), loop);
}

// Both ends, each over a pair whose other socket the test holds.
static void open_over_relay(int *near, int *far) {
    contexts("good");
    connected_pair(near);
    connected_pair(far);
    open_client(near[0], "good.test");
    open_server(far[0]);
}

static void relay_byte(int from, int to) {
    char byte;
    if (recv(from, &byte, 1, 0) == 1) {
        assert_int_equal(send(to, &byte, 1, 0), 1);
    }
}

static void records_may_come_byte_by_byte(void **state) {
    (void)state;
    int near[2];
    int far[2];
    open_over_relay(near, far);
    client.read_in_ready = true;
    server.read_in_ready = true;
    server.w.echo = true;
    bool asked = false;
    while (client.w.got.n < 8) {
        relay_byte(near[1], far[1]);
        relay_byte(far[1], near[1]);
        if (client.readies == 1 && !asked) {
            assert_int_equal(client.status, 0);
            assert_int_equal(wire_send(&client.w, "question", 8), 0);
            asked = true;
        }
        mg_loop_turn(loop, false, false, 0);
    }
    assert_memory_equal(client.w.got.p, "question", 8);
    close(near[1]);
    close(far[1]);
}

// The relay flips a bit of what the server says.
static void a_forged_record_ends_the_stream(void **state) {
    (void)state;
    int near[2];
    int far[2];
    open_over_relay(near, far);
    bool forged = false;
    while (client.w.ends == 0) {
        char bytes[4096];
        ssize_t n = recv(near[1], bytes, sizeof bytes, 0);
        if (n > 0) {
            assert_int_equal(send(far[1], bytes, (size_t)n, 0), n);
        }
        if (client.readies + server.readies == 2 && !forged) {
            read_both();
            assert_int_equal(wire_send(&server.w, "secret", 6), 0);
            forged = true;
        }
        n = recv(far[1], bytes, sizeof bytes, 0);
        if (n > 0) {
            bytes[n - 1] = (char)(bytes[n - 1] ^ (forged ? 1 : 0));
            assert_int_equal(send(near[1], bytes, (size_t)n, 0), n);
        }
        mg_loop_turn(loop, false, false, 0);
    }
    assert_int_equal(client.w.end_status, -EPROTO);
    assert_int_equal(client.w.got.n, 0);
    assert_true(wire_send(&client.w, "x", 1) < 0);
    close(near[1]);
    close(far[1]);
}

// --- closing in each callback ---

static void closing_in_on_ready(void **state) {
    (void)state;
    contexts("good");
    client.close_in_ready = true;
    server.close_in_ready = true;
    open_both("good.test");
    turn_until(loop, &client.w.closes, 1);
    turn_until(loop, &server.w.closes, 1);
    assert_int_equal(client.readies, 1);
}

static void closing_in_on_ready_after_a_refusal(void **state) {
    (void)state;
    contexts("strange");
    client.close_in_ready = true;
    open_both("good.test");
    turn_until(loop, &client.w.closes, 1);
    assert_int_equal(client.readies, 1);
}

static void closing_in_on_read(void **state) {
    (void)state;
    connect_well();
    read_both();
    char *data = much();
    server.w.close_in_read = true;
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    turn_until(loop, &server.w.closes, 1);
    assert_true(server.w.got.n <= 16384);
    assert_int_equal(server.w.ends, 0);
    free(data);
}

static void closing_in_on_end(void **state) {
    (void)state;
    connect_well();
    read_both();
    client.w.close_in_end = true;
    mg_stream_shutdown(&server.w.s);
    turn_until(loop, &client.w.closes, 1);
    turn_until(loop, &server.w.ends, 1);
    assert_int_equal(server.w.end_status, 0);
}

static void closing_in_on_drain(void **state) {
    (void)state;
    connect_well();
    read_both();
    char *data = much();
    client.w.close_in_drain = true;
    assert_int_equal(wire_send(&client.w, data, MUCH), 0);
    turn_until(loop, &client.w.closes, 1);
    turn_until(loop, &server.w.ends, 1);
    assert_int_equal(server.w.end_status, 0);
    assert_int_equal(server.w.got.n, MUCH);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(keys_are_changed_on_request),
        EACH(one_who_asks_for_keys_but_does_not_read_is_cut_off),
        EACH(much_goes_both_ways_at_once_and_the_queues_drain),
        EACH(a_paused_reader_gets_nothing_and_slows_the_writer_down),
        EACH(reading_may_begin_in_on_ready),
        EACH(a_write_of_nothing_is_good),
        EACH(nothing_can_be_written_before_the_handshake),
        EACH(a_shutdown_leaves_after_the_queue_and_reading_goes_on),
        EACH(closing_says_goodbye),
        EACH(an_end_without_goodbye_is_a_truncation),
        EACH(closing_with_a_queue_is_a_truncation),
        EACH(the_end_is_unseen_while_paused),
        EACH(a_queued_write_to_one_who_left_fails),
        EACH(records_may_come_byte_by_byte),
        EACH(a_forged_record_ends_the_stream),
        EACH_TCP(addresses_are_those_of_the_socket),
        EACH_TCP(much_goes_both_ways_at_once_and_the_queues_drain),
        EACH_TCP(a_paused_reader_gets_nothing_and_slows_the_writer_down),
        EACH_TCP(a_shutdown_leaves_after_the_queue_and_reading_goes_on),
        EACH_TCP(closing_says_goodbye),
        EACH_TCP(closing_with_a_queue_is_a_truncation),
        EACH_TCP(a_queued_write_to_one_who_left_fails),
        EACH(closing_in_on_ready),
        EACH(closing_in_on_ready_after_a_refusal),
        EACH(closing_in_on_read),
        EACH(closing_in_on_end),
        EACH(closing_in_on_drain),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
