// A stream whose bytes pass through OpenSSL on their way to and from an inner stream, the socket.
//
// OpenSSL reads from `in` and writes to `out`, memory that this file fills and empties; it never
// sees a descriptor. It decrypts only while the owner reads, one record at a time, so that at most
// one read block waits (`kept`) when the owner pauses, and the socket is not read meanwhile.

#include "event/tls.h"

#include "base/mem.h"
#include "event/loop_inside.h"
#include "event/tls_inside.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    FLUSH_BYTES = 64 * 1024,   // what a long write encrypts before it hands on
    CHATTER_BYTES = 64 * 1024, // unsent answers to a peer that asks but does not read
    // Of clients' handshakes in a turn of the loop: a signature takes up to a millisecond, and who
    // is being served waits meanwhile.
    SHAKES = 32,
    SHAKES_NS = 2 * 1000 * 1000,
};

static int read_start(mg_stream *s);
static void read_stop(mg_stream *s);
static int write_plain(mg_stream *s, const struct iovec *v, int count);
static int shut(mg_stream *s);
static void close_both(mg_stream *s, bool reset);
static int peer(const mg_stream *s, struct sockaddr_storage *out);
static size_t untaken(mg_stream *s);
static int local(const mg_stream *s, struct sockaddr_storage *out);
static mg_loop *loop_of(const mg_stream *s);
static bool quiet(const mg_stream *s);
static bool ending(const mg_stream *s, int *status);
static void on_inner_read(mg_stream *inner, const char *data, size_t n);
static void on_inner_end(mg_stream *inner, int status);
static void on_inner_drain(mg_stream *inner, int status);
static void on_inner_closed(mg_stream *inner);
static void on_later(mg_timer *timer);
static struct mg_tls_stream *new_stream(mg_stream *s, const mg_tls_opening *o);
static int expect_host(struct mg_tls_stream *t, const char *host);
static void start_stream(struct mg_tls_stream *t, const mg_tls_opening *o);
static void free_stream(struct mg_tls_stream *t);
static void feed(struct mg_tls_stream *t, const char *data, size_t n);
static void feed_kept(struct mg_tls_stream *t);
static void pump(struct mg_tls_stream *t);
static void stop_waiting(struct mg_tls_stream *t);
static bool may_shake(struct mg_tls_stream *t);
static void count_shake(const struct mg_tls_stream *t, uint64_t since_ns);
static bool is_text(struct mg_tls_stream *t);
static void answer_text(struct mg_tls_stream *t);
static bool shake_hands(struct mg_tls_stream *t);
static void fail_handshake(struct mg_tls_stream *t);
static void read_plain(struct mg_tls_stream *t);
static void end_reading(struct mg_tls_stream *t, int ssl_error);
static void follow(struct mg_tls_stream *t);
static int encrypt(struct mg_tls_stream *t, const struct iovec *v, int count);
static int encrypt_chunk(struct mg_tls_stream *t, const char *data, size_t n);
static int hand_on(struct mg_tls_stream *t);
static void hand_on_chatter(struct mg_tls_stream *t);
static void say_goodbye(struct mg_tls_stream *t);

static const mg_stream_ops tls_ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_plain,
    .shutdown = shut,
    .close = close_both,
    .peer = peer,
    .local = local,
    .untaken = untaken,
    .loop = loop_of,
    .quiet = quiet,
    .ending = ending,
};

static const mg_stream_events inner_events = {
    .on_read = on_inner_read,
    .on_end = on_inner_end,
    .on_drain = on_inner_drain,
    .on_closed = on_inner_closed,
};

int mg_tls_connect(mg_stream *s, const mg_tls_opening *o) {
    struct mg_tls_stream *t = new_stream(s, o);
    SSL_set_connect_state(t->ssl);
    int rc = expect_host(t, o->host);
    if (rc != MG_OK) {
        free_stream(t);
        close(o->fd);
        return rc;
    }
    start_stream(t, o);
    return MG_OK;
}

