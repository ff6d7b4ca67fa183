// What the master and `moongate status` see of a worker: its cell of the shared memory. And what is
// to be looked after from time to time.

#include "gate/worker_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/redis.h"

#include <stdio.h>
#include <unistd.h>

enum {
    CELL_MS = 500,
    CALM_REQUESTS = 100, // of a tick, at most
    TICKS_TO_TEND = 4,
    BUSY_TICKS = 2,
};

static void fill_life(mg_worker *w) {
    w->cell->pid = (uint32_t)getpid();
    w->cell->generation = w->current != NULL ? w->current->number : 0;
    w->cell->started_wall_ms = w->started_wall_ms;
}

static void fill_cell_generation(mg_cell_generation *out, mg_generation *g) {
    mg_lua_pins pins = mg_lua_app_pins(g->app);
    *out = (mg_cell_generation){g->number, pins.requests, pins.streams, pins.background};
}

static void fill_cell_redis(mg_cell_redis *out, const mg_named_redis *r) {
    mg_redis_stats stats;
    mg_redis_read_stats(r->redis, &stats);
    snprintf(out->name, sizeof out->name, "%s", r->name);
    snprintf(out->state, sizeof out->state, "%s", stats.state);
    out->waiting = stats.waiting;
}

static void show_redis(mg_worker *w) {
    const mg_services *lent = w->current != NULL && w->current->services != NULL
                                  ? mg_service_set_lent(w->current->services)
                                  : NULL;
    for (uint32_t i = 0; i < MG_CELL_REDIS; i++) {
        if (lent != NULL && i < lent->redis_count) {
            fill_cell_redis(&w->cell->redis[i], &lent->redis[i]);
        } else {
            w->cell->redis[i] = (mg_cell_redis){0};
        }
    }
}

// Again and again: another process may have scribbled on it.
void mg_worker_fill_cell(mg_worker *w) {
    fill_life(w);
    mg_cell_generation *at = w->cell->generations;
    mg_cell_generation *end = at + MG_CELL_GENERATIONS;
    if (w->current != NULL) {
        fill_cell_generation(at++, w->current);
        w->cell->lua_bytes = mg_lua_app_memory(w->current->app);
    }
    for (mg_link *l = w->retired.prev; l != &w->retired && at < end; l = l->prev) {
        mg_generation *g = MG_OF(l, mg_generation, link);
        fill_cell_generation(at++, g);
        w->cell->lua_bytes += mg_lua_app_memory(g->app);
    }
    while (at < end) {
        *at++ = (mg_cell_generation){0};
    }
    mg_jobs_show(&w->jobs, w->cell->jobs);
    show_redis(w);
    mg_worker_show_live(w, &w->cell->topics);
    mg_worker_show_sockets(w, w->cell->sockets);
}

// What its worker before has counted goes on, unless that has scribbled there.
static uint64_t carried(uint64_t count) {
    return count >> 53 == 0 ? count : 0;
}

void mg_worker_show_traffic(mg_worker *w) {
    const mg_traffic *before = &w->cell->traffic;
    w->server->stats = (mg_traffic){
        .accepted = carried(before->accepted),
        .requests = carried(before->requests),
        .bytes_in = carried(before->bytes_in),
        .bytes_out = carried(before->bytes_out),
        .failed_handshakes = carried(before->failed_handshakes),
    };
    w->server->shown = &w->cell->traffic;
}

// For some time more than half of a processor: a crowd that connects is no load.
static bool has_been_busy(mg_worker *w) {
    uint64_t cpu_ms = mg_thread_ms();
    uint64_t now_ms = mg_loop_now_ms(w->loop);
    bool busy = 2 * (cpu_ms - w->cpu_ms) > now_ms - w->ticked_ms;
    w->cpu_ms = cpu_ms;
    w->ticked_ms = now_ms;
    w->busy_ticks = busy ? w->busy_ticks + 1 : 0;
    return w->busy_ticks >= BUSY_TICKS;
}

// Many slow readers, large bodies, a crowd that left: the memory of a peak is given back after it.
static void tend_memory(mg_worker *w) {
    bool busy = has_been_busy(w);
    uint64_t requests = w->server != NULL ? w->server->stats.requests : 0;
    bool calm = requests - w->requests_seen < CALM_REQUESTS;
    w->requests_seen = requests;
    if (w->current != NULL) {
        mg_lua_app_pace(w->current->app, busy);
    }
    if (calm && w->current != NULL) {
        mg_lua_app_rest(w->current->app);
    }
    if (calm && ++w->calm_ticks % TICKS_TO_TEND == 0) {
        mg_mem_tend();
    }
}

static void on_cell_time(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, cell_timer);
    mg_worker_fill_cell(w);
    mg_topics_mend(w->topics);
    tend_memory(w);
    mg_jobs_look(&w->jobs, mg_loop_now_ms(w->loop), mg_worker_on_warning, w);
}

void mg_worker_begin_cell(mg_worker *w) {
    w->cell = mg_shm_cell(w->shm, w->slot);
    w->started_wall_ms = mg_loop_wall_ms(w->loop);
    fill_life(w);
    mg_loop_set_pulse(w->loop, &w->cell->pulse);
    mg_timer_start(w->loop, &w->cell_timer, CELL_MS, CELL_MS, on_cell_time);
}
