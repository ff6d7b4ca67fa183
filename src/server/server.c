#include "server/server.h"

#include "base/mem.h"
#include "http/forwarded.h"
#include "server/foreign.h"
#include "server/h1.h"
#include "server/h2.h"
#include "server/proxied.h"
#include "server/requester.h"
#include "server/wire.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LOOK_MS = 250,
    H2_REST_MS = 1000,   // after which an idle connection gives back what can be made again
    LOG_EVERY_MS = 1000, // of so many lines of one level
    LOG_AT_ONCE = 16,
    FRESH_MS = 1000,  // so long a new connection may take to ask its first question
    LOOKS_MOST = 256, // at idle connections, until one is found that may go
};

// What who begins with plain text is told.
#define SPEAK_TLS                                                                                  \
    "HTTP/1.1 400 Bad Request\r\n"                                                                 \
    "Content-Type: text/plain; charset=utf-8\r\n"                                                  \
    "Content-Length: 57\r\n"                                                                       \
    "Connection: close\r\n"                                                                        \
    "\r\n"                                                                                         \
    "This port speaks HTTPS: the request came in plain HTTP.\r\n"

// One listener and what its connections are to be.
typedef struct mg_door {
    mg_server *server;
    mg_endpoint endpoint; // its address is not looked at, and may have gone
    mg_listener *listener;
    mg_trust *proxies; // NULL: any peer is let in
    uint8_t foreign;   // as of a connection
} mg_door;

// --- deadlines ---

static void on_handshake_late(mg_deadlines *q, mg_deadline *d) {
    mg_conn *c = MG_OF(d, mg_conn, deadline);
    (void)q;
    c->server->stats.failed_handshakes += mg_tls_is(&c->stream);
    mg_conn_close(c, MG_GONE_CLIENT);
}

static void on_idle(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_conn_close(MG_OF(d, mg_conn, deadline), MG_GONE_CLIENT);
}

static void on_header_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_conn *c = MG_OF(d, mg_conn, deadline);
    c->owner->ops->on_head_late(c);
}

static void on_send_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_conn_send_late(MG_OF(d, mg_conn, deadline));
}

static void on_unread(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_conn_look_for_end(MG_OF(d, mg_conn, deadline));
}

static void on_half_close_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_conn_half_close_late(MG_OF(d, mg_conn, deadline));
}

static void on_handler_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_exchange_late(MG_OF(d, mg_exchange, handler_deadline));
}

static void on_h2_head_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_h2_head_late(d);
}

static void on_h2_rest_due(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_h2_rest_due(d);
}

static void on_h2_content_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_h2_content_late(d);
}

static void on_h2_tunnel_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_h2_tunnel_late(d);
}

static void init_deadlines(mg_server *s) {
    const mg_server_options *o = &s->options;
    mg_deadlines_init(&s->handshake, s->loop, o->handshake_ms, on_handshake_late);
    mg_deadlines_init(&s->idle, s->loop, o->idle_ms, on_idle);
    mg_deadlines_init(&s->header, s->loop, o->header_ms, on_header_late);
    mg_deadlines_init(&s->send, s->loop, o->send_ms, on_send_late);
    mg_deadlines_init(&s->half_close, s->loop, o->half_close_ms, on_half_close_late);
    mg_deadlines_init(&s->unread, s->loop, LOOK_MS, on_unread);
    mg_deadlines_init(&s->linger, s->loop, o->linger_ms, on_idle);
    mg_deadlines_init(&s->tunnel, s->loop, o->tunnel_ms, on_idle);
    mg_deadlines_init(&s->handler, s->loop, o->handler_ms, on_handler_late);
    mg_deadlines_init(&s->h2_head, s->loop, o->header_ms, on_h2_head_late);
    mg_deadlines_init(&s->h2_rest, s->loop, H2_REST_MS, on_h2_rest_due);
    mg_deadlines_init(&s->h2_content, s->loop, o->send_ms, on_h2_content_late);
    mg_deadlines_init(&s->h2_tunnel, s->loop, o->tunnel_ms, on_h2_tunnel_late);
}

static bool has_idle(const mg_holder *h);
static void close_least_missed(mg_holder *h);
static void accept_again(mg_holder *h);
static void conn_is_idle(mg_server *s);
static void forget(mg_server *s, mg_conn *c);

// --- life ---

static void flush(mg_server *s) {
    mg_link *l;
    while ((l = mg_link_shift(&s->dirty)) != NULL) {
        mg_conn_flush(MG_OF(l, mg_output, dirty)->conn);
    }
}

