// What a wire tells of a response, and how it is told further: gathered, in pieces that are taken,
// or in pieces that are passed on as they come.

#include "client/call_inside.h"

enum {
    INTERIMS_MAX = 16,
    HELD_BACK = 256 * 1024,     // content that nobody has taken, beyond which the wire rests
    SLICE = 1024,               // what is decoded at once, since it may grow a thousandfold
    DECODED_BYTES = 512 * 1024, // that are made in one turn
};

// --- what the wire asks ---

mg_outbound *mg_call_outbound(const mg_call *call) {
    return call->outbound;
}

void **mg_call_stream(mg_call *call) {
    return &call->stream;
}

const mg_call_options *mg_call_wanted(const mg_call *call) {
    return &call->options;
}

bool mg_call_is_head(const mg_call *call) {
    return call->is_head;
}

mg_arena *mg_call_arena(mg_call *call) {
    return &call->arena;
}

size_t mg_call_most_at_once(const mg_call *call) {
    return call->inflate != NULL ? SLICE : SIZE_MAX;
}

// --- backpressure ---

static bool is_behind(const mg_call *call) {
    return call->paused || (call->options.stream && call->content.n >= HELD_BACK);
}

// Others have a turn too: decoding takes long.
static bool is_tired(const mg_call *call) {
    return call->decoded_bytes >= DECODED_BYTES;
}

bool mg_call_is_full(mg_call *call) {
    if (!is_behind(call) && !is_tired(call)) {
        return false;
    }
    if (!call->resting) {
        call->resting = true;
        mg_timer_stop(&call->quiet); // it is not the server who is slow
        if (!is_behind(call)) {
            mg_call_tell_soon(call);
        }
    }
    return true;
}

static void wake(mg_call *call) {
    if (call->resting && !is_behind(call)) {
        mg_call_tell_soon(call);
    }
}

void mg_call_pause(mg_call *call) {
    call->paused = true;
}

void mg_call_resume(mg_call *call) {
    call->paused = false;
    wake(call);
}

static void go_on_reading(mg_call *call) {
    call->resting = false;
    call->decoded_bytes = 0;
    if (call->room_wanted || call->lost != 0) {
        mg_call_tell_soon(call); // once more: the call may be gone behind this
    }
    call->outbound->wire->resume(call);
}

void mg_call_resume_now(mg_call *call) {
    call->paused = false;
    if (call->resting && !is_behind(call)) {
        go_on_reading(call);
    }
}

void mg_call_take(mg_call *call, size_t n) {
    if (n == call->content.n && n > HELD_BACK) {
        mg_buf_deinit(&call->content);
    } else {
        mg_buf_consume(&call->content, n);
    }
    wake(call);
}

void mg_call_go_on(mg_call *call) {
    if (call->resting && !is_behind(call)) {
        go_on_reading(call);
    } else if (call->outbound != NULL && call->lost != 0 && !call->resting) {
        mg_call_lost(call, call->lost);
    } else {
        call->room_wanted = false;
        mg_call_tell(call);
    }
}

// --- the head ---

void mg_call_heard(mg_call *call) {
    call->received = true;
}

// A protocol that nobody asked for is not spoken (RFC 9110 section 15.2).
static void take_interim(mg_call *call, const mg_response *r) {
    if (r->status == 101) {
        mg_call_fail(call, "protocol",
                     call->options.protocol.n > 0
                         ? "the server switched to a protocol that was not asked for"
                         : "the server switched protocols, unasked");
    } else if (++call->interims > INTERIMS_MAX) {
        mg_call_fail(call, "protocol", "too many interim responses");
    } else if (call->events->on_interim != NULL) {
        call->events->on_interim(call->arg, call, r);
    }
}

static void keep_head(mg_call *call, const mg_response *r) {
    mg_response *kept = mg_arena_alloc(&call->arena, sizeof *kept);
    *kept = *r;
    call->response = kept;
}

