// A server's side: which certificate is shown, what tickets are good for, what is told of a client.
#include "event/tls.h"

#include "event/loop_inside.h"
#include "event/ticket_ring.h"

#include "tls_rig.h"
#include "unit.h"

#include <time.h>

static mg_ticket_ring ring;

static void serve(const mg_tls_settings *s) {
    mg_tls_store *store;
    mg_error err = {""};
    if (store_of(&store, s, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    const mg_tls_server_options o = {.store = store, .address = "test", .ring = &ring};
    int rc = server_context == NULL ? mg_tls_server_new(&server_context, &o, &err)
                                    : mg_tls_server_renew(server_context, &o, &err);
    if (rc != MG_OK) {
        fail_msg("%s", err.text);
    }
    mg_tls_store_unref(store);
}

static void serve_files(size_t n, const char *const *names) {
    static mg_tls_files files[4];
    static char paths[4][2][200];
    for (size_t i = 0; i < n; i++) {
        snprintf(paths[i][0], 200, "%s/%s.pem", folder, names[i]);
        snprintf(paths[i][1], 200, "%s/%s.key", folder, names[i]);
        files[i] = (mg_tls_files){paths[i][0], paths[i][1]};
    }
    serve(&(mg_tls_settings){.files = files, .file_count = n});
}

static void trust_anybody(void) {
    client_context = client_of(&(mg_tls_client_options){.insecure = true});
}

static void close_both_sides(void) {
    close_side(&client);
    close_side(&server);
}

// What the client has been shown.
static bool is_shown(const char *host) {
    X509 *c = SSL_get0_peer_certificate(client.w.s.u.tls->ssl);
    return c != NULL && X509_check_host(c, host, 0, 0, NULL) == 1;
}

static void each_name_is_shown_its_own_certificate(void **state) {
    (void)state;
    trust_anybody();
    serve_files(2, (const char *const[]){"good", "many"});
    static const char *const of_name[][2] = {{"good.test", "good.test"},
                                             {"x.wild.test", "good.test"},
                                             {"G", "g"},
                                             {"stranger.test", "good.test"}};
    for (size_t i = 0; i < sizeof of_name / sizeof *of_name; i++) {
        shake_hands(of_name[i][0]);
        assert_true(is_shown(of_name[i][1]));
        close_both_sides();
    }
}

static void a_client_without_a_name_gets_the_first(void **state) {
    (void)state;
    trust_anybody();
    serve_files(2, (const char *const[]){"many", "good"});
    shake_hands("127.0.0.1");
    assert_true(is_shown("g"));
    assert_null(server.w.s.u.tls->asked);
}

static void who_connects_later_finds_other_certificates(void **state) {
    (void)state;
    trust_anybody();
    serve_files(1, (const char *const[]){"good"});
    shake_hands("good.test");
    mg_stream_read_start(&server.w.s);
    serve_files(1, (const char *const[]){"many"});
    // What is open goes on.
    struct iovec v = {"on", 2};
    assert_int_equal(mg_stream_write(&client.w.s, &v, 1), 0);
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_text("on", mg_buf_str(&server.w.got));
    close_both_sides();
    shake_hands("g");
    assert_true(is_shown("g"));
}

// --- authority ---

static void requests_come_where_their_name_is_at_home(void **state) {
    (void)state;
    trust_anybody();
    serve_files(2, (const char *const[]){"good", "many"});
    shake_hands("good.test");
    mg_stream *s = &server.w.s;
    assert_true(mg_tls_has_authority(s, MG_STR("Good.Test")));
    assert_true(mg_tls_has_authority(s, MG_STR("good.test.")));
    assert_true(mg_tls_has_authority(s, MG_STR("y.wild.test")));
    assert_true(mg_tls_has_authority(s, MG_STR("127.0.0.1")));
    assert_true(mg_tls_has_authority(s, MG_STR("")));
    assert_false(mg_tls_has_authority(s, MG_STR("g")));
    assert_false(mg_tls_has_authority(s, MG_STR("nobody.test")));
    close_both_sides();
    // Who named nobody is only sent away where somebody else is at home.
    shake_hands("127.0.0.1");
    assert_true(mg_tls_has_authority(s, MG_STR("nobody.test")));
    assert_false(mg_tls_has_authority(s, MG_STR("g")));
    close_both_sides();
    shake_hands("stranger.test");
    assert_true(mg_tls_has_authority(s, MG_STR("stranger.test")));
    assert_true(mg_tls_has_authority(s, MG_STR("nobody.test")));
}

// --- tickets ---

// The client's session of one name, as if it were of another.
static bool resumes(const char *host) {
    shake_hands(host);
    mg_stream_read_start(&client.w.s); // tickets of TLS 1.3 come behind the handshake
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    bool resumed = mg_tls_resumed(&server.w.s);
    close_both_sides();
    return resumed;
}

static void sessions_come_back_to_other_workers_and_certificates(void **state) {
    (void)state;
    mg_ticket_ring_begin(&ring);
    trust_anybody();
    serve_files(1, (const char *const[]){"good"});
    assert_false(resumes("good.test"));
    assert_true(resumes("good.test"));
    mg_tls_unref(server_context); // another worker, or one after a death
    server_context = NULL;
    serve_files(1, (const char *const[]){"good"});
    assert_true(resumes("good.test"));
    serve_files(2, (const char *const[]){"good", "many"}); // a reload
    assert_true(resumes("good.test"));
    mg_ticket_ring_rotate(&ring);
    assert_true(resumes("good.test"));
    for (int i = 0; i < 3; i++) {
        mg_ticket_ring_rotate(&ring);
    }
    assert_false(resumes("good.test"));
}

static void take_session_over(const char *from, const char *to) {
    SSL_SESSION *s = mg_tls_session_take(client_context, from);
    assert_non_null(s);
    mg_tls_session_put(client_context, to, s);
}

static void a_session_is_not_resumed_under_another_name(void **state) {
    (void)state;
    mg_ticket_ring_begin(&ring);
    trust_anybody();
    serve_files(1, (const char *const[]){"good"});
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(client_context->ssl, version);
        assert_false(resumes("good.test"));
        take_session_over("good.test", "x.wild.test");
        assert_false(resumes("x.wild.test"));
        assert_true(resumes("x.wild.test"));
    }
}

// --- clients ---

static void names_add(void *arg, mg_str name) {
    mg_buf_append_str(arg, name);
    mg_buf_append_char(arg, ' ');
}

static void serve_clients(unsigned client_auth) {
    static char ca[200];
    static char cert[200];
    static char key[200];
    static mg_tls_files files;
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(cert, sizeof cert, "%s/good.pem", folder);
    snprintf(key, sizeof key, "%s/good.key", folder);
    files = (mg_tls_files){cert, key};
    serve(&(mg_tls_settings){
        .files = &files, .file_count = 1, .client = client_auth, .client_ca = ca});
}

static void a_client_that_shows_a_good_certificate_is_told_of(void **state) {
    (void)state;
    mg_ticket_ring_begin(&ring);
    client_context = client_of(&(mg_tls_client_options){
        .insecure = true, .chain_file = path_of("many.pem"), .key_file = path_of("many.key")});
    serve_clients(MG_TLS_CLIENT_REQUIRE);
    for (int i = 0; i < 2; i++) {
        mg_tls_facts facts;
        mg_tls_client c = {.not_after = 0};
        mg_buf names = {0};
        shake_hands("good.test");
        mg_stream_read_start(&client.w.s);
        for (int j = 0; j < 20; j++) {
            mg_loop_turn(loop, false, false, 0);
        }
        mg_tls_facts_of(&server.w.s, &facts);
        assert_string_equal(facts.version, "TLSv1.3");
        assert_string_equal(facts.cipher, "TLS_AES_128_GCM_SHA256");
        assert_text("good.test", facts.server_name);
        assert_int_equal(facts.alpn.n, 0);
        assert_int_equal(facts.resumed, i == 1);
        assert_true(facts.has_client);
        assert_true(mg_tls_client_facts(&server.w.s, &c, names_add, &names));
        assert_text("CN=someone", mg_buf_str(&c.subject));
        assert_int_equal(c.fingerprint.n, 64);
        assert_true(c.not_after > time(NULL) + 29 * 86400);
        assert_text("a b x@y.z c d e f g ", mg_buf_str(&names));
        mg_buf_deinit(&c.subject);
        mg_buf_deinit(&c.fingerprint);
        mg_buf_deinit(&names);
        close_both_sides();
    }
    // Not where clients are asked for something else.
    serve_clients(MG_TLS_CLIENT_REQUEST);
    assert_false(resumes("good.test"));
}

static void a_client_without_a_certificate(void **state) {
    (void)state;
    mg_tls_facts facts;
    client_context = client_of(&(mg_tls_client_options){.insecure = true, .alpn = "http/1.1"});
    serve_clients(MG_TLS_CLIENT_REQUEST);
    shake_hands("good.test");
    mg_tls_facts_of(&server.w.s, &facts);
    assert_false(facts.has_client);
    assert_false(mg_tls_client_facts(&server.w.s, NULL, names_add, NULL));
    close_both_sides();
    serve_clients(MG_TLS_CLIENT_REQUIRE);
    open_both("good.test");
    turn_until(loop, &server.readies, 1);
    assert_true(server.status < 0);
    assert_non_null(strstr(server.text, "peer did not return a certificate"));
}

static void a_certificate_of_strangers_is_refused(void **state) {
    (void)state;
    client_context = client_of(&(mg_tls_client_options){.insecure = true,
                                                        .chain_file = path_of("strange.pem"),
                                                        .key_file = path_of("strange.key")});
    serve_clients(MG_TLS_CLIENT_REQUEST);
    open_both("good.test");
    turn_until(loop, &server.readies, 1);
    assert_true(server.status < 0);
}

// --- turns ---

static void a_crowd_shakes_hands_in_several_turns(void **state) {
    (void)state;
    enum { CROWD = 100 };
    static side crowd[CROWD];
    static char hello[4096];
    int fds[2];
    trust_anybody();
    serve_files(1, (const char *const[]){"good"});
    // What a client says first.
    connected_pair(fds);
    open_client(fds[0], "good.test");
    for (int i = 0; i < 3; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    ssize_t n = read(fds[1], hello, sizeof hello);
    assert_true(n > 0);
    int ends[CROWD];
    for (int i = 0; i < CROWD; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        assert_int_equal(write(pair[0], hello, (size_t)n), n);
        ends[i] = pair[0];
        mg_tls_opening o = opening(pair[1], server_context);
        mg_tls_accept(&crowd[i].w.s, &o);
    }
    int answered = 0;
    for (int turns = 0; answered < CROWD; turns++) {
        int before = answered;
        assert_true(turns < 1000);
        mg_loop_turn(loop, false, false, 0);
        answered = 0;
        for (int i = 0; i < CROWD; i++) {
            char byte;
            answered += recv(ends[i], &byte, 1, MSG_PEEK) == 1;
        }
        assert_true(answered - before <= 32);
    }
    assert_int_equal(loop->shakes_waiting, 0);
    for (int i = 0; i < CROWD; i++) {
        close_side(&crowd[i]);
        close(ends[i]);
    }
    close(fds[1]);
}

static void who_leaves_while_waiting_is_not_waited_for(void **state) {
    (void)state;
    trust_anybody();
    serve_files(1, (const char *const[]){"good"});
    loop->shakes = UINT32_MAX - 1; // this turn is full
    int fds[2];
    connected_pair(fds);
    open_server(fds[1]);
    assert_int_equal(write(fds[0], "\x16\x03\x01", 3), 3);
    mg_loop_turn(loop, false, false, 0);
    assert_int_equal(loop->shakes_waiting, 1);
    close_side(&server);
    assert_int_equal(loop->shakes_waiting, 0);
    close(fds[0]);
}

// --- plain text ---

static void who_speaks_text_is_answered_in_text(void **state) {
    (void)state;
    int fds[2];
    char got[100] = {0};
    serve_files(1, (const char *const[]){"good"});
    connected_pair(fds);
    mg_tls_opening o = opening(fds[1], server_context);
    o.plain = MG_STR("speak TLS");
    mg_tls_accept(&server.w.s, &o);
    mg_stream_read_start(&server.w.s);
    assert_int_equal(write(fds[0], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    turn_until(loop, &server.readies, 1);
    assert_int_equal(server.status, MG_ESYNTAX);
    assert_int_equal(read(fds[0], got, sizeof got), 9);
    assert_string_equal(got, "speak TLS");
    // Its end is told, what it goes on to send is not.
    assert_int_equal(write(fds[0], "more", 4), 4);
    close(fds[0]);
    turn_until(loop, &server.w.ends, 1);
    assert_int_equal(server.w.got.n, 0);
}

static void a_throwaway_certificate_is_for_localhost(void **state) {
    (void)state;
    mg_buf pem = {0};
    mg_error err;
    assert_int_equal(mg_tls_throwaway(&pem, &err), MG_OK);
    serve(&(mg_tls_settings){.throwaway = mg_buf_str(&pem)});
    client_context =
        client_of(&(mg_tls_client_options){.ca_file = "memory", .ca_text = mg_buf_str(&pem)});
    shake_hands("localhost");
    close_both_sides();
    shake_hands("127.0.0.1");
    close_both_sides();
    mg_buf_deinit(&pem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(each_name_is_shown_its_own_certificate),
        EACH(a_client_without_a_name_gets_the_first),
        EACH(who_connects_later_finds_other_certificates),
        EACH(requests_come_where_their_name_is_at_home),
        EACH(sessions_come_back_to_other_workers_and_certificates),
        EACH(a_session_is_not_resumed_under_another_name),
        EACH(a_client_that_shows_a_good_certificate_is_told_of),
        EACH(a_client_without_a_certificate),
        EACH(a_certificate_of_strangers_is_refused),
        EACH(a_crowd_shakes_hands_in_several_turns),
        EACH(who_leaves_while_waiting_is_not_waited_for),
        EACH(who_speaks_text_is_answered_in_text),
        EACH(a_throwaway_certificate_is_for_localhost),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
