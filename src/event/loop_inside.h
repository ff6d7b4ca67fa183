// event/loop_inside.h: what the files of this room know of a loop. Not for other rooms.
#pragma once

#include "event/intake.h"
#include "event/timer.h"

#include <uv.h>

struct mg_loop {
    uv_loop_t uv;
    uv_check_t after_poll; // where timers fire and hooks run; referenced while `holds` is not 0
    uv_timer_t bound;      // ends the poll at the earliest timer (never armed on a virtual clock)
    uv_idle_t soon;        // active: the next poll does not wait
    uv_prepare_t before_poll;
    struct mg_pulse *pulse;
    mg_link turns;
    mg_link pairs;       // every open end of an in-memory pair
    mg_link pairs_ready; // those with something to deliver
    mg_link pairs_last;  // a mark in pairs_ready: what stands behind it waits for the next turn
    char *read_block;    // shared by all reads: libuv fills it and on_read empties it at once
    mg_timer **heap;
    uint32_t heap_n;
    uint32_t heap_cap;
    uint64_t timer_order;
    uint64_t bound_ms;  // what `bound` is armed for; UINT64_MAX: it is not
    uint64_t polled_ms; // real: when the poll returned
    uint64_t virtual_ms;
    uint64_t wall_ms; // real: as read at `wall_read_ms`; virtual: at the creation
    uint64_t wall_read_ms;
    uint64_t happened; // counts callbacks, so that a virtual turn knows whether it found anything
    uint32_t holds;    // reasons to keep a real loop running that libuv does not see
    uint32_t tasks;    // in threads, or on their way there and back
    uint32_t awaited;  // descriptors at whose other end somebody works for us
    uint32_t descriptors;      // real streams and watched descriptors
    uint32_t held_descriptors; // all else that is open: event/descriptors.h
    uint32_t descriptor_limit;
    uint32_t shakes; // steps of TLS handshakes in this turn, and what they have cost
    uint64_t shakes_ns;
    uint32_t shakes_waiting; // those that came too late for this turn
    mg_link holders;
    mg_intakes intakes;
    const struct mg_connect_net *net; // connect.h; NULL: the real one
    bool virtual_clock;
    bool stopped;
    bool turning;
    bool heard; // see mg_loop_has_heard
    bool freeing;
};

static inline mg_loop *mg_loop_of(const uv_loop_t *uv) {
    return uv->data;
}

// Every callback from outside says that it came.
static inline void mg_loop_note(mg_loop *loop) {
    loop->happened++;
}

// Keeps mg_loop_run of a real loop from returning. Each hold is released once.
void mg_loop_hold(mg_loop *loop);
void mg_loop_release(mg_loop *loop);

// One of `descriptors` or `held_descriptors` is gone.
void mg_loop_descriptor_released(mg_loop *loop);

// Fires what is due, but nothing that was started meanwhile.
void mg_timers_fire(mg_loop *loop);

// Sees to it that the next poll ends when the earliest timer is due.
void mg_timers_bound_poll(mg_loop *loop);

// When the earliest timer is due; UINT64_MAX: there is none.
uint64_t mg_timers_next_ms(const mg_loop *loop);

// Hands every ready end of a pair what has come for it.
void mg_pairs_deliver(mg_loop *loop);

// Frees the ends that nobody closed, without an event, and returns their count.
int mg_pairs_audit(mg_loop *loop);
