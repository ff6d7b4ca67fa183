// server/pins.h: what holds a generation: the requests that it has not ended yet.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct mg_pins mg_pins;
struct mg_pins {
    uint32_t count;
    void (*on_none)(void *arg); // NULL: nobody waits for the last to go
    void *arg;
};

static inline void mg_pins_drop(mg_pins *p) {
    if (--p->count == 0 && p->on_none != NULL) {
        p->on_none(p->arg);
    }
}
