// A call's place on a connection: its request goes out, uploads piece by piece; once again on
// another connection if that one was found dead.

#include "client/call_inside.h"

#include <stdio.h>

enum {
    QUEUED_MAX = 256 * 1024, // bytes of an upload that have not left
    MOST_REFUSALS = 4,
};

// --- the place ---

// What was uploaded while it waited; that cannot be sent again.
static int send_queued(mg_call *call) {
    const mg_call_wire *wire = call->outbound->wire;
    int rc = call->body.n > 0 ? wire->send(call, mg_buf_str(&call->body), NULL) : MG_OK;
    if (rc == MG_OK && !call->upload_open) {
        rc = wire->send(call, (mg_str){0}, call->upload_trailers);
    }
    mg_buf_deinit(&call->body);
    return rc;
}

void mg_call_attach(mg_call *call, mg_outbound *c) {
    mg_call_set_state(call, MG_CALL_SENT);
    mg_timer_stop(&call->quiet);
    call->outbound = c;
    call->stream = NULL;
    call->reused = c->served;
    call->received = call->refused = false;
    call->client->reused += c->carried;
    call->times = (mg_call_times){
        .connected_us = c->carried ? 0 : mg_loop_now_us(call->client->loop),
        .reused = c->carried,
    };
    c->carried = true;
    mg_arena_reset(&call->arena);
    int rc = c->wire->begin(call);
    call->unwritten = rc != MG_OK;
    if (rc == MG_OK && call->options.upload) {
        rc = send_queued(call);
    }
    call->lost = rc;
    if (!call->upload_open) {
        mg_call_start_quiet(call, call->options.timeouts.first_byte_ms);
    }
    if (rc != MG_OK || call->room_wanted) {
        mg_call_tell_soon(call);
    }
}

void mg_call_detach(mg_call *call, bool whole) {
    mg_outbound *c = call->outbound;
    mg_origin *o = call->origin;
    if (c != NULL) {
        bool usable = mg_outbound_forget(c, call, whole);
        call->outbound = NULL;
        call->origin = NULL;
        call->resting = false;
        mg_outbound_settle(c, usable);
    } else if (o != NULL) {
        mg_origin_forget_call(o, call);
    }
}

// --- uploads ---

bool mg_call_has_room(const mg_call *call) {
    const mg_outbound *c = call->outbound;
    return (c != NULL ? c->wire->backlog(call) : call->body.n) <= QUEUED_MAX;
}

void mg_call_drained(mg_call *call) {
    if (call->room_wanted) {
        call->room_wanted = false;
        if (call->state == MG_CALL_SENT && call->upload_open) {
            mg_timer_stop(&call->quiet); // whoever uploads has a limit of their own
        }
        mg_call_tell(call);
    }
}

// A length that was announced is kept.
static bool keeps_length(mg_call *call, size_t n) {
    if (call->options.length < 0) {
        return true;
    }
    if (n > call->upload_left || (n == 0 && call->upload_left > 0)) {
        return false;
    }
    call->upload_left -= n;
    return true;
}

static int send_piece(mg_call *call, mg_str piece) {
    if (call->outbound == NULL) {
        mg_buf_append_str(&call->body, piece);
        return MG_OK;
    }
    int rc = call->outbound->wire->send(call, piece, call->upload_trailers);
    if (rc != MG_OK) {
        call->lost = rc; // the response, if there is one, may still come
    }
    return rc != MG_OK ? MG_ECLOSED : MG_OK;
}

static bool takes_upload(const mg_call *call) {
    mg_call_state last = call->options.duplex ? MG_CALL_BODY : MG_CALL_SENT;
    return call->upload_open && call->state <= last && call->lost == 0;
}

// The upload has ended, or waits for the server, or moves while a response comes.
static void time_answer(mg_call *call, bool room) {
    if (call->outbound == NULL || call->resting) {
        return;
    }
    if (call->state == MG_CALL_BODY) {
        mg_call_start_quiet(call, call->options.timeouts.idle_ms);
    } else if (!call->upload_open) {
        mg_call_start_quiet(call, call->options.timeouts.first_byte_ms);
    } else if (!room && call->options.duplex) {
        mg_call_start_quiet(call, call->options.timeouts.idle_ms);
    }
}

int mg_call_finish(mg_call *call, const mg_fields *trailers) {
    call->upload_trailers = trailers;
    return mg_call_send(call, NULL, 0);
}

int mg_call_send(mg_call *call, const char *data, size_t n) {
    if (!takes_upload(call)) {
        return MG_ECLOSED;
    }
    if (!keeps_length(call, n)) {
        return MG_ELIMIT;
    }
    int rc = send_piece(call, (mg_str){data, n});
    if (rc != MG_OK) {
        return rc;
    }
    call->upload_open = n > 0;
    bool room = mg_call_has_room(call);
    call->room_wanted |= !room;
    time_answer(call, room);
    return room ? MG_OK : MG_EAGAIN;
}

// --- once again ---

// Nothing of a response has come, on a connection that the server was free to close.
static bool may_go_again(const mg_call *call) {
    bool dead = call->reused && !call->received && !call->again && !call->options.upload;
    return dead && (call->options.idempotent || call->lost != 0);
}

void mg_call_once_more(mg_call *call) {
    mg_outbound *c = call->outbound;
    call->lost = 0;
    mg_timer_stop(&call->quiet);
    mg_timer_stop(&call->soon);
    bool usable = mg_outbound_forget(c, call, false);
    call->outbound = NULL;
    mg_call_set_state(call, MG_CALL_WAITS);
    mg_origin_requeue(c->origin, call);
    mg_call_start_wait(call);
    mg_outbound_settle(c, usable); // which lets the origin dial
}

void mg_call_lost(mg_call *call, int status) {
    if (may_go_again(call)) {
        call->again = true;
        mg_origin_distrust(call->origin);
        mg_call_once_more(call);
        return;
    }
    char text[128];
    snprintf(text, sizeof text, "the server closed the connection %s%s%s",
             call->state == MG_CALL_BODY ? "within the response's body"
             : call->received            ? "within the response's head"
                                         : "before it answered",
             status != 0 ? ": " : "", status != 0 ? mg_strerror(status) : "");
    mg_call_fail(call, "closed", text);
}

// A body that came in pieces is gone: whoever sent it may still have it.
void mg_call_refused(mg_call *call, const char *what) {
    if (!call->options.upload && call->refusals < MOST_REFUSALS) {
        call->refusals++;
        mg_call_once_more(call);
        return;
    }
    call->refused = true;
    mg_call_fail(call, "closed", what);
}
