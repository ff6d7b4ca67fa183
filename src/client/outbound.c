// One connection to another server.
//
//   CONNECTING --open--> IDLE <--> BUSY --switched--> TUNNEL
//   any --fault, end, timeout--> CLOSED --stream closed--> freed

#include "client/call_inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

enum { FORGOTTEN_MS = 5000 };

static void on_read(mg_stream *s, const char *data, size_t n);
static void on_end(mg_stream *s, int status);
static void on_drain(mg_stream *s, int status);
static void on_closed(mg_stream *s);

static const mg_stream_events stream_events = {on_read, on_end, on_drain, on_closed};

// --- life ---

static void set_state(mg_outbound *c, mg_outbound_state next) {
    static const uint8_t moves[] = {
        [MG_OUTBOUND_CONNECTING] = 1 << MG_OUTBOUND_IDLE | 1 << MG_OUTBOUND_CLOSED,
        [MG_OUTBOUND_IDLE] = 1 << MG_OUTBOUND_BUSY | 1 << MG_OUTBOUND_CLOSED,
        [MG_OUTBOUND_BUSY] =
            1 << MG_OUTBOUND_IDLE | 1 << MG_OUTBOUND_TUNNEL | 1 << MG_OUTBOUND_CLOSED,
        [MG_OUTBOUND_TUNNEL] = 1 << MG_OUTBOUND_CLOSED,
        [MG_OUTBOUND_CLOSED] = 0,
    };
    assert(moves[c->state] & (1 << next));
    c->state = next;
}

void mg_outbound_serve(mg_outbound *c, mg_call *call) {
    if (c->state != MG_OUTBOUND_BUSY) {
        set_state(c, MG_OUTBOUND_BUSY);
    }
    mg_link_append(&c->calls, &call->link);
    c->call_count++;
    mg_call_attach(call, c);
}

bool mg_outbound_forget(mg_outbound *c, mg_call *call, bool whole) {
    mg_link_remove(&call->link);
    c->call_count--;
    c->served |= whole;
    return c->wire->leave(call, whole);
}

void mg_outbound_settle(mg_outbound *c, bool usable) {
    if (usable) {
        mg_origin_take_back(c->origin, c);
    } else if (c->call_count == 0) {
        mg_outbound_close(c);
    } else {
        mg_link_remove(&c->link);  // no others come
        mg_origin_pump(c->origin); // who has left may wait for another one
    }
}

void mg_outbound_lend(mg_outbound *c, mg_call *call) {
    mg_link_remove(&call->link);
    c->served = true;
}

void mg_outbound_return(mg_outbound *c, bool usable) {
    c->call_count--;
    if (c->origin != NULL) { // else it is closed
        mg_outbound_settle(c, usable);
    }
}

void mg_outbound_part(mg_outbound *c, mg_call *call) {
    mg_link_remove(&call->link);
    c->call_count--;
    mg_origin_drop(c->origin, c);
    c->origin = NULL;
    set_state(c, MG_OUTBOUND_TUNNEL);
}

void mg_outbound_rest(mg_outbound *c) {
    set_state(c, MG_OUTBOUND_IDLE);
}

static void free_outbound(mg_outbound *c) {
    mg_client *client = c->client;
    if (c->session != NULL) {
        c->wire->close(c);
    }
    mg_link_remove(&c->all);
    mg_free(c);
    mg_client_release(client);
}

void mg_outbound_close(mg_outbound *c) {
    if (c->state == MG_OUTBOUND_CLOSED) {
        return;
    }
    bool has_stream = c->state != MG_OUTBOUND_CONNECTING;
    if (has_stream && c->wire->leave_off != NULL) {
        c->wire->leave_off(c);
    }
    mg_timer_stop(&c->timer);
    mg_deadline_stop(&c->idle);
    mg_connect_cancel(c->connect);
    c->connect = NULL;
    if (c->origin != NULL) {
        mg_origin_drop(c->origin, c);
    }
    set_state(c, MG_OUTBOUND_CLOSED);
    c->origin = NULL;
    if (has_stream) {
        mg_stream_close(&c->stream, false);
    } else {
        free_outbound(c);
    }
}

// --- connecting ---

// Calls have time limits of their own; what nobody waits for any more goes on for a while, for the
// next one.
static void on_forgotten(mg_timer *t) {
    mg_outbound *c = MG_OF(t, mg_outbound, timer);
    if (mg_origin_first_waiting(c->origin) == NULL) {
        mg_outbound_close(c);
    } else {
        mg_timer_start(c->client->loop, &c->timer, FORGOTTEN_MS, 0, on_forgotten);
    }
}

