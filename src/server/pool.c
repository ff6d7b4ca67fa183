#include "server/pool.h"

#include "base/mem.h"

enum { BUFFER_KEEP = 64 * 1024 }; // larger output buffers are not kept for reuse

// --- exchanges ---

mg_exchange *mg_exchange_take(mg_exchange_pool *p, mg_server *server, const mg_wire *wire) {
    mg_exchange *x = p->free;
    if (x != NULL) {
        p->free = x->next_free;
        p->count--;
        mg_arena arena = x->arena;
        memset(x, 0, wire->exchange_bytes);
        x->arena = arena;
    } else {
        x = mg_calloc(1, wire->exchange_bytes);
    }
    x->server = server;
    x->wire = wire;
    mg_link_init(&x->app_link);
    mg_deadline_init(&x->handler_deadline);
    return x;
}

void mg_exchange_give(mg_exchange_pool *p, mg_exchange *x) {
    mg_deadline_stop(&x->handler_deadline);
    mg_timer_stop(&x->handler_timer);
    mg_timer_stop(&x->body_timer);
    mg_exchange_forget_content(x);
    if (p->count >= MG_EXCHANGE_POOL) {
        mg_arena_deinit(&x->arena);
        mg_free(x);
        return;
    }
    mg_arena_reset(&x->arena);
    x->next_free = p->free;
    p->free = x;
    p->count++;
}

void mg_exchange_pool_deinit(mg_exchange_pool *p) {
    while (p->free != NULL) {
        mg_exchange *x = p->free;
        p->free = x->next_free;
        mg_arena_deinit(&x->arena);
        mg_free(x);
    }
    p->count = 0;
}

// --- output ---

static void free_output(mg_output *o) {
    mg_buf_deinit(&o->bytes);
    mg_free(o);
}

// It has no memory of its own at first: those who are told something in one turn are many.
mg_output *mg_output_take(mg_output_pool *p) {
    if (p->count > 0) {
        return p->free[--p->count];
    }
    mg_output *o = mg_calloc(1, sizeof *o);
    mg_link_init(&o->dirty);
    return o;
}

void mg_output_give(mg_output_pool *p, mg_output *o) {
    if (p->count == MG_OUTPUT_POOL || o->bytes.cap > BUFFER_KEEP) {
        free_output(o);
        return;
    }
    mg_buf_clear(&o->bytes);
    p->free[p->count++] = o;
}

void mg_output_pool_deinit(mg_output_pool *p) {
    while (p->count > 0) {
        free_output(p->free[--p->count]);
    }
}