static void on_turn(mg_turn *turn) {
    mg_server *s = MG_OF(turn, mg_server, turn);
    flush(s);
    mg_intakes *in = mg_loop_intakes(s->loop);
    if (s->owing || in->over) {
        mg_owed_bound(s);
        mg_intakes_bound(in);
        flush(s);                   // what was said to those
        mg_loop_turn_soon(s->loop); // their apps have had their turn
    }
    if (s->shown != NULL) {
        *s->shown = s->stats;
    }
}

static void take_options(mg_server *s, const mg_server_options *options) {
    s->options = *options;
    s->head_limits = (mg_guard_limits){
        .first_line_bytes = options->request_line_bytes,
        .bytes = options->header_bytes,
        .lines = options->header_fields,
    };
    s->body_limits = (mg_body_limits){
        .extension_bytes = options->chunk_extension_bytes,
        .trailers = {.bytes = options->trailer_bytes, .lines = options->header_fields},
    };
    mg_h2_policy_set(&s->h2_policy, &options->h2);
    mg_loop_intakes(s->loop)->most = options->input_bytes;
}

mg_server *mg_server_new(mg_loop *loop, mg_app *app, const mg_server_options *options) {
    mg_server *s = mg_calloc(1, sizeof *s);
    s->loop = loop;
    s->apps[MG_APP_MAIN] = app;
    s->on_conn_idle = conn_is_idle;
    s->on_conn_closed = forget;
    take_options(s, options);
    mg_link_init(&s->conns);
    mg_link_init(&s->dirty);
    s->holder = (mg_holder){
        .has_idle = has_idle, .close_idle = close_least_missed, .on_released = accept_again};
    mg_descriptors_add_holder(loop, &s->holder);
    s->turn.run = on_turn;
    mg_loop_add_turn(loop, &s->turn);
    init_deadlines(s);
    return s;
}

// The flush stays behind the hook that makes the answers.
void mg_server_set_app(mg_server *s, unsigned place, mg_app *app) {
    s->apps[place] = app;
    mg_loop_remove_turn(&s->turn);
    mg_loop_add_turn(s->loop, &s->turn);
}

void mg_server_set_options(mg_server *s, const mg_server_options *options) {
    take_options(s, options);
    mg_deadlines_set_wait(&s->handshake, options->handshake_ms);
    mg_deadlines_set_wait(&s->idle, options->idle_ms);
    mg_deadlines_set_wait(&s->header, options->header_ms);
    mg_deadlines_set_wait(&s->send, options->send_ms);
    mg_deadlines_set_wait(&s->half_close, options->half_close_ms);
    mg_deadlines_set_wait(&s->linger, options->linger_ms);
    mg_deadlines_set_wait(&s->tunnel, options->tunnel_ms);
    mg_deadlines_set_wait(&s->handler, options->handler_ms);
    mg_deadlines_set_wait(&s->h2_head, options->header_ms);
    mg_deadlines_set_wait(&s->h2_content, options->send_ms);
    mg_deadlines_set_wait(&s->h2_tunnel, options->tunnel_ms);
    accept_again(&s->holder);
}

static void close_door(mg_door *d) {
    mg_listener_close(d->listener);
    mg_tls_unref(d->endpoint.tls);
    mg_trust_free(d->proxies);
    mg_free(d);
}

static void close_doors(mg_server *s) {
    for (size_t i = 0; i < s->door_count; i++) {
        close_door(s->doors[i]);
    }
    s->door_count = 0;
}

static void each_conn(mg_server *s, void (*act)(mg_conn *c)) {
    mg_link *next;
    for (mg_link *l = s->conns.next; l != &s->conns; l = next) {
        next = l->next;
        act(MG_OF(l, mg_conn, link));
    }
}

static void close_conn(mg_conn *c) {
    mg_conn_close(c, MG_GONE_STOP);
}

void mg_server_close(mg_server *s) {
    close_doors(s);
    each_conn(s, close_conn);
}

void mg_server_free(mg_server *s) {
    if (s == NULL) {
        return;
    }
    mg_descriptors_remove_holder(&s->holder);
    mg_loop_remove_turn(&s->turn);
    mg_timer_stop(&s->drain_timer);
    mg_deadlines *queues[] = {&s->handshake,  &s->idle,    &s->header,  &s->send,
                              &s->half_close, &s->unread,  &s->linger,  &s->tunnel,
                              &s->handler,    &s->h2_head, &s->h2_rest, &s->h2_content,
                              &s->h2_tunnel};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        mg_deadlines_deinit(queues[i]);
    }
    mg_exchange_pool_deinit(&s->h1_exchanges);
    mg_exchange_pool_deinit(&s->h2_exchanges);
    mg_h2_policy_set(&s->h2_policy, NULL);
    mg_output_pool_deinit(&s->outputs);
    for (size_t i = 0; i < s->stream_count; i++) {
        mg_free(s->streams[i]);
    }
    mg_free(s->streams);
    mg_free(s->doors);
    mg_free(s);
}