static bool allows(void *arg, const struct sockaddr_storage *address,
                   char why[MG_CONNECT_WHY_BYTES]) {
    const mg_outbound *c = arg;
    return mg_client_allows(c->client, c->origin->rules, address, why);
}

// A server that has chosen nothing is asked all the same if it is known to speak HTTP/2.
static const mg_call_wire *wire_of(const mg_outbound *c) {
    const mg_origin *o = c->origin;
    if (c->client->options.wire != NULL) {
        return c->client->options.wire;
    }
    bool always = o->http2 == MG_HTTP2_ALWAYS && mg_connect_is_faithful(c->client->loop);
    return always || mg_str_eq(mg_tls_alpn(&c->stream), MG_STR("h2")) ? &mg_h2_call_wire
                                                                      : &mg_h1_call_wire;
}

static void open_wire(mg_outbound *c) {
    c->wire = wire_of(c);
    if (c->wire == &mg_h1_call_wire) {
        mg_origin_expect(c->origin, 1);
    }
    c->wire->open(c);
}

// Those that waited for this connection fail, the longest first; others try again.
static void fail_waiting(mg_outbound *c, const mg_connect_fault *fault) {
    mg_call *call;
    for (uint32_t n = c->origin->places;
         n > 0 && (call = mg_origin_first_waiting(c->origin)) != NULL; n--) {
        mg_call_fail(call, fault->code, fault->text);
    }
}

static void on_connected(void *arg, const mg_connect_fault *fault) {
    mg_outbound *c = arg;
    c->connect = NULL;
    if (fault == NULL) {
        mg_timer_stop(&c->timer);
        open_wire(c);
        mg_stream_read_start(&c->stream);
        mg_origin_take_back(c->origin, c);
    } else {
        fail_waiting(c, fault);
        mg_outbound_close(c);
    }
}

// In the order that is preferred.
static const char *alpn_of(const mg_origin *o) {
    switch (o->http2) {
    case MG_HTTP2_AUTO:
        return "h2,http/1.1";
    case MG_HTTP2_ALWAYS:
        return "h2";
    default:
        return "http/1.1";
    }
}

static mg_connect *start_connecting(mg_outbound *c) {
    const mg_origin *o = c->origin;
    return mg_connect_start(&(mg_connect_options){
        .loop = c->client->loop,
        .dns = c->client->dns,
        .host = o->host,
        .unix_path = o->unix_path,
        .port = o->port,
        .tls = o->is_tls ? c->client->tls : NULL,
        .demands = {.ca = o->insecure ? NULL : o->ca,
                    .cert = o->cert,
                    .key = o->key,
                    .alpn = alpn_of(o),
                    .insecure = o->insecure},
        .server_name = o->server_name,
        .prelude = mg_buf_str(&o->prelude),
        .allows = allows,
        .on_done = on_connected,
        .arg = c,
        .stream = &c->stream,
        .events = &stream_events,
    });
}

void mg_outbound_open(mg_origin *o) {
    mg_outbound *c = mg_calloc(1, sizeof *c);
    c->client = o->client;
    c->origin = o;
    c->state = MG_OUTBOUND_CONNECTING;
    mg_link_init(&c->calls);
    mg_link_append(&o->dials, &c->link);
    mg_deadline_init(&c->idle);
    mg_link_append(&c->client->outbounds, &c->all);
    c->client->connections++;
    c->client->dialled++;
    o->connections++;
    o->connecting++;
    mg_timer_start(c->client->loop, &c->timer, FORGOTTEN_MS, 0, on_forgotten);
    c->connect = start_connecting(c);
}

// --- bytes ---

static void on_read(mg_stream *s, const char *data, size_t n) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    c->wire->read(c, data, n);
}

static void on_end(mg_stream *s, int status) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    c->wire->ended(c, status);
}

// A failed write is no verdict yet: an early response may still be there to be read, and the end of
// the connection follows in any case.
static void on_drain(mg_stream *s, int status) {
    mg_outbound *c = MG_OF(s, mg_outbound, stream);
    if (status == MG_OK) {
        c->wire->drained(c);
    }
}

static void on_closed(mg_stream *s) {
    free_outbound(MG_OF(s, mg_outbound, stream));
}
