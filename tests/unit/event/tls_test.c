// Who is trusted, and handshakes.

#include "event/tls.h"

#include "tls_rig.h"

#include <errno.h>
#include <stdint.h>

static void assert_client_refuses(const char *host, const char *words) {
    open_both(host);
    turn_until(loop, &client.readies, 1);
    assert_true(client.status < 0);
    if (strstr(client.text, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", client.text, words);
    }
    struct iovec v = {(void *)(uintptr_t) "x", 1};
    assert_true(mg_stream_write(&client.w.s, &v, 1) < 0);
    turn_until(loop, &server.readies, 1);
    assert_true(server.status < 0);
    turn_times(loop, 3);
    assert_int_equal(client.readies, 1);
    assert_int_equal(server.readies, 1);
}

// --- who is trusted ---

static void a_good_certificate_is_accepted_and_bytes_go_both_ways(void **state) {
    (void)state;
    connect_well();
    assert_string_equal(mg_tls_version(&client.w.s), "TLSv1.3");
    assert_int_equal(mg_tls_alpn(&client.w.s).n, 0);
    assert_false(mg_tls_resumed(&client.w.s));
    read_both();
    assert_int_equal(wire_send(&client.w, "question", 8), 0);
    turn_until_bytes(loop, &server.w, 8);
    struct iovec v[] = {{(void *)(uintptr_t) "ans", 3}, {NULL, 0}, {(void *)(uintptr_t) "wer", 3}};
    assert_int_equal(mg_stream_write(&server.w.s, v, 3), 0);
    turn_until_bytes(loop, &client.w, 6);
    assert_memory_equal(server.w.got.p, "question", 8);
    assert_memory_equal(client.w.got.p, "answer", 6);
    assert_int_equal(client.w.drains, 0);
}

static void names_are_verified(void **state) {
    (void)state;
    contexts("good");
    const char *hosts[] = {"good.test",   "GOOD.test", "good.test.",
                           "a.wild.test", "127.0.0.1", "::1"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        shake_hands(hosts[i]);
        close_side(&client);
        close_side(&server);
    }
}

static void a_wrong_name_is_refused_and_both_are_named(void **state) {
    (void)state;
    contexts("good");
    assert_client_refuses("other.test",
                          "good.test, *.wild.test, 127.0.0.1, ::1, not for other.test");
}

static void of_many_names_some_are_named(void **state) {
    (void)state;
    contexts("many");
    assert_client_refuses("other.test", "is for a, b, c, d, e and 2 more, not for other.test");
}

static void a_wrong_address_is_refused(void **state) {
    (void)state;
    contexts("good");
    assert_client_refuses("127.0.0.2", "not for 127.0.0.2");
}

static void a_certificate_without_names_is_good_for_none_of_them(void **state) {
    (void)state;
    contexts("nameless");
    assert_client_refuses("good.test", "is for no name (its subject, someone, does not count), not "
                                       "for good.test");
}

static void the_subject_of_a_certificate_is_no_name(void **state) {
    (void)state;
    contexts("nameless");
    assert_client_refuses("someone", "does not count), not for someone");
}

static void an_unknown_authority_is_refused(void **state) {
    (void)state;
    contexts("strange");
    assert_client_refuses("good.test", "good.test is not accepted: unable to get local issuer");
}

static void the_system_store_does_not_know_the_test_authority(void **state) {
    (void)state;
    client_context = client_of(&(mg_tls_client_options){0});
    server_context = server_of("good", NULL);
    assert_client_refuses("good.test", "unable to get local issuer");
}

static void an_expired_certificate_is_refused(void **state) {
    (void)state;
    contexts("expired");
    assert_client_refuses("good.test", "certificate has expired");
}

static void insecure_accepts_all(void **state) {
    (void)state;
    client_context = client_of(&(mg_tls_client_options){.insecure = true});
    const char *names[] = {"strange", "expired", "nameless"};
    for (size_t i = 0; i < 3; i++) {
        server_context = server_of(names[i], NULL);
        shake_hands("other.test");
        close_side(&client);
        close_side(&server);
        mg_tls_unref(server_context);
        server_context = NULL;
    }
}

static void files_that_are_not_there_are_named(void **state) {
    (void)state;
    mg_tls_context *c = NULL;
    mg_error err = {""};
    assert_true(mg_tls_client_new(&c, &(mg_tls_client_options){.ca_file = "/no/ca"}, &err) < 0);
    assert_non_null(strstr(err.text, "/no/ca"));
    assert_true(server_of_files(&c, "/no/chain", "/no/key", NULL, &err) < 0);
    assert_non_null(strstr(err.text, "/no/chain"));
    assert_true(server_of_files(&c, path_of("good.pem"), path_of("expired.key"), NULL, &err) < 0);
    assert_non_null(strstr(err.text, "expired.key"));
    assert_true(
        mg_tls_client_new(&c, &(mg_tls_client_options){.ca_file = path_of("good.key")}, &err) < 0);
    assert_non_null(strstr(err.text, "good.key"));
    assert_null(c);
}

static void a_folder_of_hashed_names_is_trusted(void **state) {
    (void)state;
    client_context = client_of(&(mg_tls_client_options){.ca_file = folder});
    server_context = server_of("good", NULL);
    shake_hands("good.test");
}

static void a_key_with_a_password_is_refused_and_nobody_is_asked(void **state) {
    (void)state;
    mg_tls_context *c = NULL;
    mg_error err = {""};
    assert_int_equal(server_of_files(&c, path_of("good.pem"), path_of("locked.key"), NULL, &err),
                     MG_ECONFIG);
    assert_non_null(strstr(err.text, "locked.key"));
    assert_non_null(strstr(err.text, "without a password"));
}

static void what_is_no_host_is_refused(void **state) {
    (void)state;
    contexts("good");
    static const char *const bad[] = {"", ".", ".good.test", ".wild.test"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        mg_stream s;
        mg_tls_opening o = opening(fds[0], client_context);
        o.host = bad[i];
        assert_int_equal(mg_tls_connect(&s, &o), -EINVAL);
        char byte;
        assert_int_equal(read(fds[1], &byte, 1), 0);
        close(fds[1]);
    }
}

// --- handshakes ---

static void the_protocol_is_chosen_by_the_server(void **state) {
    (void)state;
    client_context =
        client_of(&(mg_tls_client_options){.ca_file = path_of("ca.pem"), .alpn = "h2, http/1.1"});
    server_context = server_of("good", "http/1.1,other");
    shake_hands("good.test");
    mg_str chosen = mg_tls_alpn(&client.w.s);
    assert_true(mg_str_eq(chosen, MG_STR("http/1.1")));
    assert_true(mg_str_eq(mg_tls_alpn(&server.w.s), chosen));
}

static void no_common_protocol_is_a_refusal(void **state) {
    (void)state;
    client_context =
        client_of(&(mg_tls_client_options){.ca_file = path_of("ca.pem"), .alpn = "h2"});
    server_context = server_of("good", "http/1.1");
    assert_client_refuses("good.test",
                          "good.test refuses the TLS handshake: no application protocol");
}

static void garbage_instead_of_a_handshake_is_told(void **state) {
    (void)state;
    int raw = open_to_raw();
    assert_int_equal(send(raw, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
    turn_until(loop, &client.readies, 1);
    assert_int_equal(client.status, -EPROTO);
    assert_non_null(strstr(client.text, "good.test does not speak TLS"));
    close(raw);
}

static void garbage_from_a_client_is_told_too(void **state) {
    (void)state;
    int fds[2];
    contexts("good");
    connected_pair(fds);
    open_server(fds[1]);
    assert_int_equal(send(fds[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    turn_until(loop, &server.readies, 1);
    assert_int_equal(server.status, -EPROTO);
    assert_non_null(strstr(server.text, "the client does not speak TLS here (http request)"));
    close(fds[0]);
}

static void a_peer_that_leaves_in_the_handshake_is_told(void **state) {
    (void)state;
    close(open_to_raw());
    turn_until(loop, &client.readies, 1);
    assert_true(client.status < 0);
    assert_non_null(strstr(client.text, "during the TLS handshake"));
    turn_times(loop, 3);
    assert_int_equal(client.readies, 1);
    assert_int_equal(client.w.ends, 0);
}

static void closing_in_the_handshake_silences_it(void **state) {
    (void)state;
    contexts("good");
    open_both("good.test");
    turn_times(loop, 1);
    mg_stream_close(&client.w.s, false);
    turn_until(loop, &client.w.closes, 1);
    turn_until(loop, &server.readies, 1);
    assert_true(server.status < 0);
    assert_int_equal(client.readies, 0);
}

static void a_second_connection_resumes_the_session(void **state) {
    (void)state;
    connect_well();
    read_both();
    assert_int_equal(wire_send(&server.w, "x", 1), 0);
    turn_until_bytes(loop, &client.w, 1);
    for (int i = 0; i < 2; i++) {
        close_side(&client);
        close_side(&server);
        shake_hands("good.test");
        assert_true(mg_tls_resumed(&client.w.s));
        assert_true(mg_tls_resumed(&server.w.s));
    }
    close_side(&client);
    close_side(&server);
    shake_hands("127.0.0.1");
    assert_false(mg_tls_resumed(&client.w.s));
}

static void reset_both(void) {
    mg_stream_close(&client.w.s, true);
    mg_stream_close(&server.w.s, true);
    close_side(&client);
    close_side(&server);
}

static void a_session_outlives_a_connection_that_ends_rudely(void **state) {
    (void)state;
    connect_well();
    read_both();
    assert_int_equal(wire_send(&server.w, "x", 1), 0);
    turn_until_bytes(loop, &client.w, 1);
    for (int i = 0; i < 2; i++) { // both sessions
        reset_both();
        shake_hands("good.test");
        assert_true(mg_tls_resumed(&client.w.s));
    }
    reset_both();
    shake_hands("good.test");
    assert_false(mg_tls_resumed(&client.w.s)); // nothing was read that could bring a session
}

static void tls_1_2_is_spoken_and_resumed(void **state) {
    (void)state;
    contexts("good");
    SSL_CTX_set_max_proto_version(server_context->ssl, TLS1_2_VERSION);
    for (int i = 0; i < 3; i++) {
        shake_hands("good.test");
        assert_string_equal(mg_tls_version(&client.w.s), "TLSv1.2");
        assert_int_equal(mg_tls_resumed(&client.w.s), i > 0);
        read_both();
        mg_stream_shutdown(&client.w.s);
        turn_until(loop, &server.w.ends, 1);
        assert_int_equal(server.w.end_status, 0);
        assert_int_equal(wire_send(&server.w, "late", 4), 0);
        mg_stream_close(&server.w.s, false);
        turn_until(loop, &client.w.ends, 1);
        assert_int_equal(client.w.end_status, 0);
        assert_int_equal(client.w.got.n, 4);
        close_side(&client);
        close_side(&server);
    }
}

static void older_versions_are_refused(void **state) {
    (void)state;
    contexts("good");
    SSL_CTX_set_cipher_list(server_context->ssl, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(server_context->ssl, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server_context->ssl, TLS1_1_VERSION);
    assert_client_refuses("good.test", "good.test refuses the TLS handshake: protocol version");
}

static void few_sessions_are_kept(void **state) {
    (void)state;
    client_context = client_of(&(mg_tls_client_options){.insecure = true});
    for (int i = 0; i < 10; i++) {
        mg_tls_session_put(client_context, "same", SSL_SESSION_new());
    }
    assert_int_equal(client_context->session_count, 4);
    for (int i = 0; i < 1000; i++) {
        char host[16];
        snprintf(host, sizeof host, "h%d", i);
        mg_tls_session_put(client_context, host, SSL_SESSION_new());
    }
    assert_int_equal(client_context->session_count, 256);
    // One that cannot be resumed goes when it is asked for.
    assert_null(mg_tls_session_take(client_context, "h999"));
    assert_null(mg_tls_session_take(client_context, "h0"));
    assert_int_equal(client_context->session_count, 255);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_good_certificate_is_accepted_and_bytes_go_both_ways),
        EACH(names_are_verified),
        EACH(a_wrong_name_is_refused_and_both_are_named),
        EACH(of_many_names_some_are_named),
        EACH(a_wrong_address_is_refused),
        EACH(a_certificate_without_names_is_good_for_none_of_them),
        EACH(the_subject_of_a_certificate_is_no_name),
        EACH(an_unknown_authority_is_refused),
        EACH(the_system_store_does_not_know_the_test_authority),
        EACH(an_expired_certificate_is_refused),
        EACH(insecure_accepts_all),
        EACH(files_that_are_not_there_are_named),
        EACH(a_folder_of_hashed_names_is_trusted),
        EACH(a_key_with_a_password_is_refused_and_nobody_is_asked),
        EACH(what_is_no_host_is_refused),
        EACH(the_protocol_is_chosen_by_the_server),
        EACH(no_common_protocol_is_a_refusal),
        EACH(garbage_instead_of_a_handshake_is_told),
        EACH(garbage_from_a_client_is_told_too),
        EACH(a_peer_that_leaves_in_the_handshake_is_told),
        EACH(closing_in_the_handshake_silences_it),
        EACH(a_second_connection_resumes_the_session),
        EACH(a_session_outlives_a_connection_that_ends_rudely),
        EACH(tls_1_2_is_spoken_and_resumed),
        EACH(older_versions_are_refused),
        EACH(few_sessions_are_kept),
        EACH_TCP(a_good_certificate_is_accepted_and_bytes_go_both_ways),
        EACH_TCP(a_wrong_name_is_refused_and_both_are_named),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
