// The request's body on its way to the server: at once if it is there, in pieces as it comes, or
// first gathered if the route wants that.

#include "proxy/relay_inside.h"

#include "server/request_body.h"
#include "server/server.h"

enum { KEPT_BYTES = 64 * 1024 }; // of a body that is being sent, for another try

// --- before a server is asked ---

void mg_relay_send_whole(mg_relay *r, mg_str body) {
    r->body = MG_RELAY_WHOLE;
    r->whole = body;
    r->log.bytes_out = body.n;
    mg_relay_ask(r);
}

// The server decides whether the client is to go on.
static void send_expectation(mg_relay *r) {
    (void)mg_fields_add_id(&r->fields, MG_FIELD_EXPECT, MG_STR("100-continue"));
    mg_exchange_await_body(r->x);
    r->body = MG_RELAY_STREAMS;
    mg_relay_ask(r);
}

// With what there is by now.
static void ask_with_body(mg_relay *r) {
    mg_timer_stop(&r->timer);
    if (r->spool == NULL && mg_exchange_body_complete(r->x) && r->x->trailers.count == 0) {
        mg_relay_send_whole(r, mg_exchange_content(r->x));
    } else if (r->o.buffer) {
        mg_relay_store(r);
    } else {
        r->body = MG_RELAY_STREAMS;
        mg_relay_ask(r);
    }
}

static void on_time_to_ask(mg_timer *t) {
    ask_with_body(MG_OF(t, mg_relay, timer));
}

// Most bodies come with their head: they are sent with it too. A client may also wait for an answer
// behind its head alone.
void mg_relay_begin_body(mg_relay *r) {
    mg_exchange *x = r->x;
    if (r->o.has_body) {
        mg_relay_send_whole(r, r->o.body);
    } else if (x->head.framing == MG_FRAMING_NONE) {
        bool says_so = mg_fields_find(&x->head.fields, MG_FIELD_CONTENT_LENGTH) != NULL;
        r->body = says_so ? MG_RELAY_WHOLE : MG_RELAY_NO_BODY;
        mg_relay_ask(r);
    } else if (x->head.expect_continue && !r->o.buffer && x->body_received == 0) {
        send_expectation(r);
    } else {
        mg_timer_start(x->server->loop, &r->timer, 0, 0, on_time_to_ask);
        mg_exchange_want_body(x, false);
    }
}

static void refuse(mg_relay *r) {
    const mg_refusal *why = &r->x->body_refusal;
    mg_relay_fail(r, &(mg_relay_fault){why->status, why->reason, NULL, why->retry_after});
}

void mg_relay_take_body(mg_relay *r) {
    if (r->x->body_refusal.status != 0) {
        refuse(r);
    } else if (r->state == MG_RELAY_READS) {
        ask_with_body(r);
    } else {
        mg_exchange_continue(r->x); // it did not wait for that: its time begins
        mg_relay_upload(r);
    }
}

// --- to the server ---

static void keep(mg_relay *r, mg_str piece) {
    if (!r->kept_all || r->state > MG_RELAY_ASKS) {
        return;
    }
    r->kept_all = r->kept.n + piece.n <= KEPT_BYTES;
    if (r->kept_all) {
        mg_buf_append_str(&r->kept, piece);
    } else {
        mg_buf_deinit(&r->kept);
    }
}

static void note(mg_relay *r, int rc) {
    r->blocked |= rc == MG_EAGAIN;
    r->deaf |= rc < 0 && rc != MG_EAGAIN;
}

void mg_relay_send_piece(mg_relay *r, mg_str piece) {
    if (!r->deaf && piece.n > 0) {
        note(r, mg_call_send(r->at->call, piece.p, piece.n));
        r->log.bytes_out += piece.n;
    }
}

void mg_relay_send_end(mg_relay *r) {
    mg_fields *trailers = mg_arena_alloc(&r->x->arena, sizeof *trailers);
    mg_fields_init(trailers, &r->x->arena);
    mg_forward_trailers(trailers, &r->x->trailers);
    note(r, mg_call_finish(r->at->call, trailers));
    r->body_sent = true;
    mg_relay_send_mirror(r);
}

void mg_relay_upload(mg_relay *r) {
    mg_exchange *x = r->x;
    if (r->body == MG_RELAY_STORED && r->at->call != NULL) {
        mg_relay_upload_stored(r);
    }
    if (r->body != MG_RELAY_STREAMS || r->at->call == NULL || r->body_sent) {
        return;
    }
    if (r->blocked && !mg_call_has_room(r->at->call)) {
        return;
    }
    r->blocked = false;
    mg_str content = mg_exchange_content(x);
    keep(r, content);
    mg_mirror_add(r->mirror, content);
    mg_relay_send_piece(r, content);
    if (mg_exchange_body_complete(x) && !r->deaf) {
        mg_relay_send_end(r);
    }
    if (content.n > 0) {
        mg_exchange_take_content(x); // last: the client may turn out to be gone
    }
}

// It gets what an earlier one was sent already.
void mg_relay_begin_upload(mg_relay *r) {
    if (r->body >= MG_RELAY_STREAMS) {
        r->blocked = r->deaf = r->body_sent = false;
        r->log.bytes_out = 0;
        mg_relay_send_piece(r, mg_buf_str(&r->kept));
        mg_relay_upload(r);
    }
}