static void take_switch(mg_call *call, const mg_response *r) {
    keep_head(call, r);
    call->times.head_us = mg_loop_now_us(call->client->loop);
    call->switched = true;
    mg_call_stop_timers(call);
    mg_call_set_state(call, MG_CALL_BODY);
    mg_call_tell(call);
}

// One protocol is named, of those that were asked for (RFC 9110 section 7.8). HTTP/1.0 knows no
// 101.
bool mg_call_switches(const mg_call *call, const mg_response *r) {
    if (r->http2) {
        return call->options.protocol.n > 0 && r->status >= 200 && r->status < 300;
    }
    if (r->status != 101 || r->head.minor == 0) {
        return false;
    }
    const mg_fields *fields = &r->head.fields;
    const mg_field *f = mg_fields_find(fields, MG_FIELD_UPGRADE);
    mg_str asked = call->options.protocol;
    mg_str one;
    if (f == NULL || mg_fields_next(fields, f, MG_FIELD_UPGRADE) != NULL ||
        !mg_fields_has_member(fields, MG_FIELD_CONNECTION, MG_STR("upgrade"))) {
        return false;
    }
    while (mg_str_next_item(&asked, &one)) {
        if (mg_str_ieq(one, f->value)) {
            return true;
        }
    }
    return false;
}

void mg_call_take_head(mg_call *call, const mg_response *r) {
    if (mg_call_switches(call, r)) {
        take_switch(call, r);
        return;
    }
    if (r->status < 200) {
        take_interim(call, r);
        return;
    }
    keep_head(call, r);
    call->times.head_us = mg_loop_now_us(call->client->loop);
    mg_buf_clear(&call->body);
    mg_timer_stop(&call->quiet);
    mg_call_set_state(call, MG_CALL_BODY);
    if (call->options.stream) {
        mg_timer_stop(&call->total);
    }
    const char *code;
    const char *fault = mg_call_begin_content(call, &code);
    if (fault != NULL) {
        mg_call_fail(call, code, fault);
    } else if (mg_call_is_relayed(call)) {
        mg_call_tell(call); // before its first piece
    }
}

// --- the content and the end ---

// What was decoded is out of the call's reach, which may be closed by whoever is told.
static void relay_decoded(mg_call *call) {
    mg_buf content = call->content;
    call->content = (mg_buf){0};
    if (content.n > 0) {
        call->events->on_piece(call->arg, call, mg_buf_str(&content));
    }
    mg_buf_deinit(&content);
}

void mg_call_take_piece(mg_call *call, mg_str piece) {
    const char *code;
    bool as_it_is = mg_call_is_relayed(call) && call->inflate == NULL;
    const char *fault = as_it_is ? mg_call_count_content(call, piece.n, &code)
                                 : mg_call_add_content(call, piece, &code);
    if (fault != NULL) {
        mg_call_fail(call, code, fault);
    } else if (as_it_is) {
        call->events->on_piece(call->arg, call, piece);
    } else if (mg_call_is_relayed(call)) {
        relay_decoded(call);
    }
}

// What has come whole needs no time for its next piece.
void mg_call_progress(mg_call *call) {
    if (!call->options.stream || call->state != MG_CALL_BODY) {
        return;
    }
    if (!call->resting) {
        mg_call_start_quiet(call, call->options.timeouts.idle_ms);
    }
    if (!mg_call_is_relayed(call)) {
        mg_call_tell(call);
    }
}

void mg_call_take_end(mg_call *call, const mg_fields *trailers) {
    if (call->inflate != NULL && !mg_inflate_complete(call->inflate)) {
        mg_call_fail(call, "protocol", "the response's content coding is cut off");
        return;
    }
    if (trailers->count > 0) {
        mg_fields *kept = mg_arena_alloc(&call->arena, sizeof *kept);
        *kept = *trailers;
        call->trailers = kept;
    }
    mg_call_stop_timers(call);
    mg_call_set_state(call, MG_CALL_DONE);
    mg_call_detach(call, true);
    mg_call_tell(call);
}