static void close_if_idle(mg_conn *c) {
    if (c->state <= MG_CONN_IDLE && mg_conn_backlog(c) == 0) { // or still shaking hands
        mg_conn_close(c, MG_GONE_STOP);
    }
}

static void tell_drained(mg_server *s) {
    if (s->draining && s->on_drained != NULL && mg_link_alone(&s->conns)) {
        void (*on_drained)(void *arg) = s->on_drained;
        s->on_drained = NULL;
        on_drained(s->drained_arg);
    }
}

static void tell_stop(mg_conn *c) {
    c->owner->ops->on_stop(c);
}

static void on_drain_idle(mg_timer *t) {
    each_conn(MG_OF(t, mg_server, drain_timer), close_if_idle);
}

mg_str mg_server_date(mg_server *s) {
    return mg_date_cached(&s->date, (int64_t)(mg_loop_wall_ms(s->loop) / 1000));
}

void mg_server_drain(mg_server *s, uint64_t idle_ms, void (*on_drained)(void *arg), void *arg) {
    s->draining = true;
    s->on_drained = on_drained;
    s->drained_arg = arg;
    close_doors(s);
    each_conn(s, tell_stop);
    mg_timer_start(s->loop, &s->drain_timer, idle_ms, 0, on_drain_idle);
    tell_drained(s);
}

// --- connections ---

static mg_conn *conn_new(mg_server *s, bool proxied) {
    mg_conn *c = mg_calloc(1, sizeof *c + (proxied ? sizeof(mg_proxied) : 0));
    c->server = s;
    c->proxied = proxied;
    c->id = ++s->next_conn_id;
    c->opened_wall_ms = mg_loop_wall_ms(s->loop);
    mg_link_init(&c->link);
    return c;
}

static mg_owner *first_owner(const mg_conn *c) {
    if (c->proxied) {
        return &mg_proxied_reader;
    }
    return c->foreign != 0 ? &mg_foreign_waiting : mg_conn_plain_owner(c);
}

static void adopt(mg_server *s, mg_conn *c, const mg_endpoint *e) {
    c->app = e->app & 3U;
    c->http2 = e->http2;
    mg_link_append(&s->conns, &c->link);
    s->stats.connections++;
    s->stats.accepted++;
    mg_conn_open(c, s, first_owner(c), e->tls == NULL && !c->proxied);
}