void mg_tls_accept(mg_stream *s, const mg_tls_opening *o) {
    struct mg_tls_stream *t = new_stream(s, o);
    SSL_set_accept_state(t->ssl);
    start_stream(t, o);
}

void mg_tls_move(mg_stream *to, const mg_stream *from, const mg_stream_events *events) {
    *to = *from;
    to->events = events;
    to->u.tls->outer = to;
}

bool mg_tls_is(const mg_stream *s) {
    return s->ops == &tls_ops;
}

const char *mg_tls_version(const mg_stream *s) {
    return SSL_get_version(s->u.tls->ssl);
}

mg_str mg_tls_alpn(const mg_stream *s) {
    const unsigned char *p = NULL;
    unsigned n = 0;
    if (mg_tls_is(s)) {
        SSL_get0_alpn_selected(s->u.tls->ssl, &p, &n);
    }
    return (mg_str){(const char *)p, n};
}

bool mg_tls_resumed(const mg_stream *s) {
    return SSL_session_reused(s->u.tls->ssl) == 1;
}

// --- what the owner does ---

static int read_start(mg_stream *s) {
    struct mg_tls_stream *t = s->u.tls;
    if (!t->ready) {
        return t->failed ? -ENOTCONN : MG_OK; // the handshake reads anyway
    }
    if (t->kept.n > 0 || t->end_due || t->failed) {
        mg_timer_start(loop_of(s), &t->later, 0, 0, on_later);
        return MG_OK;
    }
    return mg_stream_read_start(&t->inner);
}

static void read_stop(mg_stream *s) {
    if (s->u.tls->ready) {
        mg_stream_read_stop(&s->u.tls->inner);
    }
}

static int write_plain(mg_stream *s, const struct iovec *v, int count) {
    struct mg_tls_stream *t = s->u.tls;
    if (!t->ready || t->failed) {
        return t->failed ? -EPIPE : -ENOTCONN;
    }
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += v[i].iov_len;
    }
    if (n == 0) {
        return MG_OK;
    }
    if (n > (UINT32_MAX - t->inner.queued) / 2) { // records add a little
        return -ENOBUFS;
    }
    int rc = encrypt(t, v, count);
    if (rc == MG_OK) {
        rc = hand_on(t);
    }
    if (rc == MG_OK) {
        s->queued = t->inner.queued;
    }
    return rc;
}

static int shut(mg_stream *s) {
    struct mg_tls_stream *t = s->u.tls;
    say_goodbye(t);
    if (s->queued > 0) {
        s->queued = t->inner.queued;
    }
    return mg_stream_shutdown(&t->inner);
}

// The farewell goes only where nothing waits before it: what is queued is dropped, and the peer
// must see that.
static void close_both(mg_stream *s, bool reset) {
    struct mg_tls_stream *t = s->u.tls;
    mg_timer_stop(&t->later);
    stop_waiting(t);
    if (!reset && t->inner.queued == 0 && s->output == MG_OUTPUT_OPEN) {
        say_goodbye(t);
    }
    mg_stream_close(&t->inner, reset);
}

static int peer(const mg_stream *s, struct sockaddr_storage *out) {
    return mg_stream_peer(&s->u.tls->inner, out);
}

static size_t untaken(mg_stream *s) {
    mg_stream *inner = &s->u.tls->inner;
    if (inner->queued > 0) { // 0 is told by its drain
        s->queued = inner->queued;
    }
    return mg_stream_untaken(inner);
}

static int local(const mg_stream *s, struct sockaddr_storage *out) {
    return mg_stream_local(&s->u.tls->inner, out);
}

static mg_loop *loop_of(const mg_stream *s) {
    return mg_stream_loop(&s->u.tls->inner);
}

// Records that were not decrypted, a piece of one that was, or what is being fed right now.
static bool quiet(const mg_stream *s) {
    const struct mg_tls_stream *t = s->u.tls;
    return t->in_n == 0 && t->kept.n == 0 && !t->end_due && !t->failed &&
           SSL_has_pending(t->ssl) == 0 && mg_stream_quiet(&t->inner);
}

static bool ending(const mg_stream *s, int *status) {
    return mg_stream_ending(&s->u.tls->inner, status);
}

