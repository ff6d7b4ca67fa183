#include "event/loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/shm.h"
#include "event/loop_inside.h"
#include "event/stream.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void prepare_process(void);
static void after_poll(uv_check_t *h);
static void run_hooks(mg_loop *loop);
static void on_soon(uv_idle_t *h);
static void poll_once(mg_loop *loop, uv_run_mode mode);
static mg_loop_progress virtual_turn(mg_loop *loop, bool may_wait, bool may_jump,
                                     uint64_t limit_ms);
static void run_dry(mg_loop *loop);
static int close_leaked(mg_loop *loop);
static void close_if_leaked(uv_handle_t *h, void *arg);

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

int mg_loop_new(mg_loop **out, const mg_loop_options *options) {
    pthread_once(&prepared, prepare_process);
    mg_loop *loop = mg_calloc(1, sizeof *loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc != 0) {
        mg_free(loop);
        return rc;
    }
    loop->uv.data = loop;
    loop->virtual_clock = options != NULL && options->virtual_clock;
    loop->bound_ms = UINT64_MAX;
    loop->wall_ms = mg_wall_ms();
    loop->wall_read_ms = uv_now(&loop->uv);
    loop->read_block = mg_malloc(MG_STREAM_READ_BYTES);
    loop->descriptor_limit = UINT32_MAX;
    mg_link_init(&loop->holders);
    mg_intakes_init(&loop->intakes, loop);
    mg_link_init(&loop->turns);
    mg_link_init(&loop->pairs);
    mg_link_init(&loop->pairs_ready);
    mg_link_init(&loop->pairs_last);
    uv_timer_init(&loop->uv, &loop->bound);
    uv_unref((uv_handle_t *)&loop->bound);
    uv_idle_init(&loop->uv, &loop->soon);
    uv_check_init(&loop->uv, &loop->after_poll);
    uv_check_start(&loop->after_poll, after_poll);
    uv_unref((uv_handle_t *)&loop->after_poll);
    uv_prepare_init(&loop->uv, &loop->before_poll);
    *out = loop;
    return MG_OK;
}

int mg_loop_free(mg_loop *loop) {
    if (loop == NULL) {
        return 0;
    }
    assert(!loop->turning);
    loop->freeing = true;
    int leaked = close_leaked(loop) + mg_pairs_audit(loop);
    uv_timer_stop(&loop->bound);
    uv_unref((uv_handle_t *)&loop->after_poll);
    run_dry(loop);
    uv_close((uv_handle_t *)&loop->bound, NULL);
    uv_close((uv_handle_t *)&loop->soon, NULL);
    uv_close((uv_handle_t *)&loop->after_poll, NULL);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    run_dry(loop);
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0);
    (void)rc;
    mg_free(loop->heap);
    mg_free(loop->read_block);
    mg_free(loop);
    return leaked;
}

void mg_loop_run(mg_loop *loop) {
    // What was prepared before the first turn may wait for a hook.
    mg_loop_turn_soon(loop);
    if (!loop->virtual_clock) {
        poll_once(loop, UV_RUN_DEFAULT);
        return;
    }
    mg_loop_progress progress = MG_LOOP_MOVED;
    while (!loop->stopped && progress != MG_LOOP_IDLE) {
        progress = virtual_turn(loop, true, !mg_loop_has_outside_work(loop), UINT64_MAX);
    }
    loop->stopped = false;
}

void mg_loop_stop(mg_loop *loop) {
    if (loop->virtual_clock) {
        loop->stopped = true;
    } else {
        uv_stop(&loop->uv);
    }
}

mg_loop_progress mg_loop_turn(mg_loop *loop, bool may_wait, bool may_jump, uint64_t limit_ms) {
    if (loop->virtual_clock) {
        return virtual_turn(loop, may_wait, may_jump, limit_ms);
    }
    // libuv skips the turn of a loop that has nothing alive, but hooks run in every turn.
    if (!may_wait || !uv_loop_alive(&loop->uv)) {
        mg_loop_turn_soon(loop);
    }
    poll_once(loop, UV_RUN_ONCE);
    return uv_loop_alive(&loop->uv) ? MG_LOOP_MOVED : MG_LOOP_IDLE;
}

