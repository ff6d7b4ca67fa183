// What is sent: content goes out at once where nothing stands in its way, else it waits in its
// exchange until http/h2_schedule says that it is its turn.

#include "server/h2_inside.h"
#include "server/server.h"

enum {
    WAITING_HIGH = 64 * 1024, // whoever sends has to wait
    COPY_MAX = 8 * 1024,      // what is larger is not copied behind what is gathered
};

// --- what waits ---

static void count_waiting(mg_h2_exchange *e) {
    e->via->waiting -= e->counted;
    mg_owed_count(e->x.server, &e->counted, mg_h2_waiting(e));
    e->via->waiting += e->counted;
}

void mg_h2_drop_waiting(mg_h2_exchange *e) {
    mg_buf_deinit(&e->waiting);
    e->waiting_at = 0;
    count_waiting(e);
}

// The clock of what waits runs from one look to the next, that of a tunnel from its last byte.
void mg_h2_arm(mg_h2_exchange *e) {
    mg_server *s = e->x.server;
    if (mg_h2_waiting(e) > 0 && mg_link_alone(&e->deadline.link)) {
        e->sent_mark = e->sent;
        mg_deadline_start(&s->h2_content, &e->deadline);
    } else if (mg_h2_waiting(e) > 0) {
        return;
    } else if (e->tunnel != NULL) {
        mg_deadline_start(&s->h2_tunnel, &e->deadline);
    } else {
        mg_deadline_stop(&e->deadline);
    }
}

static void wait_for_turn(mg_h2_exchange *e, mg_str data) {
    bool first = mg_h2_waiting(e) == 0;
    mg_buf_append_behind(&e->waiting, &e->waiting_at, data);
    count_waiting(e);
    if (first) {
        mg_deadline_stop(&e->deadline);
        mg_h2_arm(e);
        mg_h2_want(&e->via->h2, &e->stream, true);
    }
}

// --- frames ---

static mg_str cut(mg_str *from, size_t n) {
    mg_str piece = {from->p, n};
    from->p += n;
    from->n -= n;
    return piece;
}

// The most of `data` that fits into a frame now; 0: none.
static size_t fits(const mg_h2_exchange *e, mg_str data) {
    size_t room = mg_h2_room(&e->via->h2, &e->stream);
    return room < data.n ? room : data.n;
}

static void send_copied(mg_h2_exchange *e, mg_str *data, bool last) {
    mg_conn *c = e->via->conn;
    for (size_t n; data->n > 0 && (n = fits(e, *data)) > 0;) {
        bool end = last && n == data->n;
        mg_h2_send_data(&e->via->h2, &e->stream, mg_conn_out(c), cut(data, n), end);
    }
    mg_conn_relieve(c);
}

// One write for several frames, whose content stays where it is.
static void send_in_place(mg_h2_exchange *e, mg_str *data, bool last) {
    mg_conn *c = e->via->conn;
    mg_conn_piece pieces[MG_CONN_PIECES];
    int count = 0;
    for (size_t n; count < MG_CONN_PIECES && data->n > 0 && (n = fits(e, *data)) > 0; count++) {
        mg_buf *out = mg_conn_out(c);
        mg_h2_send_data_header(&e->via->h2, &e->stream, out, n, last && n == data->n);
        pieces[count] = (mg_conn_piece){out->n, cut(data, n)};
    }
    mg_conn_write_between(c, pieces, count);
}

// Sends the beginning of `data` as far as it may go, and leaves the rest in it.
static void send_at_once(mg_h2_exchange *e, mg_str *data, bool last) {
    const mg_conn *c = e->via->conn;
    size_t before = data->n;
    while (data->n > COPY_MAX && fits(e, *data) > 0 && c->stream.queued == 0 && !c->broken) {
        send_in_place(e, data, last);
    }
    if (c->stream.queued == 0) {
        send_copied(e, data, last);
    }
    e->sent += (uint32_t)(before - data->n);
}

int mg_h2_content(mg_h2_exchange *e, mg_str data, bool last) {
    const mg_conn *c = e->via->conn;
    if (c->broken || mg_h2_is_closed(&e->stream)) {
        return MG_ECLOSED;
    }
    if (mg_h2_waiting(e) == 0) {
        send_at_once(e, &data, last);
    }
    if (data.n > 0) {
        e->ending |= last;
        wait_for_turn(e, data);
    } else if (e->tunnel != NULL) {
        mg_h2_arm(e);
    }
    return mg_h2_waiting(e) > WAITING_HIGH ? MG_EAGAIN : MG_OK;
}

// --- whose turn it is ---

static void all_is_sent(mg_h2_exchange *e) {
    mg_h2_drop_waiting(e);
    mg_h2_arm(e);
    if (!mg_h2_is_closed(&e->stream)) {
        mg_h2_want(&e->via->h2, &e->stream, false);
    }
    if (e->ending && !mg_h2_is_closed(&e->stream) && !e->stream.end_sent) {
        mg_h2_send_end(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), &e->trailers);
    }
    if (e->tunnel != NULL) {
        mg_h2_tunnel_drained(e);
    } else if (e->x.phase == MG_EXCHANGE_ANSWERED) {
        mg_h2_answered(e);
    } else {
        mg_exchange_writable(&e->x);
    }
}

static void send_next(mg_h2_exchange *e, size_t room) {
    mg_conn *c = e->via->conn;
    mg_str left = {e->waiting.p + e->waiting_at, mg_h2_waiting(e)};
    size_t n = room < left.n ? room : left.n;
    bool end = e->ending && n == left.n && e->trailers.count == 0;
    mg_h2_send_data(&e->via->h2, &e->stream, mg_conn_out(c), (mg_str){left.p, n}, end);
    e->waiting_at += n;
    e->sent += (uint32_t)n;
    count_waiting(e);
    if (mg_h2_waiting(e) == 0) {
        all_is_sent(e);
    }
}

void mg_h2_pump(mg_h2_conn *h) {
    mg_conn *c = h->conn;
    while (c->stream.queued == 0 && !c->broken && !h->over && !h->gone) {
        size_t room;
        mg_h2_stream *s = mg_h2_next(&h->h2, &room);
        if (s == NULL) {
            break;
        }
        send_next(MG_OF(s, mg_h2_exchange, stream), room);
        mg_conn_relieve(c);
    }
}

// --- deadlines ---

static mg_h2_exchange *late(mg_deadline *d) {
    return MG_OF(d, mg_h2_exchange, deadline);
}

bool mg_h2_content_moves(mg_deadline *d) {
    mg_h2_exchange *e = late(d);
    mg_server *s = e->x.server;
    bool moves = mg_owed_moves(s, &s->h2_content, d, e->sent - e->sent_mark);
    if (moves) {
        mg_deadline_stop(d);
        mg_h2_arm(e);
    }
    return moves;
}

mg_conn *mg_h2_content_conn(mg_deadline *d) {
    return late(d)->via->conn;
}

uint64_t mg_h2_content_owed(mg_deadline *d) {
    return late(d)->via->waiting;
}

void mg_h2_content_give_up(mg_deadline *d) {
    mg_h2_exchange_reset(late(d), MG_H2_CANCEL);
}

void mg_h2_content_late(mg_deadline *d) {
    if (!mg_h2_content_moves(d)) {
        mg_h2_content_give_up(d);
    }
}