// --- what the socket does ---

// True if TLS begins with the rest of these bytes, or began before them.
static bool pass_before(struct mg_tls_stream *t, const char **data, size_t *n) {
    size_t used = 0;
    if (t->before == NULL) {
        return true;
    }
    if (!t->before(t->outer, *data, *n, &used)) {
        return false;
    }
    t->before = NULL;
    *data += used;
    *n -= used;
    return *n > 0;
}

static void on_inner_read(mg_stream *inner, const char *data, size_t n) {
    struct mg_tls_stream *t = MG_OF(inner, struct mg_tls_stream, inner);
    if (!pass_before(t, &data, &n)) {
        return;
    }
    if (t->kept.n == 0) {
        feed(t, data, n);
        return;
    }
    mg_buf_append(&t->kept, data, n);
    feed_kept(t);
}

static void on_inner_end(mg_stream *inner, int status) {
    struct mg_tls_stream *t = MG_OF(inner, struct mg_tls_stream, inner);
    t->end_due = true;
    t->end_status = status;
    feed_kept(t);
}

static void on_inner_drain(mg_stream *inner, int status) {
    struct mg_tls_stream *t = MG_OF(inner, struct mg_tls_stream, inner);
    mg_stream *s = t->outer;
    t->chatter = 0;
    if (s->closing) {
        return;
    }
    bool waited = s->queued > 0;
    s->queued = 0;
    if (status < 0) {
        s->output = MG_OUTPUT_BROKEN;
    }
    if (waited) {
        s->events->on_drain(s, status);
    }
}

static void on_inner_closed(mg_stream *inner) {
    struct mg_tls_stream *t = MG_OF(inner, struct mg_tls_stream, inner);
    t->outer->events->on_closed(t->outer);
    free_stream(t);
}

static void on_later(mg_timer *timer) {
    feed_kept(MG_OF(timer, struct mg_tls_stream, later));
}

// --- opening ---

