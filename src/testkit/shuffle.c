#include "testkit/shuffle.h"

static size_t count(const mg_link *head) {
    size_t n = 0;
    for (const mg_link *l = head->next; l != head; l = l->next) {
        n++;
    }
    return n;
}

static mg_link *nth(mg_link *head, size_t n) {
    mg_link *l = head->next;
    while (n-- > 0) {
        l = l->next;
    }
    return l;
}

// Takes the operations out of `from`. Signals stay, which are told in the order in which they came:
// they have no handle.
static void take_operations(mg_link *to, mg_link *from) {
    mg_link *next;
    for (mg_link *l = from->next; l != from; l = next) {
        next = l->next;
        if (MG_OF(l, mg_op, link)->handle != 0) {
            mg_link_remove(l);
            mg_link_append(to, l);
        }
    }
}

static mg_link *draw(mg_testkit_shuffle *s, mg_link *from, size_t n) {
    mg_link *l = nth(from, (size_t)mg_random_below(&s->random, n));
    mg_link_remove(l);
    return l;
}

// Half of what has finished is told now.
static void shuffle_operations(mg_testkit_shuffle *s) {
    mg_link all;
    mg_link_init(&all);
    take_operations(&all, &s->held);
    take_operations(&all, &s->vm->events);
    for (size_t n = count(&all); n > 0; n--) {
        bool now = mg_random_below(&s->random, 2) == 0;
        mg_link_append(now ? &s->vm->events : &s->held, draw(s, &all, n));
    }
    if (!mg_link_alone(&s->held)) {
        mg_loop_turn_soon(s->vm->loop);
    }
}

static void shuffle_requests(mg_testkit_shuffle *s) {
    mg_link all;
    mg_link_init(&all);
    for (mg_link *l; (l = mg_link_shift(&s->vm->requests)) != NULL;) {
        mg_link_append(&all, l);
    }
    for (size_t n = count(&all); n > 0; n--) {
        mg_link_append(&s->vm->requests, draw(s, &all, n));
    }
}

static void on_turn(mg_turn *turn) {
    mg_testkit_shuffle *s = MG_OF(turn, mg_testkit_shuffle, turn);
    if (s->on) {
        shuffle_operations(s);
        shuffle_requests(s);
    }
}

void mg_testkit_shuffle_init(mg_testkit_shuffle *s, mg_vm *vm) {
    *s = (mg_testkit_shuffle){.turn = {.run = on_turn}, .vm = vm};
    mg_link_init(&s->held);
    mg_loop_add_turn(vm->loop, &s->turn);
}

void mg_testkit_shuffle_deinit(mg_testkit_shuffle *s) {
    mg_testkit_shuffle_seed(s, 0);
    mg_loop_remove_turn(&s->turn);
}

void mg_testkit_shuffle_seed(mg_testkit_shuffle *s, uint64_t seed) {
    s->on = seed != 0;
    mg_random_init(&s->random, seed);
    take_operations(&s->vm->events, &s->held);
}
