#include "event/connect.h"

#include "dns_server.h"
#include "tls_certificates.h"
#include "tls_server.h"

#include "event/descriptors.h"
#include "event/tls_inside.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/stat.h>

enum { LIMIT_MS = 2000, FILLERS = 4 };

static mg_loop *loop;
static mg_dns *dns;
static mg_tls_cache *tls;
static mg_connect *op;
static int listener;
static int fillers[FILLERS];
static int fds_before;
static uint32_t open_before;
static char fifo[160]; // that a thread reads; empty: none

// The end that connects, and the other one.
static wire ours;
static wire theirs;
static mg_tls_context *their_keys;
static int their_readies, their_status;

static int done;
static char code[16];
static char text[1024];
static bool close_in_done;

// --- the rules ---

static const char *denied; // an IPv4 address, or "" for all
static int judged;

static bool allows(void *arg, const struct sockaddr_storage *address,
                   char why[MG_CONNECT_WHY_BYTES]) {
    assert_ptr_equal(arg, &op);
    judged++;
    char shown[INET_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, shown, sizeof shown);
        assert_int_not_equal(in->sin_port, 0);
    }
    if (denied == NULL || (denied[0] != '\0' && strcmp(denied, shown) != 0)) {
        return true;
    }
    snprintf(why, MG_CONNECT_WHY_BYTES, "not to %s", shown);
    return false;
}

// --- connecting ---

static void on_done(void *arg, const mg_connect_fault *fault) {
    assert_ptr_equal(arg, &op);
    op = NULL;
    done++;
    snprintf(code, sizeof code, "%s", fault != NULL ? fault->code : "");
    snprintf(text, sizeof text, "%s", fault != NULL ? fault->text : "");
    if (close_in_done) {
        mg_stream_close(&ours.s, false);
    }
}

static mg_connect_options options(const char *host) {
    return (mg_connect_options){.loop = loop,
                                .dns = dns,
                                .host = host,
                                .timeout_ms = LIMIT_MS,
                                .allows = allows,
                                .on_done = on_done,
                                .arg = &op,
                                .stream = &ours.s,
                                .events = &wire_events};
}

static uint16_t port_of(int fd) {
    struct sockaddr_in6 a;
    socklen_t n = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin6_port);
}

static void listen_at(const char *address) {
    close(listener);
    listener = listen_on(address);
}

// To the listener, or what else the options name.
static void start(mg_connect_options o) {
    int was = done;
    if (o.port == 0 && o.unix_path == NULL) {
        o.port = port_of(listener);
    }
    op = mg_connect_start(&o);
    assert_non_null(op);
    assert_int_equal(done, was); // never inside
}

static void start_tls(mg_connect_options o) {
    o.tls = tls;
    start(o);
}

// The clock stands still: who waits for a timer waits for ever.
static void turn_still(void) {
    mg_loop_turn(loop, true, false, UINT64_MAX);
}

static void until_done(void) {
    while (op != NULL) {
        turn_still();
    }
}

static void expect_fault(const char *expected_code, const char *part) {
    until_done();
    assert_int_equal(done, 1);
    assert_string_equal(code, expected_code);
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" says nothing of \"%s\"", text, part);
    }
    assert_null(ours.s.ops); // untouched
    turn_times(loop, 3);
    assert_int_equal(done, 1);
    assert_int_equal(mg_descriptors_open(loop), open_before);
}

// --- the other end ---

static int accepted(void) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        turn_times(loop, 1);
    }
    return fd;
}

static void assert_nobody_came(void) {
    turn_times(loop, 3);
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), -1);
}

static void on_their_ready(mg_stream *s, int status, const char *why) {
    (void)why;
    their_readies++;
    their_status = status;
    if (status == MG_OK) {
        assert_int_equal(mg_stream_read_start(s), 0);
    }
}