static struct mg_tls_stream *new_stream(mg_stream *s, const mg_tls_opening *o) {
    struct mg_tls_stream *t = mg_calloc(1, sizeof *t);
    t->outer = s;
    t->context = mg_tls_ref(o->context);
    t->on_ready = o->on_ready;
    t->before = o->before;
    t->plain = o->plain;
    t->ssl = SSL_new(o->context->ssl);
    BIO *bio = mg_tls_bio_new(t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    return t;
}

static int expect_host(struct mg_tls_stream *t, const char *host) {
    size_t n = strlen(host);
    t->host = mg_strndup(host, n > 0 && host[n - 1] == '.' ? n - 1 : n);
    int rc = mg_tls_expect_host(t);
    if (rc == MG_OK) {
        SSL_SESSION *session = mg_tls_session_take(t->context, t->host);
        SSL_set_session(t->ssl, session);
        SSL_SESSION_free(session);
    }
    return rc;
}

static void start_stream(struct mg_tls_stream *t, const mg_tls_opening *o) {
    mg_stream_prepare(t->outer, &tls_ops, o->events);
    t->outer->u.tls = t;
    mg_stream_uv_open(o->loop, &t->inner, &inner_events, o->fd, o->is_unix);
    int rc = mg_stream_read_start(&t->inner);
    if (rc != MG_OK) { // told as the handshake's fault
        t->end_due = true;
        t->end_status = rc;
    }
    if (t->host != NULL || rc != MG_OK) { // the client speaks first
        mg_timer_start(o->loop, &t->later, 0, 0, on_later);
    }
}

static void free_stream(struct mg_tls_stream *t) {
    if (t->ready && !t->failed) {
        // Else OpenSSL spoils the session of a connection that ended without a goodbye.
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(t->ssl);
    mg_tls_unref(t->context);
    mg_buf_deinit(&t->kept);
    mg_buf_deinit(&t->out);
    mg_buf_deinit(&t->reason);
    mg_free(t->host);
    mg_free(t->asked);
    mg_free(t);
}

// --- from the wire to the owner ---

static void feed(struct mg_tls_stream *t, const char *data, size_t n) {
    t->in = data;
    t->in_n = n;
    pump(t);
    mg_buf_append(&t->kept, t->in, t->in_n);
    t->in_n = 0;
    follow(t);
}

static void feed_kept(struct mg_tls_stream *t) {
    t->in = t->kept.p;
    t->in_n = t->kept.n;
    pump(t);
    mg_buf_consume(&t->kept, t->kept.n - t->in_n);
    t->in_n = 0;
    if (t->kept.n == 0) {
        mg_buf_deinit(&t->kept);
    }
    follow(t);
}

static void pump(struct mg_tls_stream *t) {
    if (t->outer->closing || t->failed) {
        t->in_n = 0;
        if (t->outer->reading && (t->ready || t->end_due)) {
            mg_stream_end(t->outer, t->ready ? -EPROTO : t->end_status);
        }
    } else if (t->ready) {
        read_plain(t);
    } else if (is_text(t)) {
        answer_text(t);
    } else if (!may_shake(t)) {
        mg_timer_start(mg_stream_loop(&t->inner), &t->later, 0, 0, on_later);
    } else if (shake_hands(t)) {
        read_plain(t);
    }
}

static void stop_waiting(struct mg_tls_stream *t) {
    if (t->waiting) {
        t->waiting = false;
        mg_stream_loop(&t->inner)->shakes_waiting--;
    }
}

// Else it goes on in a later turn, in the order in which they came.
static bool may_shake(struct mg_tls_stream *t) {
    mg_loop *loop = mg_stream_loop(&t->inner);
    bool first = t->waiting || loop->shakes_waiting == 0;
    stop_waiting(t);
    if (t->host != NULL || (first && loop->shakes < SHAKES && loop->shakes_ns < SHAKES_NS)) {
        return true;
    }
    t->waiting = true;
    loop->shakes_waiting++;
    return false;
}

// A record of TLS never begins with a letter, and every other protocol's request does.
static bool is_text(struct mg_tls_stream *t) {
    if (t->begun || t->plain.n == 0 || t->in_n == 0) {
        return false;
    }
    t->begun = true;
    return t->in[0] >= 'A' && t->in[0] <= 'Z';
}

static void answer_text(struct mg_tls_stream *t) {
    struct iovec v = {(void *)(uintptr_t)t->plain.p, t->plain.n};
    t->failed = true;
    t->in_n = 0;
    mg_stream_write(&t->inner, &v, 1);
    t->on_ready(t->outer, MG_ESYNTAX, "the client does not speak TLS");
}

static void count_shake(const struct mg_tls_stream *t, uint64_t since_ns) {
    mg_loop *loop = mg_stream_loop(&t->inner);
    if (t->host == NULL) {
        loop->shakes++;
        loop->shakes_ns += uv_hrtime() - since_ns;
    }
}

// True once the owner knows that all is well and still wants the stream.
static bool shake_hands(struct mg_tls_stream *t) {
    ERR_clear_error();
    uint64_t since = uv_hrtime();
    int rc = SSL_do_handshake(t->ssl);
    int error = SSL_get_error(t->ssl, rc);
    count_shake(t, since);
    hand_on_chatter(t);
    if (rc == 1) {
        t->ready = true;
        t->on_ready(t->outer, MG_OK, "");
        return !t->outer->closing;
    }
    if (error != SSL_ERROR_WANT_READ || t->end_due) {
        fail_handshake(t);
    }
    return false;
}

static void fail_handshake(struct mg_tls_stream *t) {
    const char *who = t->host != NULL ? t->host : "the client";
    mg_error err;
    int code;
    t->failed = true;
    if (ERR_peek_error() != 0 || !t->end_due) {
        code = mg_tls_explain(t, &err);
    } else if (t->end_status == 0) {
        code = -ECONNRESET;
        mg_error_set(&err, code, "%s closed the connection during the TLS handshake", who);
    } else {
        code = t->end_status;
        mg_error_set(&err, code, "the connection to %s failed during the TLS handshake: %s", who,
                     mg_strerror(code));
    }
    t->on_ready(t->outer, code, err.text);
}

static void read_plain(struct mg_tls_stream *t) {
    mg_stream *s = t->outer;
    char record[RECORD_BYTES];
    while (s->reading && !s->closing) {
        ERR_clear_error();
        int n = SSL_read(t->ssl, record, sizeof record);
        if (n <= 0) {
            int error = SSL_get_error(t->ssl, n);
            ERR_clear_error();
            hand_on_chatter(t);
            end_reading(t, error);
            return;
        }
        s->events->on_read(s, record, (size_t)n);
    }
    if (!s->closing) {
        hand_on_chatter(t);
    }
}

// A FIN without close_notify is a truncation: anybody on the way can send one (RFC 8446 section
// 6.1).
static void end_reading(struct mg_tls_stream *t, int ssl_error) {
    if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        mg_stream_end(t->outer, MG_OK);
    } else if (ssl_error != SSL_ERROR_WANT_READ || t->failed) {
        t->failed = true;
        mg_stream_end(t->outer, -EPROTO);
    } else if (t->end_due) {
        mg_stream_end(t->outer, t->end_status == 0 ? -ECONNRESET : t->end_status);
    }
}

// The socket is read while the handshake goes on, and then while the owner reads. What waits for
// its turn is enough.
static void follow(struct mg_tls_stream *t) {
    if (t->outer->closing) {
        return;
    }
    bool wanted = t->ready || t->failed ? t->outer->reading : t->kept.n == 0;
    if (wanted) {
        mg_stream_read_start(&t->inner);
    } else {
        mg_stream_read_stop(&t->inner);
    }
}

// --- from the owner to the wire ---

// Small pieces, such as a head and a body, share a record.
static int encrypt(struct mg_tls_stream *t, const struct iovec *v, int count) {
    char chunk[RECORD_BYTES];
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        const char *p = v[i].iov_base;
        for (size_t left = v[i].iov_len; left > 0;) {
            size_t part = left < sizeof chunk - n ? left : sizeof chunk - n;
            memcpy(chunk + n, p, part);
            n += part;
            p += part;
            left -= part;
            if (n == sizeof chunk) {
                int rc = encrypt_chunk(t, chunk, n);
                if (rc != MG_OK) {
                    return rc;
                }
                n = 0;
            }
        }
    }
    return n == 0 ? MG_OK : encrypt_chunk(t, chunk, n);
}

