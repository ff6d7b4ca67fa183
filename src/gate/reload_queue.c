#include "gate/reload_queue.h"

#include <string.h>

static bool holds_signal(const mg_reload_queue *q) {
    for (size_t i = 0; i < q->n; i++) {
        if (q->items[i].reply == NULL) {
            return true;
        }
    }
    return false;
}

bool mg_reload_queue_add(mg_reload_queue *q, const mg_reload_request *r) {
    if (r->reply == NULL && holds_signal(q)) {
        return true;
    }
    if (q->n == MG_RELOADS_WAITING) {
        return false;
    }
    q->items[q->n++] = *r;
    return true;
}

bool mg_reload_queue_take(mg_reload_queue *q, mg_reload_request *out) {
    if (q->n == 0) {
        return false;
    }
    *out = q->items[0];
    q->n--;
    memmove(q->items, q->items + 1, q->n * sizeof *q->items);
    return true;
}
