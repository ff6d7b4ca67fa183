// How long a call may take: in all, for a connection, until its head, between two pieces.

#include "client/call_inside.h"

#include <stdio.h>

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

static void on_quiet(mg_timer *t) {
    mg_call *call = MG_OF(t, mg_call, quiet);
    bool head = call->state != MG_CALL_BODY;
    uint32_t ms = head ? call->options.timeouts.first_byte_ms : call->options.timeouts.idle_ms;
    char text[96];
    snprintf(text, sizeof text, "%s within %g s",
             head ? "no response" : "nothing more of the response's body", (double)ms / 1000);
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
             (double)call->options.timeouts.connect_ms / 1000);
    mg_call_break(call, "timeout", text);
    if (c != NULL && o->connecting > o->waiting_count) {
        mg_outbound_close(c);
    }
    mg_call_tell(call);
}

void mg_call_start_connect(mg_call *call) {
    if (!mg_timer_active(&call->quiet) && call->options.timeouts.connect_ms > 0) {
        mg_timer_start(call->client->loop, &call->quiet, call->options.timeouts.connect_ms, 0,
                       on_no_connection);
    }
}

void mg_call_start_total(mg_call *call) {
    if (call->options.timeouts.total_ms > 0) {
        mg_timer_start(call->client->loop, &call->total, call->options.timeouts.total_ms, 0,
                       on_total);
    }
}

void mg_call_start_quiet(mg_call *call, uint32_t ms) {
    mg_timer_stop(&call->quiet);
    if (ms > 0) {
        mg_timer_start(call->client->loop, &call->quiet, ms, 0, on_quiet);
    }
}

void mg_call_stop_timers(mg_call *call) {
    mg_timer_stop(&call->total);
    mg_timer_stop(&call->quiet);
    mg_timer_stop(&call->soon);
}
