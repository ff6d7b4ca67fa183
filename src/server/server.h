// server/server.h: the inbound side: listeners, connections, their limits, and the app that
// answers.
#pragma once

#include "base/log_line.h"
#include "base/shm.h"
#include "event/descriptors.h"
#include "event/listener.h"
#include "http/body.h"
#include "http/date.h"
#include "server/conn.h"
#include "server/endpoint.h"
#include "server/options.h"
#include "server/owed.h"

typedef struct mg_server_said {
    uint64_t at_ms; // the first line of a second
    uint32_t lines; // within it
    uint32_t kept;  // lines that are only counted, since the last one
} mg_server_said;

struct mg_server {
    mg_loop *loop;
    mg_app *apps[MG_SERVER_APPS]; // each for its endpoints' new requests; NULL: none
    mg_server_options options;
    mg_guard_limits head_limits;
    mg_body_limits body_limits;

    mg_link conns;
    mg_link dirty;
    mg_turn turn; // flushes `dirty`, after the app's own turn

    mg_deadlines handshake;
    mg_deadlines idle;
    mg_deadlines header;
    mg_deadlines send;
    mg_deadlines half_close;
    mg_deadlines unread; // reading is stopped: is the peer still there?
    mg_deadlines linger;
    mg_deadlines tunnel; // on which nothing moves
    mg_deadlines handler;
    mg_deadlines h2_head;
    mg_deadlines h2_rest; // when an idle connection gives back what can be made again
    mg_deadlines h2_content;
    mg_deadlines h2_tunnel;

    struct mg_challenge *challenge; // borrowed (event/tls_challenge.h); NULL: no directory asks

    uint64_t waiting; // output of all connections that their peers have not taken yet
    bool owing;       // it was more than options.output_bytes in this turn

    char **streams;         // addresses of endpoints that speak no HTTP, now or before
    size_t stream_count;    // 255 at most
    struct mg_door **doors; // where it listens
    size_t door_count;
    bool accept_paused;
    mg_holder holder; // of idle connections
    bool draining;
    void (*on_drained)(void *arg); // once, when draining and the last connection is gone
    void *drained_arg;
    mg_timer drain_timer;

    void (*on_access)(void *arg, const mg_access_record *r); // NULL: nobody listens
    // About peers, for people; NULL: nobody listens.
    void (*on_log)(void *arg, mg_log_level level, const char *text);
    void *log_arg;
    mg_server_said said[MG_LOG_ERROR + 1]; // at each level

    // Told by connections: one more is idle and could make room for another; one has closed.
    void (*on_conn_idle)(mg_server *s);
    void (*on_conn_closed)(mg_server *s, mg_conn *c);

    mg_exchange_pool h1_exchanges;
    mg_exchange_pool h2_exchanges;
    struct mg_h2_policy *h2_policy; // of connections that come from now on
    mg_output_pool outputs;
    mg_date_cache date;
    uint64_t next_conn_id;
    mg_traffic stats;
    mg_traffic *shown; // a copy for others, made in each turn; NULL: nobody looks
};

// `app`, at MG_APP_MAIN, is borrowed. Its turn hook must be registered before this, so that answers
// are flushed in the turn that makes them.
mg_server *mg_server_new(mg_loop *loop, mg_app *app, const mg_server_options *options);

// Closes all that is open, without grace. The memory goes once the loop has turned: call
// mg_server_free after that.
void mg_server_close(mg_server *s);
void mg_server_free(mg_server *s);

// New requests of endpoints whose app is `place` go to `app` (borrowed), whose turn hook is
// registered; those under way keep theirs.
void mg_server_set_app(mg_server *s, unsigned place, mg_app *app);

// From now on limits and times are these; what waits already keeps its deadline. All sizes hold for
// heads that begin later.
void mg_server_set_options(mg_server *s, const mg_server_options *options);

// Accepts from `fd`, which is taken unless this fails, as the endpoint says: it is copied, and its
// context kept. MG_ECONFIG: there is no such app, or a proxy that is no network; MG_ELIMIT: too
// many different addresses of streams. `out` may be NULL.
int mg_server_listen(mg_server *s, int fd, const mg_endpoint *e, mg_listener **out);

// Takes whoever waits at `l`, then closes it.
void mg_server_unlisten(mg_server *s, mg_listener *l);

// Stops accepting, lets requests finish (with Connection: close), closes connections that are still
// idle after `idle_ms`, so that a request on its way is served, then calls on_drained.
void mg_server_drain(mg_server *s, uint64_t idle_ms, void (*on_drained)(void *arg), void *arg);

// What the field Date says now; borrowed until the next call.
mg_str mg_server_date(mg_server *s);

// Tells on_log, a few times a second for each level: a flood of peers must not be one of lines.
void mg_server_log(mg_server *s, mg_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// Makes a connection whose far end is the in-memory stream `peer` (specs).
// `http2`: as if ALPN had chosen that.
mg_conn *mg_server_connect_pair(mg_server *s, mg_stream *peer, const mg_stream_events *peer_events,
                                size_t window, bool http2);

// The same at the endpoint of a stream.
mg_conn *mg_server_connect_stream(mg_server *s, const char *address, mg_stream *peer,
                                  const mg_stream_events *peer_events, size_t window);