static int encrypt_chunk(struct mg_tls_stream *t, const char *data, size_t n) {
    ERR_clear_error();
    if (SSL_write(t->ssl, data, (int)n) != (int)n) {
        ERR_clear_error();
        t->outer->output = MG_OUTPUT_BROKEN;
        return -EPIPE;
    }
    return t->out.n < FLUSH_BYTES ? MG_OK : hand_on(t);
}

// What OpenSSL has counted as sent, the wire must carry: a failure breaks the output. An idle
// stream keeps no buffer.
static int hand_on(struct mg_tls_stream *t) {
    struct iovec v = {t->out.p, t->out.n};
    int rc = t->out.n == 0 ? MG_OK : mg_stream_write(&t->inner, &v, 1);
    mg_buf_deinit(&t->out);
    if (rc != MG_OK && t->outer->output == MG_OUTPUT_OPEN) {
        t->outer->output = MG_OUTPUT_BROKEN;
    }
    return rc;
}

// What the protocol itself has to say. That it cannot leave shows when the socket is read or
// written next.
static void hand_on_chatter(struct mg_tls_stream *t) {
    uint32_t before = t->inner.queued;
    if (t->out.n == 0 || hand_on(t) != MG_OK) {
        return;
    }
    t->chatter += t->inner.queued - before;
    if (t->chatter > CHATTER_BYTES) {
        t->failed = true;
    }
    if (t->outer->queued > 0) {
        t->outer->queued = t->inner.queued;
    }
}

static void say_goodbye(struct mg_tls_stream *t) {
    if (!t->ready || t->failed) {
        return;
    }
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    hand_on(t);
}
