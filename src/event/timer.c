#include "event/timer.h"

#include "base/mem.h"
#include "event/loop_inside.h"

#include <assert.h>

static const uint64_t LAST_US = UINT64_MAX / 1000 * 1000 - 1000;

static bool comes_before(const mg_timer *a, const mg_timer *b);
static void place(mg_loop *loop, uint32_t i, mg_timer *t);
static void rise(mg_loop *loop, uint32_t i, mg_timer *t);
static void sink(mg_loop *loop, uint32_t i, mg_timer *t);
static void settle(mg_loop *loop, uint32_t i, mg_timer *t);
static void insert(mg_loop *loop, mg_timer *t);
static uint64_t due_after(const mg_loop *loop, uint64_t after_ms);
static uint64_t clock_of(const mg_loop *loop, const mg_timer *t);
static void start(mg_loop *loop, mg_timer *t, uint64_t at_us, mg_timer_cb on_time);
static void on_bound(uv_timer_t *h);

void mg_timer_start(mg_loop *loop, mg_timer *t, uint64_t after_ms, uint32_t repeat_ms,
                    mg_timer_cb on_time) {
    t->repeat_ms = repeat_ms;
    start(loop, t, due_after(loop, after_ms), on_time);
}

void mg_timer_start_exact(mg_loop *loop, mg_timer *t, uint64_t after_us, mg_timer_cb on_time) {
    uint64_t now_us = mg_loop_now_us(loop);
    t->repeat_ms = 0;
    start(loop, t, after_us < LAST_US - now_us ? now_us + after_us : LAST_US, on_time);
}

// The poll stays bounded as it was: an empty turn later costs less than arming now.
void mg_timer_stop(mg_timer *t) {
    if (t->slot == 0) {
        return;
    }
    mg_loop *loop = t->loop;
    uint32_t i = t->slot - 1;
    t->slot = 0;
    mg_timer *last = loop->heap[--loop->heap_n];
    if (last != t) {
        settle(loop, i, last);
    }
    if (loop->heap_n == 0) {
        mg_loop_release(loop);
    }
}

void mg_timers_fire(mg_loop *loop) {
    uint64_t newest = loop->timer_order;
    while (loop->heap_n > 0) {
        mg_timer *t = loop->heap[0];
        if (t->at_us > clock_of(loop, t) || t->order > newest) {
            break;
        }
        if (t->repeat_ms > 0) {
            t->at_us = due_after(loop, t->repeat_ms);
            t->order = ++loop->timer_order;
            sink(loop, 0, t);
        } else {
            mg_timer_stop(t);
        }
        mg_loop_note(loop);
        t->on_time(t);
    }
    mg_timers_bound_poll(loop);
}

void mg_timers_bound_poll(mg_loop *loop) {
    if (loop->heap_n == 0) {
        return;
    }
    const mg_timer *first = loop->heap[0];
    uint64_t now_us = clock_of(loop, first);
    if (first->at_us <= now_us) {
        mg_loop_turn_soon(loop);
        return;
    }
    uint64_t left_ms = (first->at_us - now_us + 999) / 1000;
    uint64_t at_ms = mg_loop_now_ms(loop) + left_ms;
    if (!loop->virtual_clock && at_ms < loop->bound_ms) {
        loop->bound_ms = at_ms;
        uv_timer_start(&loop->bound, on_bound, left_ms, 0);
    }
}

uint64_t mg_timers_next_ms(const mg_loop *loop) {
    return loop->heap_n > 0 ? (loop->heap[0]->at_us + 999) / 1000 : UINT64_MAX;
}

static bool comes_before(const mg_timer *a, const mg_timer *b) {
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void place(mg_loop *loop, uint32_t i, mg_timer *t) {
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void rise(mg_loop *loop, uint32_t i, mg_timer *t) {
    while (i > 0 && comes_before(t, loop->heap[(i - 1) / 2])) {
        place(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(loop, i, t);
}

static void sink(mg_loop *loop, uint32_t i, mg_timer *t) {
    for (uint32_t child; (child = 2 * i + 1) < loop->heap_n; i = child) {
        if (child + 1 < loop->heap_n && comes_before(loop->heap[child + 1], loop->heap[child])) {
            child++;
        }
        if (!comes_before(loop->heap[child], t)) {
            break;
        }
        place(loop, i, loop->heap[child]);
    }
    place(loop, i, t);
}

// Puts `t` where it belongs, with `i` free.
static void settle(mg_loop *loop, uint32_t i, mg_timer *t) {
    if (i > 0 && comes_before(t, loop->heap[(i - 1) / 2])) {
        rise(loop, i, t);
    } else {
        sink(loop, i, t);
    }
}

static void insert(mg_loop *loop, mg_timer *t) {
    if (loop->heap_n == loop->heap_cap) {
        loop->heap_cap = loop->heap_cap == 0 ? 16 : loop->heap_cap * 2;
        loop->heap = mg_realloc(loop->heap, loop->heap_cap * sizeof *loop->heap);
    }
    if (loop->heap_n == 0) {
        mg_loop_hold(loop);
    }
    rise(loop, loop->heap_n++, t);
}

// Whole milliseconds: what is due then is told by the turn's own clock, so that a deadline which
// passes while the turn is busy waits for the next poll, and what that brings.
static uint64_t due_after(const mg_loop *loop, uint64_t after_ms) {
    uint64_t now_ms = mg_loop_now_ms(loop);
    return after_ms < LAST_US / 1000 - now_ms ? (now_ms + after_ms) * 1000 : LAST_US;
}

// What `t` is measured by: reading the exact time costs something.
static uint64_t clock_of(const mg_loop *loop, const mg_timer *t) {
    uint64_t now_us = mg_loop_now_ms(loop) * 1000;
    return t->at_us > now_us && t->at_us % 1000 != 0 ? mg_loop_now_us(loop) : now_us;
}

static void start(mg_loop *loop, mg_timer *t, uint64_t at_us, mg_timer_cb on_time) {
    assert(t->slot == 0 || t->loop == loop);
    t->loop = loop;
    t->on_time = on_time;
    t->at_us = at_us;
    t->order = ++loop->timer_order;
    if (t->slot == 0) {
        insert(loop, t);
    } else {
        settle(loop, t->slot - 1, t);
    }
    if (t->slot == 1) {
        mg_timers_bound_poll(loop);
    }
}

// Armed for 0 ms here libuv would call it again at once, for ever; mg_timers_bound_poll never does.
static void on_bound(uv_timer_t *h) {
    mg_loop *loop = mg_loop_of(h->loop);
    loop->bound_ms = UINT64_MAX;
    mg_timers_bound_poll(loop);
}