static void show_keys(const char *name, const char *alpn) {
    char chain[64], key[64];
    mg_error err;
    snprintf(chain, sizeof chain, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    mg_tls_unref(their_keys);
    assert_int_equal(server_of_files(&their_keys, path_of(chain), path_of(key), alpn, &err), 0);
}

static void accept_tls(bool is_unix) {
    mg_tls_accept(&theirs.s, &(mg_tls_opening){.loop = loop,
                                               .context = their_keys,
                                               .fd = accepted(),
                                               .is_unix = is_unix,
                                               .events = &wire_events,
                                               .on_ready = on_their_ready});
}

// Bytes pass both ways.
static void expect_open(void) {
    until_done();
    assert_string_equal(text, "");
    assert_int_equal(done, 1);
    if (theirs.s.ops == NULL) {
        mg_stream_uv_open(loop, &theirs.s, &wire_events, accepted(), false);
        assert_int_equal(mg_stream_read_start(&theirs.s), 0);
    }
    while (their_keys != NULL && their_readies == 0) {
        turn_still();
    }
    theirs.echo = true;
    assert_int_equal(mg_stream_read_start(&ours.s), 0);
    assert_int_equal(wire_send(&ours, "there and back", 14), 0);
    while (ours.got.n < 14) {
        turn_still();
    }
    assert_memory_equal(ours.got.p, "there and back", 14);
    assert_int_equal(mg_descriptors_open(loop), open_before + 2);
}

// --- life ---

static void write_file(const char *path, const char *content) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void open_services(void) {
    char nameservers[64], resolv_conf[160], hosts[160];
    snprintf(nameservers, sizeof nameservers, "127.0.0.1:%d", server.port);
    snprintf(resolv_conf, sizeof resolv_conf, "%s", path_of("resolv.conf"));
    snprintf(hosts, sizeof hosts, "%s", path_of("hosts"));
    write_file(resolv_conf, "nameserver 127.0.0.1\n");
    write_file(hosts, "127.0.0.2 pair.test\n127.0.0.1 pair.test\n127.0.0.1 good.test\n");
    const mg_dns_options o = {.nameservers = nameservers,
                              .resolv_conf = resolv_conf,
                              .hosts = hosts,
                              .timeout_ms = 60000};
    assert_int_equal(mg_dns_new(&dns, loop, &o), 0);
    tls = mg_tls_cache_new(loop, path_of("ca.pem"), (mg_str){0});
}

static int set_up(void **state) {
    (void)state;
    alarm(60);
    fds_before = open_fds();
    loop = new_loop(true);
    server_open(loop);
    open_services();
    op = NULL;
    ours = theirs = (wire){.ends = 0};
    their_keys = NULL;
    their_readies = their_status = done = judged = fickle_answers = 0;
    code[0] = text[0] = fifo[0] = '\0';
    close_in_done = false;
    denied = NULL;
    listener = listen_on("127.0.0.1:0");
    memset(fillers, -1, sizeof fillers);
    open_before = mg_descriptors_open(loop);
    return 0;
}

static void close_wire(wire *w) {
    if (w->s.ops != NULL) {
        wire_close(loop, w);
    }
}

static int tear_down(void **state) {
    (void)state;
    close_wire(&ours);
    close_wire(&theirs);
    mg_tls_unref(their_keys);
    mg_tls_cache_free(tls);
    mg_dns_free(dns);
    dns = NULL;
    server_close();
    close(listener);
    for (int i = 0; i < FILLERS; i++) {
        close(fillers[i]);
    }
    int leaked = mg_loop_free(loop);
    return leaked + open_fds() - fds_before;
}

// --- what succeeds ---

static void a_literal_is_dialled(void **state) {
    (void)state;
    start(options("127.0.0.1"));
    expect_open();
    assert_int_equal(server.questions, 0);
    assert_int_equal(judged, 1);
    assert_int_equal(mg_tls_alpn(&ours.s).n, 0);
}

static void so_is_one_of_ipv6(void **state) {
    (void)state;
    listen_at("[::1]:0");
    start(options("::1"));
    expect_open();
    struct sockaddr_storage a;
    assert_int_equal(mg_stream_peer(&ours.s, &a), 0);
    assert_int_equal(a.ss_family, AF_INET6);
}

static void a_name_is_looked_up(void **state) {
    (void)state;
    start(options("here.test"));
    expect_open();
    assert_int_equal(server.questions, 2);
}

static void a_unix_socket_needs_no_name(void **state) {
    (void)state;
    char path[160], address[168];
    snprintf(path, sizeof path, "%s", path_of("s"));
    snprintf(address, sizeof address, "unix:%s", path);
    listen_at(address);
    mg_connect_options o = options(NULL);
    o.unix_path = path;
    start(o);
    assert_int_equal(mg_descriptors_open(loop), open_before + 1);
    expect_open();
    struct sockaddr_storage a;
    assert_int_equal(mg_stream_peer(&ours.s, &a), 0);
    assert_int_equal(a.ss_family, AF_UNIX);
    unlink(path);
}

static void tls_and_its_protocol_are_agreed_upon(void **state) {
    (void)state;
    show_keys("good", "h2");
    mg_connect_options o = options("good.test");
    o.demands.alpn = "http/1.1,h2";
    start_tls(o);
    accept_tls(false);
    expect_open();
    mg_str chosen = mg_tls_alpn(&ours.s);
    assert_int_equal(chosen.n, 2);
    assert_memory_equal(chosen.p, "h2", 2);
}

static void what_the_server_says_at_once_waits_for_a_reader(void **state) {
    (void)state;
    show_keys("good", NULL);
    start_tls(options("127.0.0.1"));
    accept_tls(false);
    until_done();
    while (their_readies == 0) {
        turn_still();
    }
    assert_int_equal(wire_send(&theirs, "hello", 5), 0);
    turn_times(loop, 5);
    assert_int_equal(ours.got.n, 0);
    assert_int_equal(mg_stream_read_start(&ours.s), 0);
    while (ours.got.n < 5) {
        turn_still();
    }
    wire_close(loop, &theirs);
    theirs.s.ops = NULL;
    while (ours.ends == 0) {
        turn_still();
    }
    assert_int_equal(ours.end_status, 0);
}

static void tls_runs_over_a_unix_socket_too(void **state) {
    (void)state;
    char path[160], address[168];
    snprintf(path, sizeof path, "%s", path_of("s"));
    snprintf(address, sizeof address, "unix:%s", path);
    listen_at(address);
    show_keys("good", NULL);
    mg_connect_options o = options(NULL);
    o.unix_path = path;
    o.server_name = "x.wild.test";
    start_tls(o);
    accept_tls(true);
    expect_open();
    unlink(path);
}

static void a_certificate_is_shown_to_a_server_that_asks(void **state) {
    (void)state;
    char chain[160], key[160];
    snprintf(chain, sizeof chain, "%s", path_of("good.pem"));
    snprintf(key, sizeof key, "%s", path_of("good.key"));
    show_keys("good", NULL);
    SSL_CTX_load_verify_file(their_keys->ssl, path_of("ca.pem"));
    SSL_CTX_set_verify(their_keys->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    mg_connect_options o = options("good.test");
    o.demands.cert = chain;
    o.demands.key = key;
    start_tls(o);
    accept_tls(false);
    expect_open();
    assert_int_equal(their_status, 0);
}

static void the_stream_may_be_closed_at_once(void **state) {
    (void)state;
    close_in_done = true;
    start(options("127.0.0.1"));
    until_done();
    turn_until(loop, &ours.closes, 1);
    ours.s.ops = NULL;
    show_keys("good", NULL);
    start_tls(options("127.0.0.1"));
    close(accepted()); // the first
    accept_tls(false);
    until_done();
    assert_string_equal(code, "");
    turn_until(loop, &ours.closes, 2);
    ours.s.ops = NULL;
}

// --- what may be dialled ---

static void a_denied_address_is_not_dialled(void **state) {
    (void)state;
    denied = "";
    start(options("here.test"));
    expect_fault("denied", "not to 127.0.0.1");
    assert_nobody_came();
}

static void nor_is_a_unix_socket(void **state) {
    (void)state;
    denied = "";
    mg_connect_options o = options(NULL);
    o.unix_path = "/nowhere/socket";
    start(o);
    expect_fault("denied", "not to");
}

static void of_several_addresses_the_allowed_ones_are_dialled(void **state) {
    (void)state;
    denied = "127.0.0.2"; // which stands first, and where nobody listens
    start(options("pair.test"));
    expect_open();
    assert_int_equal(judged, 2);
}

// What was judged is what is dialled, and the next time it is judged anew.
static void a_name_that_changes_its_mind_leads_nowhere_else(void **state) {
    (void)state;
    denied = "127.0.0.2";
    start(options("fickle.test"));
    expect_open();
    assert_int_equal(fickle_answers, 1);
    close_wire(&ours);
    close_wire(&theirs);
    ours = theirs = (wire){.ends = 0};
    done = 0;
    start(options("fickle.test"));
    expect_fault("denied", "not to 127.0.0.2");
    assert_int_equal(fickle_answers, 2);
    assert_nobody_came();
}

// --- what fails ---

static void a_missing_name_is_a_fault_of_dns(void **state) {
    (void)state;
    start(options("missing.test"));
    expect_fault("dns", "no such host: missing.test");
}

static void what_is_no_name_is_one_too(void **state) {
    (void)state;
    start(options("no name"));
    expect_fault("dns", "that is no host name");
}

static void a_port_where_nobody_listens_refuses(void **state) {
    (void)state;
    uint16_t port = port_of(listener);
    close(listener);
    listener = -1;
    mg_connect_options o = options("127.0.0.1");
    o.port = port;
    start(o);
    expect_fault("connect", mg_strerror(-ECONNREFUSED));
}

static void a_path_that_is_too_long_is_refused(void **state) {
    (void)state;
    char path[200];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    mg_connect_options o = options(NULL);
    o.unix_path = path;
    start(o);
    expect_fault("connect", mg_strerror(-ENAMETOOLONG));
}

static void a_certificate_for_another_name_is_refused(void **state) {
    (void)state;
    show_keys("good", NULL);
    mg_connect_options o = options("good.test");
    o.server_name = "other.test";
    start_tls(o);
    accept_tls(false);
    until_done();
    close_wire(&theirs);
    theirs.s.ops = NULL;
    expect_fault("tls", "not for other.test");
}

static void a_stranger_s_certificate_is_refused(void **state) {
    (void)state;
    show_keys("strange", NULL);
    start_tls(options("good.test"));
    accept_tls(false);
    until_done();
    close_wire(&theirs);
    theirs.s.ops = NULL;
    expect_fault("tls", "the certificate of good.test is not accepted");
}

static void certificates_that_cannot_be_read_are_named(void **state) {
    (void)state;
    mg_connect_options o = options("127.0.0.1");
    o.demands.ca = "/nowhere/ca.pem";
    start_tls(o);
    expect_fault("tls", "/nowhere/ca.pem");
}

static void what_is_no_name_for_tls_is_a_fault_of_tls(void **state) {
    (void)state;
    mg_connect_options o = options("127.0.0.1");
    o.server_name = ".test";
    start_tls(o);
    expect_fault("tls", "no name of a host");
}

static void a_server_that_leaves_fails_the_handshake(void **state) {
    (void)state;
    start_tls(options("good.test"));
    close(accepted());
    expect_fault("tls", "good.test");
}

// --- every phase: the deadline, and a cancellation ---

static void to_lookup(void) {
    start(options("silent.test"));
    turn_times(loop, 3);
}

static void to_lookup_of_a_unix_socket(void) {
    mg_connect_options o = options(NULL);
    o.unix_path = "/nowhere/socket";
    start(o);
}

static void to_dial(void) {
    close(listener);
    listener = listen_silently(fillers, FILLERS);
    start(options("127.0.0.1"));
    turn_times(loop, 5);
}

// A store of certificates that takes its time.
static void to_context(void) {
    snprintf(fifo, sizeof fifo, "%s", path_of("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    mg_connect_options o = options("127.0.0.1");
    o.demands.ca = fifo;
    start_tls(o);
    while (strcmp(mg_connect_doing(op), "the TLS handshake") != 0) {
        turn_times(loop, 1);
    }
}

// The kernel accepts, and nobody answers.
static void to_handshake(void) {
    start_tls(options("127.0.0.1"));
    int fd = accepted();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 0) == 0) { // the client has spoken
        turn_times(loop, 1);
    }
    fillers[0] = fd;
}

// Lets the thread go on, which the loop waits for at its end.
static void release_reader(void) {
    if (fifo[0] != '\0') {
        close(open(fifo, O_WRONLY | O_CLOEXEC));
        unlink(fifo);
    }
}

typedef struct phase_case {
    void (*go)(void);
    const char *doing;
} phase_case;

static const phase_case in_lookup = {to_lookup, "looking its name up"};
static const phase_case in_unix = {to_lookup_of_a_unix_socket, "looking its name up"};
static const phase_case in_dial = {to_dial, "connecting"};
static const phase_case in_context = {to_context, "the TLS handshake"};
static const phase_case in_handshake = {to_handshake, "the TLS handshake"};

static void go(const phase_case *p) {
    p->go();
    assert_non_null(op);
    assert_int_equal(done, 0);
    assert_string_equal(mg_connect_doing(op), p->doing);
    if (p != &in_lookup) { // c-ares has sockets of its own
        assert_int_equal(mg_descriptors_open(loop), open_before + 1);
    }
}

static void the_deadline_ends_it(void **state) {
    const phase_case *p = *state;
    go(p);
    mg_loop_set_now(loop, LIMIT_MS - 1);
    turn_times(loop, 3);
    assert_int_equal(done, 0);
    mg_loop_set_now(loop, LIMIT_MS);
    until_done();
    assert_int_equal(done, 1);
    assert_string_equal(code, "timeout");
    char expected[64];
    snprintf(expected, sizeof expected, "%s took longer than 2 s", p->doing);
    assert_string_equal(text, expected);
    release_reader();
    assert_null(ours.s.ops);
}

static void cancelled_it_is_silent(void **state) {
    const phase_case *p = *state;
    go(p);
    uint32_t open = mg_descriptors_open(loop);
    mg_connect_cancel(op);
    op = NULL;
    assert_int_equal(mg_descriptors_open(loop), open - 1);
    release_reader();
    mg_loop_set_now(loop, 2 * LIMIT_MS);
    turn_times(loop, 5);
    assert_int_equal(done, 0);
    assert_null(ours.s.ops);
}

static void without_a_limit_it_goes_on(void **state) {
    (void)state;
    close(listener);
    listener = listen_silently(fillers, FILLERS);
    mg_connect_options o = options("127.0.0.1");
    o.timeout_ms = 0;
    start(o);
    turn_times(loop, 3);
    mg_loop_set_now(loop, 3600 * 1000);
    turn_times(loop, 3);
    assert_int_equal(done, 0);
    mg_connect_cancel(op);
    mg_connect_cancel(NULL);
}

static int set_up_all(void **state) {
    mg_loop_free(new_loop(true)); // libuv has descriptors for the process
    return make_certificates(state);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#define IN(phase, f)                                                                               \
    { #f " " #phase, f, set_up, tear_down, (void *)(uintptr_t) & (phase) }

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_literal_is_dialled),
        EACH(so_is_one_of_ipv6),
        EACH(a_name_is_looked_up),
        EACH(a_unix_socket_needs_no_name),
        EACH(tls_and_its_protocol_are_agreed_upon),
        EACH(what_the_server_says_at_once_waits_for_a_reader),
        EACH(tls_runs_over_a_unix_socket_too),
        EACH(a_certificate_is_shown_to_a_server_that_asks),
        EACH(the_stream_may_be_closed_at_once),
        EACH(a_denied_address_is_not_dialled),
        EACH(nor_is_a_unix_socket),
        EACH(of_several_addresses_the_allowed_ones_are_dialled),
        EACH(a_name_that_changes_its_mind_leads_nowhere_else),
        EACH(a_missing_name_is_a_fault_of_dns),
        EACH(what_is_no_name_is_one_too),
        EACH(a_port_where_nobody_listens_refuses),
        EACH(a_path_that_is_too_long_is_refused),
        EACH(a_certificate_for_another_name_is_refused),
        EACH(a_stranger_s_certificate_is_refused),
        EACH(certificates_that_cannot_be_read_are_named),
        EACH(what_is_no_name_for_tls_is_a_fault_of_tls),
        EACH(a_server_that_leaves_fails_the_handshake),
        IN(in_lookup, the_deadline_ends_it),
        IN(in_dial, the_deadline_ends_it),
        IN(in_context, the_deadline_ends_it),
        IN(in_handshake, the_deadline_ends_it),
        IN(in_unix, cancelled_it_is_silent),
        IN(in_lookup, cancelled_it_is_silent),
        IN(in_dial, cancelled_it_is_silent),
        IN(in_context, cancelled_it_is_silent),
        IN(in_handshake, cancelled_it_is_silent),
        EACH(without_a_limit_it_goes_on),
    };
    return cmocka_run_group_tests(tests, set_up_all, remove_certificates);
}