uint64_t mg_loop_now_ms(const mg_loop *loop) {
    return loop->virtual_clock ? loop->virtual_ms : uv_now(&loop->uv);
}

uint64_t mg_loop_polled_ms(const mg_loop *loop) {
    return loop->virtual_clock ? loop->virtual_ms : loop->polled_ms;
}

bool mg_loop_has_heard(const mg_loop *loop) {
    return loop->heard;
}

void mg_loop_refresh_now(mg_loop *loop) {
    if (!loop->virtual_clock) {
        uv_update_time(&loop->uv);
    }
}

uint64_t mg_loop_now_us(const mg_loop *loop) {
    return loop->virtual_clock ? loop->virtual_ms * 1000 : uv_hrtime() / 1000;
}

uint64_t mg_loop_wall_ms(mg_loop *loop) {
    if (loop->virtual_clock) {
        return loop->wall_ms + loop->virtual_ms;
    }
    uint64_t now = uv_now(&loop->uv);
    if (now != loop->wall_read_ms) {
        loop->wall_read_ms = now;
        loop->wall_ms = mg_wall_ms();
    }
    return loop->wall_ms;
}

void mg_loop_set_now(mg_loop *loop, uint64_t ms) {
    assert(loop->virtual_clock);
    if (ms > loop->virtual_ms) {
        loop->virtual_ms = ms;
        mg_timers_bound_poll(loop);
    }
}

void mg_loop_add_turn(mg_loop *loop, mg_turn *turn) {
    mg_link_append(&loop->turns, &turn->link);
}

void mg_loop_remove_turn(mg_turn *turn) {
    mg_link_remove(&turn->link);
}

void mg_loop_turn_soon(mg_loop *loop) {
    uv_idle_start(&loop->soon, on_soon);
}

// What follows until the next poll is work, whatever it is.
static void note_waiting(uv_prepare_t *h) {
    mg_pulse *pulse = mg_loop_of(h->loop)->pulse;
    atomic_store_explicit(&pulse->busy_since_ms, 0, memory_order_relaxed);
}

static void note_working(const mg_loop *loop) {
    mg_pulse *pulse = loop->pulse;
    uint64_t progress = atomic_load_explicit(&pulse->progress, memory_order_relaxed);
    atomic_store_explicit(&pulse->progress, progress + 1, memory_order_relaxed);
    atomic_store_explicit(&pulse->busy_since_ms, uv_now(&loop->uv), memory_order_relaxed);
}

void mg_loop_set_pulse(mg_loop *loop, mg_pulse *pulse) {
    loop->pulse = pulse;
    if (pulse != NULL) {
        uv_prepare_start(&loop->before_poll, note_waiting);
        uv_unref((uv_handle_t *)&loop->before_poll);
    } else {
        uv_prepare_stop(&loop->before_poll);
    }
}

bool mg_loop_has_tasks(const mg_loop *loop) {
    return loop->tasks > 0;
}

bool mg_loop_has_outside_work(const mg_loop *loop) {
    return loop->tasks > 0 || loop->descriptors > 0;
}

// On a virtual clock neither listeners nor timers keep libuv alive: there alive means that waiting
// could help.
void mg_loop_hold(mg_loop *loop) {
    if (loop->holds++ == 0 && !loop->virtual_clock) {
        uv_ref((uv_handle_t *)&loop->after_poll);
    }
}

void mg_loop_release(mg_loop *loop) {
    assert(loop->holds > 0);
    if (--loop->holds == 0 && !loop->virtual_clock) {
        uv_unref((uv_handle_t *)&loop->after_poll);
    }
}

