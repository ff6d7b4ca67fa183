#include "event/tls.h"

#include "event/tls_inside.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdint.h>

// One end of a TLS connection.
typedef struct side {
    wire w;
    int readies;
    int status;
    char text[1024];
    bool close_in_ready;
    bool read_in_ready;
} side;

typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
} identity;

static char *folder;
static mg_loop *loop;
static mg_tls_context *client_context;
static mg_tls_context *server_context;
static side client;
static side server;
static bool over_tcp;

// --- certificates ---

static const char *path_of(const char *name) {
    static char paths[4][160];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void add_extension(X509 *c, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, c, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(e);
    X509_add_ext(c, e, -1);
    X509_EXTENSION_free(e);
}

static identity new_identity(const char *name, const char *alt, const identity *issuer, long days) {
    identity id = {X509_new(), EVP_EC_gen("P-256")};
    static long serial = 1;
    X509_set_version(id.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -30 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), days * 86400L);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(
        id.certificate,
        X509_get_subject_name(issuer == NULL ? id.certificate : issuer->certificate));
    X509_set_pubkey(id.certificate, id.key);
    add_extension(id.certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (alt != NULL) {
        add_extension(id.certificate, NID_subject_alt_name, alt);
    }
    assert_true(X509_sign(id.certificate, issuer == NULL ? id.key : issuer->key, EVP_sha256()) > 0);
    return id;
}

static void save(const identity *id, const char *chain_name, const char *key_name) {
    FILE *f = fopen(path_of(chain_name), "w");
    PEM_write_X509(f, id->certificate);
    fclose(f);
    if (key_name != NULL) {
        f = fopen(path_of(key_name), "w");
        PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
        fclose(f);
    }
}

static void drop_identity(identity *id) {
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

static void make(const char *name, const char *alt, const identity *issuer, long days) {
    char chain[64];
    char key[64];
    identity id = new_identity("someone", alt, issuer, days);
    snprintf(chain, sizeof chain, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    save(&id, chain, key);
    drop_identity(&id);
}

static int make_certificates(void **state) {
    (void)state;
    folder = new_folder();
    identity ca = new_identity("Test CA", NULL, NULL, 30);
    identity stranger = new_identity("Strange CA", NULL, NULL, 30);
    save(&ca, "ca.pem", NULL);
    make("good", "DNS:good.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1", &ca, 30);
    make("expired", "DNS:good.test", &ca, -1);
    make("strange", "DNS:good.test", &stranger, 30);
    make("many", "DNS:a,DNS:b,email:x@y.z,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g", &ca, 30);
    make("nameless", NULL, &ca, 30);
    char hashed[32];
    snprintf(hashed, sizeof hashed, "%08lx.0", X509_subject_name_hash(ca.certificate));
    save(&ca, hashed, NULL);
    FILE *f = fopen(path_of("locked.key"), "w");
    PEM_write_PrivateKey(f, ca.key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL,
                         NULL);
    fclose(f);
    drop_identity(&ca);
    drop_identity(&stranger);
    return 0;
}

static int remove_certificates(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

// --- connections ---

static side *side_of(mg_stream *s) {
    return MG_OF(wire_of(s), side, w);
}

static void on_ready(mg_stream *s, int status, const char *text) {
    side *x = side_of(s);
    x->readies++;
    x->status = status;
    snprintf(x->text, sizeof x->text, "%s", text);
    if (x->read_in_ready) {
        assert_int_equal(mg_stream_read_start(s), 0);
        assert_int_equal(x->w.got.n, 0);
    }
    if (x->close_in_ready) {
        mg_stream_close(s, false);
    }
}

static mg_tls_context *client_of(const mg_tls_client_options *options) {
    mg_tls_context *c = NULL;
    mg_error err = {""};
    int rc = mg_tls_client_new(&c, options, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static mg_tls_context *server_of(const char *name, const char *alpn) {
    char chain[64];
    char key[64];
    mg_tls_context *c = NULL;
    mg_error err = {""};
    snprintf(chain, sizeof chain, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (mg_tls_server_new(&c, path_of(chain), path_of(key), alpn, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static int set_up(void **state) {
    (void)state;
    alarm(60);
    loop = new_loop(false);
    client = (side){.readies = 0};
    server = (side){.readies = 0};
    client_context = NULL;
    server_context = NULL;
    over_tcp = false;
    return 0;
}

static int set_up_tcp(void **state) {
    set_up(state);
    over_tcp = true;
    return 0;
}

static void close_side(side *x) {
    if (x->w.s.ops != NULL) {
        mg_stream_close(&x->w.s, false);
        turn_until(loop, &x->w.closes, 1);
        assert_int_equal(x->w.closes, 1);
        mg_buf_deinit(&x->w.got);
    }
    *x = (side){.readies = 0};
}

static int tear_down(void **state) {
    (void)state;
    close_side(&client);
    close_side(&server);
    mg_tls_unref(client_context);
    mg_tls_unref(server_context);
    return mg_loop_free(loop);
}

static void contexts(const char *server_name) {
    client_context = client_of(&(mg_tls_client_options){.ca_file = path_of("ca.pem")});
    server_context = server_of(server_name, NULL);
}

static void open_client(int fd, const char *host) {
    assert_int_equal(mg_tls_connect(&client.w.s, loop, fd, !over_tcp, client_context, host,
                                    &wire_events, on_ready),
                     0);
}

static void open_server(int fd) {
    assert_int_equal(
        mg_tls_accept(&server.w.s, loop, fd, !over_tcp, server_context, &wire_events, on_ready), 0);
}

static void connected_pair(int *fds) {
    if (!over_tcp) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        return;
    }
    mg_address a = {.sa_len = sizeof a.sa};
    int listener = listen_on("127.0.0.1:0");
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a.sa, &a.sa_len), 0);
    fds[0] = dial(&a);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    do {
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fds[1] < 0 && errno == EAGAIN);
    assert_true(fds[1] >= 0);
    close(listener);
}

static void open_both(const char *host) {
    int fds[2];
    connected_pair(fds);
    open_client(fds[0], host);
    open_server(fds[1]);
    assert_int_equal(client.readies + server.readies, 0);
}

static void shake_hands(const char *host) {
    open_both(host);
    turn_until(loop, &client.readies, 1);
    turn_until(loop, &server.readies, 1);
    if (client.status != 0) {
        fail_msg("%s", client.text);
    }
    assert_int_equal(server.status, 0);
}

static void connect_well(void) {
    contexts("good");
    shake_hands("good.test");
}

static void read_both(void) {
    assert_int_equal(mg_stream_read_start(&client.w.s), 0);
    assert_int_equal(mg_stream_read_start(&server.w.s), 0);
}

// A client whose peer is a raw socket.
static int open_to_raw(void) {
    int fds[2];
    contexts("good");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    open_client(fds[0], "good.test");
    return fds[1];
}

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

// Enough that no kernel buffer takes it whole.
enum { MUCH = 8 * 1024 * 1024 };

static char *much(void) {
    char *data = malloc(MUCH);
    for (int i = 0; i < MUCH; i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    return data;
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
    assert_client_refuses("good.test", "is for someone, not for good.test");
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
    assert_true(mg_tls_server_new(&c, "/no/chain", "/no/key", NULL, &err) < 0);
    assert_non_null(strstr(err.text, "/no/chain"));
    assert_true(mg_tls_server_new(&c, path_of("good.pem"), path_of("expired.key"), NULL, &err) < 0);
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
    assert_int_equal(mg_tls_server_new(&c, path_of("good.pem"), path_of("locked.key"), NULL, &err),
                     MG_ECONFIG);
    assert_non_null(strstr(err.text, "locked.key"));
    assert_non_null(strstr(err.text, "without a password"));
}

static void what_is_no_host_is_refused(void **state) {
    (void)state;
    contexts("good");
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    mg_stream s;
    assert_int_equal(
        mg_tls_connect(&s, loop, fds[0], true, client_context, "", &wire_events, on_ready),
        -EINVAL);
    char byte;
    assert_int_equal(read(fds[1], &byte, 1), 0);
    close(fds[1]);
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

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#define EACH_TCP(f)                                                                                \
    { #f " over TCP", f, set_up_tcp, tear_down, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_good_certificate_is_accepted_and_bytes_go_both_ways),
        EACH(names_are_verified),
        EACH(a_wrong_name_is_refused_and_both_are_named),
        EACH(of_many_names_some_are_named),
        EACH(a_wrong_address_is_refused),
        EACH(a_certificate_without_names_is_good_for_none_of_them),
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
        EACH_TCP(a_good_certificate_is_accepted_and_bytes_go_both_ways),
        EACH_TCP(a_wrong_name_is_refused_and_both_are_named),
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
