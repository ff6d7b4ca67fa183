#include "event/loop_inside.h"

enum {
    LOOKS = 64,  // of those that wait, for each that is given up
    FAST = 1000, // bytes in a millisecond
};

void mg_intakes_init(mg_intakes *all, mg_loop *loop) {
    *all = (mg_intakes){.loop = loop};
    mg_link_init(&all->list);
}

mg_intakes *mg_loop_intakes(mg_loop *loop) {
    return &loop->intakes;
}

void mg_intake_init(mg_intake *i, void (*give_up)(mg_intake *i)) {
    *i = (mg_intake){.give_up = give_up};
    mg_link_init(&i->link);
}

static bool is_too_much(const mg_intakes *all) {
    return all->most > 0 && all->held > all->most;
}

void mg_intake_hold(mg_intakes *all, mg_intake *i, size_t held, bool more) {
    i->fresh += held > i->held ? held - i->held : 0;
    all->held += held;
    all->held -= i->held;
    i->held = held;
    all->over |= is_too_much(all);
    if (held == 0 || !more) {
        mg_link_remove(&i->link);
    } else if (mg_link_alone(&i->link)) {
        i->since_ms = mg_loop_now_ms(all->loop);
        i->fresh = 0;
        mg_link_append(&all->list, &i->link);
    }
}

// Bytes held for each that comes in a millisecond.
static double look(const mg_intakes *all, mg_intake *i) {
    uint64_t now = mg_loop_now_ms(all->loop);
    double rate = (double)i->fresh / (1.0 + (double)(now - i->since_ms));
    i->since_ms = now;
    i->fresh = 0;
    return (double)i->held / (1.0 + (i->paused || rate > FAST ? FAST : rate));
}

// Of the next few; they are looked at again when all others were.
static mg_intake *worst(mg_intakes *all) {
    mg_intake *found = NULL;
    double most = -1;
    const mg_link *last = all->list.prev;
    for (int n = 0; n < LOOKS; n++) {
        mg_link *l = mg_link_shift(&all->list);
        mg_link_append(&all->list, l);
        mg_intake *i = MG_OF(l, mg_intake, link);
        double weight = look(all, i);
        if (weight > most) {
            most = weight;
            found = i;
        }
        if (l == last) {
            break;
        }
    }
    return found;
}

void mg_intakes_bound(mg_intakes *all) {
    bool over = all->over;
    all->over = false;
    while (over && is_too_much(all) && all->list.next != all->list.prev) {
        mg_intake *i = worst(all);
        mg_link_remove(&i->link);
        i->give_up(i);
    }
}
