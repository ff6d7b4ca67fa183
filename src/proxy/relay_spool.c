// A body that is taken whole before a server is asked, for upstreams that want it so.

#include "proxy/relay_inside.h"

#include "server/request_body.h"
#include "server/server.h"

static void fail(mg_relay *r, int status) {
    mg_relay_fail(r, &(mg_relay_fault){500, "the request's body could not be stored",
                                       mg_strerror(status), 0});
}

// --- it comes ---

// It is all there. What is in memory goes on as any body that came with its head.
static void ask(mg_relay *r) {
    mg_str all;
    if (mg_spool_in_memory(r->spool, &all)) {
        mg_relay_send_whole(r, all);
        return;
    }
    r->body = MG_RELAY_STORED;
    mg_relay_ask(r);
}

static void on_stored(void *arg, int status) {
    mg_relay *r = arg;
    r->storing = false;
    if (status != 0) {
        fail(r, status);
    } else {
        mg_relay_store(r);
    }
}

// --- it goes on ---

static void on_piece(void *arg, int status, uint64_t at, mg_str piece) {
    mg_relay *r = arg;
    r->storing = false;
    if (status != 0) {
        fail(r, status);
        return;
    }
    if (at == r->log.bytes_out) { // else it was for an earlier try
        mg_relay_send_piece(r, piece);
    }
    mg_relay_upload_stored(r);
}

void mg_relay_upload_stored(mg_relay *r) {
    bool waits = r->storing || (r->blocked && !mg_call_has_room(r->at->call));
    if (waits || r->deaf || r->body_sent) {
        return;
    }
    r->blocked = false;
    if (r->log.bytes_out == mg_spool_bytes(r->spool)) {
        mg_relay_send_end(r);
        return;
    }
    r->storing = true;
    mg_spool_read(r->spool, r->log.bytes_out);
}

static const mg_spool_events spool_events = {on_stored, on_piece};

void mg_relay_store(mg_relay *r) {
    mg_exchange *x = r->x;
    if (r->storing) {
        return;
    }
    if (r->spool == NULL) {
        r->spool = mg_spool_new(x->server->loop, &spool_events, r);
    }
    mg_str content = mg_exchange_content(x);
    if (content.n > 0) {
        mg_str kept;
        r->storing = mg_spool_add(r->spool, content) == MG_EAGAIN;
        mg_exchange_keep_aside(x, mg_spool_in_memory(r->spool, &kept) ? kept.n : 0);
        mg_exchange_take_content(x);
    }
    if (!r->storing && mg_exchange_body_complete(x)) {
        ask(r);
    }
}