static void prepare_process(void) {
    // libuv's default of 4 threads lets four slow disks stop every file; the operator's own choice
    // stands.
    setenv("UV_THREADPOOL_SIZE", "8", 0);
    struct sigaction old;
    // A peer that has left must be an error of write, never the end of the process.
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
        signal(SIGPIPE, SIG_IGN);
    }
}

static void after_poll(uv_check_t *h) {
    mg_loop *loop = mg_loop_of(h->loop);
    uv_idle_stop(&loop->soon);
    loop->polled_ms = uv_now(&loop->uv);
    if (loop->pulse != NULL) {
        note_working(loop);
    }
    mg_pairs_deliver(loop);
    if (loop->freeing) {
        return;
    }
    loop->heard = true;
    mg_timers_fire(loop);
    run_hooks(loop);
    loop->heard = false;
    loop->shakes = 0;
    loop->shakes_ns = 0;
}

// A mark in the list keeps the place, whatever hooks come and go while one runs.
static void run_hooks(mg_loop *loop) {
    mg_link mark;
    mg_link_init(&mark);
    mg_link_append(loop->turns.next, &mark);
    while (mark.next != &loop->turns) {
        mg_link *l = mark.next;
        mg_link_remove(&mark);
        mg_link_append(l->next, &mark);
        mg_turn *turn = MG_OF(l, mg_turn, link);
        turn->run(turn);
    }
    mg_link_remove(&mark);
}

static void on_soon(uv_idle_t *h) {
    (void)h; // only there so that the poll does not wait
}

static void poll_once(mg_loop *loop, uv_run_mode mode) {
    assert(!loop->turning);
    loop->turning = true;
    uv_run(&loop->uv, mode);
    loop->turning = false;
}

static mg_loop_progress virtual_turn(mg_loop *loop, bool may_wait, bool may_jump,
                                     uint64_t limit_ms) {
    uint64_t before = loop->happened;
    bool wanted = uv_is_active((uv_handle_t *)&loop->soon);
    mg_loop_turn_soon(loop);
    poll_once(loop, UV_RUN_NOWAIT);
    if (wanted || loop->happened != before || uv_is_active((uv_handle_t *)&loop->soon)) {
        return MG_LOOP_MOVED;
    }
    uint64_t next_ms = mg_timers_next_ms(loop);
    bool rests = loop->tasks == 0 && loop->awaited == 0;
    if (may_jump && rests && next_ms != UINT64_MAX && next_ms <= limit_ms) {
        mg_loop_set_now(loop, next_ms);
        poll_once(loop, UV_RUN_NOWAIT);
        return MG_LOOP_JUMPED;
    }
    if (!uv_loop_alive(&loop->uv)) {
        return MG_LOOP_IDLE;
    }
    if (may_wait) {
        poll_once(loop, UV_RUN_ONCE);
    }
    return MG_LOOP_MOVED;
}

// Until the last close callback has come and the last thread is back, even if a stop is pending.
static void run_dry(mg_loop *loop) {
    do {
        poll_once(loop, UV_RUN_DEFAULT);
    } while (uv_loop_alive(&loop->uv));
}

static int close_leaked(mg_loop *loop) {
    int leaked = 0;
    uv_walk(&loop->uv, close_if_leaked, &leaked);
    return leaked;
}

static void close_if_leaked(uv_handle_t *h, void *arg) {
    mg_loop *loop = mg_loop_of(h->loop);
    bool own = h == (uv_handle_t *)&loop->bound || h == (uv_handle_t *)&loop->soon ||
               h == (uv_handle_t *)&loop->after_poll || h == (uv_handle_t *)&loop->before_poll;
    if (own || uv_is_closing(h)) {
        return;
    }
    ++*(int *)arg;
#ifdef MG_DEBUG
    uv_os_fd_t fd = -1;
    uv_fileno(h, &fd);
    fprintf(stderr, "moongate: nobody closed a %s handle (descriptor %d)\n",
            uv_handle_type_name(h->type), fd);
#endif
    uv_close(h, NULL);
}