// A handshake of TLS is over. That one fails is nothing special: any scanner causes it.
static void on_ready(mg_stream *stream, int status, const char *text) {
    mg_conn *c = MG_OF(stream, mg_conn, stream);
    if (status != 0) {
        char name[MG_PEER_TEXT];
        c->server->stats.failed_handshakes++;
        mg_peer_write(stream, name);
        mg_server_log(c->server, MG_LOG_INFO, "%s: %s", name, text);
    }
    if (status == 0 && c->foreign != 0) {
        mg_foreign_begin(c);
    } else if (status == 0 && mg_str_eq(mg_tls_alpn(stream), MG_STR("h2"))) {
        mg_h2_conn_open(c);
    } else if (status == 0 && mg_str_eq(mg_tls_alpn(stream), MG_STR(MG_TLS_PROVING))) {
        mg_conn_finish(c, false); // nothing is asked of it, by whoever it is
    } else if (status == 0) {
        mg_conn_idle(c, &mg_h1_idle);
    } else if (status == MG_ESYNTAX) {
        mg_conn_finish(c, true); // it has been answered
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

void mg_server_log(mg_server *s, mg_log_level level, const char *fmt, ...) {
    uint64_t now = mg_loop_now_ms(s->loop);
    mg_server_said *said = &s->said[level];
    if (now >= said->at_ms + LOG_EVERY_MS) {
        said->at_ms = now;
        said->lines = 0;
    }
    if (s->on_log == NULL || said->lines == LOG_AT_ONCE) {
        said->kept++;
        return;
    }
    said->lines++;
    mg_error e; // formats, and cuts what is too long
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e.text, sizeof e.text, fmt, ap);
    va_end(ap);
    if (said->kept > 0 && n > 0 && (size_t)n < sizeof e.text) {
        snprintf(e.text + n, sizeof e.text - (size_t)n, " (and %u lines like this before it)",
                 said->kept);
    }
    said->kept = 0;
    s->on_log(s->log_arg, level, e.text);
}

// --- descriptors ---

// Who has asked nothing yet has only just come, and its request is on its way.
static bool is_spare(const mg_server *s, const mg_conn *c) {
    uint64_t since = c->deadline.at_ms - s->idle.wait_ms;
    return c->requests > 0 || mg_loop_now_ms(s->loop) >= since + FRESH_MS;
}

// The one that is least likely to be missed: idle for longest, and nothing has come that is still
// to be read. NULL: none.
static mg_conn *find_idle(const mg_server *s, bool spare) {
    int looks = 0;
    for (mg_link *l = s->idle.head.next; l != &s->idle.head && looks < LOOKS_MOST; l = l->next) {
        mg_conn *c = MG_OF(l, mg_conn, deadline.link);
        looks++;
        if (is_spare(s, c) == spare && mg_stream_quiet(&c->stream)) {
            return c;
        }
    }
    return NULL;
}

// The one that has been at it longest; NULL: none for so long.
static mg_conn *find_half_open(const mg_server *s, uint64_t for_ms) {
    const mg_link *l = s->handshake.head.next;
    if (l == &s->handshake.head) {
        return NULL;
    }
    mg_conn *c = MG_OF(l, mg_conn, deadline.link);
    uint64_t since = c->deadline.at_ms - s->handshake.wait_ms;
    return mg_loop_now_ms(s->loop) >= since + for_ms ? c : NULL;
}

static mg_conn *least_missed(const mg_server *s) {
    mg_conn *c = find_half_open(s, FRESH_MS);
    c = c != NULL ? c : find_idle(s, true);
    c = c != NULL ? c : find_idle(s, false);
    return c != NULL ? c : find_half_open(s, 0);
}

static bool has_idle(const mg_holder *h) {
    return least_missed(MG_OF(h, mg_server, holder)) != NULL;
}

static void close_least_missed(mg_holder *h) {
    mg_conn_close(least_missed(MG_OF(h, mg_server, holder)), MG_GONE_STOP);
}

// One connection is always allowed, or a limit that is too small would close the door for ever.
static bool is_full(const mg_server *s) {
    return mg_descriptors_left(s->loop) <= s->options.spare_descriptors && s->stats.connections > 0;
}

static void pause_accept(mg_server *s, bool pause) {
    s->accept_paused = pause;
    for (size_t i = 0; i < s->door_count; i++) {
        (pause ? mg_listener_pause : mg_listener_resume)(s->doors[i]->listener);
    }
}

static void accept_again(mg_holder *h) {
    mg_server *s = MG_OF(h, mg_server, holder);
    if (s->accept_paused && !s->draining && !is_full(s)) {
        pause_accept(s, false);
    }
}

static int accept_peer(const mg_door *d, mg_stream *s) {
    if (d->endpoint.tls == NULL) {
        return mg_listener_accept(d->listener, s, &mg_conn_events);
    }
    const mg_tls_opening o = {
        .context = d->endpoint.tls,
        .events = &mg_conn_events,
        .on_ready = on_ready,
        .plain = d->foreign == 0 ? MG_STR(SPEAK_TLS) : (mg_str){NULL, 0},
        .before = d->proxies != NULL ? mg_proxied_before_tls : NULL,
    };
    return mg_listener_accept_tls(d->listener, s, &o);
}

// Whoever is not told of by a proxy could claim to be anybody.
static void refuse_stranger(mg_door *d, mg_conn *c) {
    struct sockaddr_storage peer;
    if (d->proxies == NULL ||
        (mg_stream_peer(&c->stream, &peer) == 0 && mg_trust_peer(d->proxies, &peer))) {
        return;
    }
    mg_address at = {.text = "this address"};
    char name[MG_PEER_TEXT];
    (void)mg_listener_address(d->listener, &at);
    mg_peer_write(&c->stream, name);
    mg_server_log(d->server, MG_LOG_WARN, "%s is refused at %s: it is none of its proxy_protocol",
                  name, at.text);
    mg_conn_close(c, MG_GONE_CLIENT);
}

static void on_connection(void *arg, mg_listener *l) {
    mg_door *d = arg;
    mg_server *s = d->server;
    (void)l; // the door's
    bool full = is_full(s);
    if (full && !mg_descriptors_has_idle(s->loop)) {
        pause_accept(s, true);
        return;
    }
    mg_conn *c = conn_new(s, d->proxies != NULL);
    if (accept_peer(d, &c->stream) != 0) {
        mg_free(c);
        return;
    }
    if (full) {
        // Not before: perhaps nobody was waiting.
        mg_descriptors_room(s->loop, s->options.spare_descriptors);
    }
    c->foreign = d->foreign;
    adopt(s, c, &d->endpoint);
    refuse_stranger(d, c);
    if (c->foreign != 0 && c->state == MG_CONN_IDLE) {
        mg_foreign_begin(c);
    }
}

// The number of an address, counted from 1: it stays, since connections may know it for long. 0:
// there are too many.
static uint8_t number_of(mg_server *s, const char *address) {
    for (size_t i = 0; i < s->stream_count; i++) {
        if (strcmp(s->streams[i], address) == 0) {
            return (uint8_t)(i + 1);
        }
    }
    if (s->stream_count == UINT8_MAX) {
        return 0;
    }
    s->streams = mg_realloc(s->streams, sizeof *s->streams * (s->stream_count + 1));
    s->streams[s->stream_count++] = mg_strdup(address);
    return (uint8_t)s->stream_count;
}

int mg_server_listen(mg_server *s, int fd, const mg_endpoint *e, mg_listener **out) {
    if (e->app >= MG_SERVER_APPS || s->apps[e->app] == NULL) {
        return MG_ECONFIG;
    }
    uint8_t foreign = e->stream ? number_of(s, e->address) : 0;
    if (e->stream && foreign == 0) {
        return MG_ELIMIT;
    }
    mg_trust *proxies = NULL;
    mg_error err;
    if (e->proxies.n > 0 && mg_trust_new(&proxies, e->proxies.items, e->proxies.n, &err) != MG_OK) {
        return MG_ECONFIG;
    }
    mg_door *d = mg_malloc(sizeof *d);
    *d = (mg_door){.server = s, .endpoint = *e, .proxies = proxies, .foreign = foreign};
    int rc = mg_listener_open(&d->listener, s->loop, fd, on_connection, d);
    if (rc != 0) {
        mg_trust_free(proxies);
        mg_free(d);
        return rc;
    }
    if (e->tls != NULL) {
        mg_tls_ref(e->tls);
    }
    s->doors = mg_realloc(s->doors, sizeof(mg_door *) * (s->door_count + 1));
    s->doors[s->door_count++] = d;
    if (s->accept_paused) {
        mg_listener_pause(d->listener);
    }
    if (out != NULL) {
        *out = d->listener;
    }
    return MG_OK;
}

void mg_server_unlisten(mg_server *s, mg_listener *l) {
    for (size_t i = 0; i < s->door_count; i++) {
        mg_door *d = s->doors[i];
        if (d->listener == l) {
            s->doors[i] = s->doors[--s->door_count];
            mg_listener_accept_all(l);
            close_door(d);
            return;
        }
    }
}

// `address`: of a stream; NULL: it speaks HTTP.
static mg_conn *connect_pair(mg_server *s, const char *address, mg_stream *peer,
                             const mg_stream_events *peer_events, size_t window) {
    static const mg_endpoint inside = {.address = "", .app = MG_APP_MAIN, .mode = MG_MODE_ANY};
    mg_conn *c = conn_new(s, false);
    if (mg_stream_pair(s->loop, &c->stream, peer, &mg_conn_events, peer_events, window) != 0) {
        mg_free(c);
        return NULL;
    }
    c->foreign = address != NULL ? number_of(s, address) : 0;
    adopt(s, c, &inside);
    return c;
}

mg_conn *mg_server_connect_pair(mg_server *s, mg_stream *peer, const mg_stream_events *peer_events,
                                size_t window, bool http2) {
    mg_conn *c = connect_pair(s, NULL, peer, peer_events, window);
    if (c != NULL && http2) {
        mg_h2_conn_open(c);
    }
    return c;
}

mg_conn *mg_server_connect_stream(mg_server *s, const char *address, mg_stream *peer,
                                  const mg_stream_events *peer_events, size_t window) {
    mg_conn *c = connect_pair(s, address, peer, peer_events, window);
    if (c != NULL) {
        mg_foreign_begin(c);
    }
    return c;
}

static void forget(mg_server *s, mg_conn *c) {
    mg_link_remove(&c->link);
    mg_free(c);
    s->stats.connections--;
    accept_again(&s->holder);
    tell_drained(s);
}

static void conn_is_idle(mg_server *s) {
    if (s->accept_paused && !s->draining) {
        pause_accept(s, false);
    }
}
