// cells.h: an upstream with servers in a room of this process alone, for tests of what works on
// cells.
#pragma once

#include "unit.h"

#include "proxy/outlier.h"

#include <sys/mman.h>

enum { CELLS_MOST = 8 };

typedef struct cells {
    mg_shared *shared;
    mg_upstream_hold upstream;
    mg_server_hold servers[CELLS_MOST];
    const mg_server_hold *list[CELLS_MOST];
    mg_server_group group;
} cells;

// A room for several workers.
static inline void *room_new(void) {
    void *room =
        mmap(NULL, mg_shared_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(room, MAP_FAILED);
    return room;
}

static inline void room_free(void *room) {
    munmap(room, mg_shared_bytes());
}

static inline void cells_init(cells *c, void *room, uint32_t worker, size_t n) {
    char address[40];
    *c = (cells){.shared = mg_shared_new(room, worker)};
    assert_true(mg_shared_hold_upstream(c->shared, MG_STR("shop"), &c->upstream));
    for (size_t i = 0; i < n; i++) {
        snprintf(address, sizeof address, "http://host-%zu", i);
        assert_true(
            mg_shared_hold_server(c->shared, MG_STR("shop"), mg_str_of(address), &c->servers[i]));
        c->list[i] = &c->servers[i];
    }
    c->group = (mg_server_group){&c->upstream, c->list, n};
}

static inline void cells_deinit(cells *c) {
    for (size_t i = 0; i < c->group.n; i++) {
        mg_shared_drop_server(&c->servers[i]);
    }
    mg_shared_drop_upstream(&c->upstream);
    mg_shared_free(c->shared);
}
