// What comes behind a response in records of its own.
#include "rig.h"
#include "tls_server.h"

#include "event/tls.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

typedef struct secure_peer {
    mg_stream s;
    mg_buf got;
    bool closed;
} secure_peer;

static mg_tls_context *keys;
static secure_peer secure[2];

static void make_keys(void) {
    char path[] = "/tmp/moongate-key-XXXXXX";
    X509 *c = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    mg_error err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    X509_gmtime_adj(X509_getm_notBefore(c), 0);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400);
    X509_set_pubkey(c, key);
    assert_true(X509_sign(c, key, EVP_sha256()) > 0);
    PEM_write_X509(f, c);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(c);
    EVP_PKEY_free(key);
    assert_int_equal(server_of_files(&keys, path, path, "http/1.1", &err), MG_OK);
    unlink(path);
}

static void on_secure_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, secure_peer, s)->got, data, n);
}

static void on_secure_closed(mg_stream *s) {
    MG_OF(s, secure_peer, s)->closed = true;
}

static void on_secure_ready(mg_stream *s, int status, const char *text) {
    (void)text;
    assert_int_equal(status, 0);
    mg_stream_read_start(s);
}

static const mg_stream_events secure_events = {on_secure_read, on_peer_end, on_peer_drain,
                                               on_secure_closed};

// The next connection at `listening`, once a request is there.
static void serve(int i, int listening) {
    int fd;
    while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        mg_loop_turn(loop, false, false, 0);
    }
    mg_tls_accept(&secure[i].s, &(mg_tls_opening){.loop = loop,
                                                  .context = keys,
                                                  .fd = fd,
                                                  .events = &secure_events,
                                                  .on_ready = on_secure_ready});
    UNTIL(secure[i].got.n > 0);
}

static void answer(int i, const char *text) {
    const struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    assert_int_equal(mg_stream_write(&secure[i].s, &v, 1), 0);
}

static void a_record_behind_a_response_is_not_the_next_response(void **state) {
    (void)state;
    mg_address a;
    mg_error err;
    caller first;
    caller second;
    make_keys();
    assert_int_equal(mg_address_parse("127.0.0.1:0", &a, &err), 0);
    int listening = mg_listen_socket(&a, false, &err);
    assert_int_equal(mg_address_of_socket(listening, &a), 0);
    prepare(&first, "GET", "/first");
    first.origin.port = ntohs(((const struct sockaddr_in *)&a.sa)->sin_port);
    first.origin.tls = first.origin.insecure = true;
    prepare(&second, "GET", "/second");
    second.origin = first.origin;
    first.then = &second; // on the same connection, as soon as it is free
    start_call(&first);
    serve(0, listening);
    answer(0, OK_EMPTY);
    answer(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
    serve(1, listening);
    answer(1, OK_HI);
    expect_content(&first, 200, "");
    expect_content(&second, 200, "hi");
    for (int i = 0; i < 2; i++) {
        mg_stream_close(&secure[i].s, false);
        UNTIL(secure[i].closed);
        mg_buf_deinit(&secure[i].got);
    }
    close(listening);
    mg_tls_unref(keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_record_behind_a_response_is_not_the_next_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
