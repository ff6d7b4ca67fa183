// How long a call may take: in all, for a connection, until its head, between two pieces.

#include "client/call_inside.h"

#include <stdio.h>

enum { SMALL_BODY = 64 * 1024 }; // that the kernel takes at once

// Whoever keeps a connection while it waits for another one may wait for itself.
static bool all_busy(const mg_call *call) {
    const mg_origin *o = call->origin;
    return call->outbound == NULL && o != NULL && o->connecting == 0 && o->idle_count == 0 &&
           o->connections >= call->client->options.connections;
}

static void on_total(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, total);
    double seconds = (double)call->options.timeouts.total_ms / 1000;
    char text[160];
    if (all_busy(call)) {
        snprintf(text, sizeof text,
                 "all %u connections to it (http.connections) were busy for %g s: do calls that "
                 "hold them wait for this one?",
                 call->origin->connections, seconds);
    } else {
        snprintf(text, sizeof text, "%s within %g s",
                 call->outbound == NULL ? "no connection was free or could be opened"
                                        : "the response was not complete",
                 seconds);
    }
    mg_call_fail(call, "timeout", text);
}

// The server has taken more of a request that it takes slowly.
static bool moves(mg_call *call) {
    size_t before = call->untaken_mark;
    if (before > 0) {
        call->untaken_mark = call->outbound->wire->untaken(call);
    }
    return call->untaken_mark < before;
}

static void start_quiet(mg_call *call, uint32_t ms);

static void on_quiet(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, quiet);
    if (call->state == MG_CALL_SENT && moves(call)) {
        start_quiet(call, call->quiet_ms);
        return;
    }
    const char *what = call->state != MG_CALL_SENT ? "nothing more of the response's body"
                       : call->upload_open         ? "nothing more of the request's body was taken"
                                                   : "no response";
    char text[96];
    snprintf(text, sizeof text, "%s within %g s", what, (double)call->quiet_ms / 1000);
    mg_call_fail(call, "timeout", text);
}

// Of the dials of its origin the oldest one is counted as the call's: it goes too, unless those who
// wait behind the call need it.
static void on_no_connection(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, quiet);
    mg_origin *o = call->origin;
    mg_outbound *c = mg_origin_oldest_dial(o);
    char text[96];
    snprintf(text, sizeof text, "%s took longer than %g s",
             c != NULL ? mg_connect_doing(c->connect) : "waiting for a connection",
             (double)call->quiet_ms / 1000);
    mg_call_break(call, "timeout", text);
    // One that many wait for has had its time too: they get another.
    if (c != NULL && (o->places > 1 || o->connecting > o->waiting_count)) {
        mg_outbound_close(c);
    }
    mg_call_tell(call);
}

static void start_waiting(mg_call *call, uint32_t ms) {
    if (ms > 0 && call->state == MG_CALL_WAITS && !mg_timer_active(&call->quiet)) {
        call->quiet_ms = ms;
        mg_timer_start(call->client->loop, &call->quiet, ms, 0, on_no_connection);
    }
}

void mg_call_start_wait(mg_call *call) {
    start_waiting(call, call->options.timeouts.wait_ms);
}

void mg_call_start_connect(mg_call *call) {
    start_waiting(call, call->options.timeouts.connect_ms);
}

void mg_call_start_total(mg_call *call) {
    if (call->options.timeouts.total_ms > 0) {
        mg_timer_start(call->client->loop, &call->total, call->options.timeouts.total_ms, 0,
                       on_total);
    }
}

// To ask takes a system call, which few requests need.
static bool may_be_untaken(const mg_call *call) {
    return call->state == MG_CALL_SENT &&
           (call->options.upload || call->options.body.n > SMALL_BODY ||
            call->outbound->wire->backlog(call) > 0);
}

static void start_quiet(mg_call *call, uint32_t ms) {
    call->quiet_ms = ms;
    mg_timer_start(call->client->loop, &call->quiet, ms, 0, on_quiet);
}

void mg_call_start_quiet(mg_call *call, uint32_t ms) {
    if (ms == 0) {
        mg_timer_stop(&call->quiet);
        return;
    }
    start_quiet(call, ms);
    call->untaken_mark = may_be_untaken(call) ? call->outbound->wire->untaken(call) : 0;
}

void mg_call_stop_timers(mg_call *call) {
    mg_timer_stop(&call->total);
    mg_timer_stop(&call->quiet);
    mg_timer_stop(&call->soon);
}
