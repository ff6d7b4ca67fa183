// Which of several servers.

#include "proxy/upstream_inside.h"

// Smooth weighted round robin (as nginx has it): over a round each gets its weight, and nobody
// gets his share in one run.
static mg_member *next_in_turn(mg_member *const *candidates, size_t n) {
    int64_t all = 0;
    mg_member *best = NULL;
    for (size_t i = 0; i < n; i++) {
        mg_member *m = candidates[i];
        m->current += m->weight;
        all += m->weight;
        if (best == NULL || m->current > best->current) {
            best = m;
        }
    }
    best->current -= all;
    return best;
}

mg_member *mg_balance_pick(mg_upstream *u, const mg_choice *choice, mg_member *const *candidates,
                           size_t n) {
    (void)u;
    (void)choice;
    return n == 1 ? candidates[0] : next_in_turn(candidates, n);
}
