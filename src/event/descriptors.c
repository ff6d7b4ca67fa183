#include "event/descriptors.h"

#include "event/loop_inside.h"

#include <assert.h>

void mg_descriptors_hold(mg_loop *loop, uint32_t n) {
    loop->held_descriptors += n;
}

void mg_descriptors_release(mg_loop *loop, uint32_t n) {
    assert(loop->held_descriptors >= n);
    loop->held_descriptors -= n;
    mg_loop_descriptor_released(loop);
}

void mg_loop_descriptor_released(mg_loop *loop) {
    for (mg_link *l = loop->holders.next; l != &loop->holders; l = l->next) {
        mg_holder *h = MG_OF(l, mg_holder, link);
        if (h->on_released != NULL) {
            h->on_released(h);
        }
    }
}

uint32_t mg_descriptors_open(const mg_loop *loop) {
    return loop->descriptors + loop->held_descriptors;
}

void mg_descriptors_set_limit(mg_loop *loop, uint32_t most) {
    loop->descriptor_limit = most;
    mg_loop_descriptor_released(loop);
}

uint32_t mg_descriptors_left(const mg_loop *loop) {
    uint32_t open = mg_descriptors_open(loop);
    return open < loop->descriptor_limit ? loop->descriptor_limit - open : 0;
}

static mg_holder *idle_holder(const mg_loop *loop) {
    for (mg_link *l = loop->holders.next; l != &loop->holders; l = l->next) {
        mg_holder *h = MG_OF(l, mg_holder, link);
        if (h->has_idle(h)) {
            return h;
        }
    }
    return NULL;
}

bool mg_descriptors_has_idle(const mg_loop *loop) {
    return idle_holder(loop) != NULL;
}

bool mg_descriptors_room(mg_loop *loop, uint32_t n) {
    while ((uint64_t)mg_descriptors_open(loop) + n > loop->descriptor_limit) {
        mg_holder *h = idle_holder(loop);
        if (h == NULL) {
            return false;
        }
        h->close_idle(h);
    }
    return true;
}

void mg_descriptors_add_holder(mg_loop *loop, mg_holder *h) {
    mg_link_append(&loop->holders, &h->link);
}

void mg_descriptors_remove_holder(mg_holder *h) {
    mg_link_remove(&h->link);
}
