#include "http/h2_schedule.h"

#include "http/h2_send.h"

enum { URGENCIES = 8, USUAL = 3 };

// Behind the others of its urgency. Without a window it waits in no list.
static void enter(mg_h2 *h, mg_h2_stream *s) {
    if (s->wants && s->send_window > 0 && mg_link_alone(&s->turn)) {
        mg_link_append(&h->turns[s->urgency], &s->turn);
    }
}

void mg_h2_want(mg_h2 *h, mg_h2_stream *s, bool wants) {
    if (mg_h2_is_closed(s)) {
        return;
    }
    s->wants = wants;
    if (wants) {
        enter(h, s);
    } else {
        mg_link_remove(&s->turn);
    }
}

void mg_h2_schedule_window(mg_h2 *h, mg_h2_stream *s) {
    if (s->send_window > 0) {
        enter(h, s);
    } else {
        mg_link_remove(&s->turn);
    }
}

void mg_h2_schedule_sent(mg_h2 *h, mg_h2_stream *s) {
    if (mg_link_alone(&s->turn)) {
        return;
    }
    if (s->incremental || s->send_window <= 0) {
        mg_link_remove(&s->turn);
        enter(h, s);
    }
}

mg_h2_stream *mg_h2_next(mg_h2 *h, size_t *room) {
    if (h->send_window <= 0) {
        return NULL;
    }
    for (int u = 0; u < URGENCIES; u++) {
        if (!mg_link_alone(&h->turns[u])) {
            mg_h2_stream *s = MG_OF(h->turns[u].next, mg_h2_stream, turn);
            *room = mg_h2_room(h, s);
            return s;
        }
    }
    return NULL;
}

// A dictionary of structured fields (RFC 8941 section 3.2), of which two members count: u=0 to u=7,
// and i or i=?1. The last of a name counts.
void mg_h2_prioritize(mg_h2 *h, mg_h2_stream *s, mg_str value) {
    uint8_t urgency = USUAL;
    bool incremental = false;
    mg_str item;
    while (mg_str_next_item(&value, &item)) {
        const char *semicolon = memchr(item.p, ';', item.n); // parameters: none is known
        item.n = semicolon != NULL ? (size_t)(semicolon - item.p) : item.n;
        item = mg_str_trim(item);
        if (item.n == 3 && item.p[0] == 'u' && item.p[1] == '=' && item.p[2] >= '0' &&
            item.p[2] <= '7') {
            urgency = (uint8_t)(item.p[2] - '0');
        } else if (mg_str_eq(item, MG_STR("i")) || mg_str_eq(item, MG_STR("i=?1"))) {
            incremental = true;
        } else if (mg_str_eq(item, MG_STR("i=?0"))) {
            incremental = false;
        }
    }
    s->urgency = urgency;
    s->incremental = incremental;
    if (!mg_link_alone(&s->turn)) {
        mg_link_remove(&s->turn);
        enter(h, s);
    }
}
