#include "server/requester.h"

#include "event/stream_ops.h"
#include "http/forwarded.h"

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

enum { WINDOW = 4096 };

static rig r;
static peer p;
static mg_conn *c;
static mg_trust *trust;
static mg_stream_ops ops; // of a pair, but for the peer's address
static struct sockaddr_storage address;
static int status;

static int told_peer(const mg_stream *s, struct sockaddr_storage *out) {
    (void)s;
    *out = address;
    return status;
}

static int set_up(void **state) {
    (void)state;
    status = 0;
    rig_open(&r);
    r.echo = false;
    c = peer_open(&r, &p, WINDOW);
    const char *networks[] = {"10.0.0.0/8", "unix"};
    mg_error err;
    assert_int_equal(mg_trust_new(&trust, networks, 2, &err), 0);
    const char *fields[] = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"};
    assert_int_equal(mg_trust_heed(trust, fields, 3, &err), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    mg_trust_free(trust);
    return 0;
}

// From now on the peer seems to have that address.
static void come_from(int family, const char *ip, uint16_t port) {
    memset(&address, 0, sizeof address);
    address.ss_family = (sa_family_t)family;
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
    if (family == AF_INET6) {
        in6->sin6_port = htons(port);
        assert_int_equal(inet_pton(family, ip, &in6->sin6_addr), 1);
    } else {
        in->sin_port = htons(port);
        assert_int_equal(inet_pton(family, ip, &in->sin_addr), 1);
    }
    ops = *c->stream.ops;
    ops.peer = told_peer;
    c->stream.ops = &ops;
}

static mg_exchange *ask(const char *fields) {
    char text[256];
    snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: here:81\r\n%s\r\n", fields);
    peer_send(&r, &p, text);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    return x;
}

static void assert_requester(mg_exchange *x, const char *ip, const char *scheme, const char *host) {
    const mg_requester *o = mg_exchange_requester(x);
    assert_text(ip, o->client_ip);
    assert_text(scheme, o->scheme);
    assert_text(host, o->host);
    assert_ptr_equal(mg_exchange_requester(x), o);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

static const char forwarded[] =
    "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: there\r\n";

static void a_local_peer_is_called_unix(void **state) {
    (void)state;
    mg_exchange *x = ask("");
    assert_text("unix", mg_exchange_peer_name(x));
    assert_requester(x, "unix", "http", "here:81");
}

static void a_peer_has_its_address_and_port(void **state) {
    (void)state;
    come_from(AF_INET, "192.0.2.7", 4711);
    mg_exchange *x = ask("");
    assert_text("192.0.2.7:4711", mg_exchange_peer_name(x));
    assert_int_equal(mg_exchange_peer_name(x).p[14], '\0');
    assert_requester(x, "192.0.2.7", "http", "here:81");
    come_from(AF_INET6, "2001:db8::1", 80);
    x = ask("");
    assert_text("[2001:db8::1]:80", mg_exchange_peer_name(x));
    assert_requester(x, "2001:db8::1", "http", "here:81");
}

static void nobody_is_believed_without_a_list(void **state) {
    (void)state;
    assert_requester(ask(forwarded), "unix", "http", "here:81");
}

static void a_stranger_is_not_believed(void **state) {
    (void)state;
    r.server->options.trust = trust;
    come_from(AF_INET, "192.0.2.7", 4711);
    assert_requester(ask(forwarded), "192.0.2.7", "http", "here:81");
}

static void a_trusted_proxy_is_believed(void **state) {
    (void)state;
    r.server->options.trust = trust;
    assert_requester(ask(forwarded), "1.2.3.4", "https", "there");
    come_from(AF_INET, "10.1.2.3", 4711);
    mg_exchange *x = ask("Forwarded: for=6.6.6.6\r\n");
    assert_requester(x, "10.1.2.3", "http", "here:81");
    const char *field = "forwarded";
    assert_int_equal(mg_trust_heed(trust, &field, 1, NULL), 0);
    x = ask("Forwarded: for=\"[2001:db8::9]:5\";proto=https;host=other\r\n");
    assert_text("10.1.2.3:4711", mg_exchange_peer_name(x));
    assert_requester(x, "2001:db8::9", "https", "other");
}

static void a_peer_that_has_gone_does_not_pass_for_a_local_one(void **state) {
    (void)state;
    r.server->options.trust = trust;
    r.server->on_access = NULL; // who is logged is looked up at once
    come_from(AF_INET, "10.1.2.3", 4711);
    mg_exchange *x = ask(forwarded);
    address.ss_family = AF_UNIX; // whatever is left there
    status = -ENOTCONN;
    assert_text("unknown", mg_exchange_peer_name(x));
    assert_requester(x, "unknown", "http", "here:81");
}

static void each_request_has_its_own(void **state) {
    (void)state;
    r.server->options.trust = trust;
    assert_requester(ask("X-Forwarded-For: 1.2.3.4\r\n"), "1.2.3.4", "http", "here:81");
    assert_requester(ask("X-Forwarded-For: 5.6.7.8\r\n"), "5.6.7.8", "http", "here:81");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_local_peer_is_called_unix),
        TEST(a_peer_has_its_address_and_port),
        TEST(nobody_is_believed_without_a_list),
        TEST(a_stranger_is_not_believed),
        TEST(a_trusted_proxy_is_believed),
        TEST(a_peer_that_has_gone_does_not_pass_for_a_local_one),
        TEST(each_request_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
