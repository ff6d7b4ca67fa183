#include "server/owed.h"

#include "server/h2.h"
#include "server/server.h"

enum {
    LOOKS = 64,      // entries of a kind that are looked at for each that goes
    GRACE_MS = 250,  // who takes at all has taken something by then
    PAUSE_MS = 2000, // who has taken more than buffers hold may rest for so long
    PROVEN_BYTES = 256 * 1024,
};

// Those who owe, in the order in which they were last seen to take something.
typedef struct kind {
    mg_deadlines *(*queue)(mg_server *s);
    bool (*moves)(mg_deadline *d);       // it has taken enough, and stands at the end again
    mg_conn *(*conn)(mg_deadline *d);    // whose it is
    uint64_t (*streams)(mg_deadline *d); // bytes that its connection owes beyond its own
    void (*give_up)(mg_deadline *d);
} kind;

static mg_deadlines *of_conns(mg_server *s) {
    return &s->send;
}

static mg_deadlines *of_streams(mg_server *s) {
    return &s->h2_content;
}

static mg_conn *conn_of(mg_deadline *d) {
    return MG_OF(d, mg_conn, deadline);
}

static bool conn_moves(mg_deadline *d) {
    return mg_conn_takes(conn_of(d));
}

static uint64_t no_streams(mg_deadline *d) {
    (void)d;
    return 0;
}

static void close_conn(mg_deadline *d) {
    mg_conn_close(conn_of(d), MG_GONE_CLIENT);
}

static const kind kinds[] = {
    {of_conns, conn_moves, conn_of, no_streams, close_conn},
    {of_streams, mg_h2_content_moves, mg_h2_content_conn, mg_h2_content_owed,
     mg_h2_content_give_up},
};

typedef struct debtor {
    const kind *kind; // NULL: none
    mg_deadline *d;
    bool moves;
    bool stands;   // it takes nothing, for longer than a pause
    double weight; // bytes owed for each that was taken
} debtor;

static bool is_too_much(const mg_server *s) {
    return s->options.output_bytes > 0 && s->waiting > s->options.output_bytes;
}

void mg_owed_count(mg_server *s, uint32_t *counted, size_t now) {
    s->waiting += now;
    s->waiting -= *counted;
    *counted = (uint32_t)now;
    s->owing |= is_too_much(s);
}

static uint64_t age_ms(const mg_server *s, const mg_deadlines *q, const mg_deadline *d) {
    uint64_t then = mg_deadline_started_ms(q, d);
    uint64_t now = mg_loop_now_ms(s->loop);
    return now > then ? now - then : 0;
}

bool mg_owed_moves(const mg_server *s, const mg_deadlines *q, const mg_deadline *d,
                   uint32_t progress) {
    return progress > 0 && progress >= s->options.answer_rate * age_ms(s, q, d) / 1000;
}

static debtor debtor_of(mg_server *s, const kind *k, mg_deadline *d) {
    mg_conn *c = k->conn(d);
    uint64_t taken = mg_conn_taken(c);
    uint64_t age = age_ms(s, k->queue(s), d);
    bool moves = k->moves(d);
    bool stands = !moves && age >= (taken > PROVEN_BYTES ? PAUSE_MS : GRACE_MS);
    double owed = (double)(c->waiting + k->streams(d));
    return (debtor){k, d, moves, stands, owed / (1.0 + (double)taken)};
}

static bool goes_before(const debtor *a, const debtor *b) {
    if (b->kind == NULL || a->moves != b->moves) {
        return b->kind == NULL || b->moves;
    }
    return a->weight > b->weight;
}

// Looks at the first of a kind. True: `worst` has owed for a while, and takes nothing.
static bool look(mg_server *s, const kind *k, debtor *worst) {
    mg_deadlines *q = k->queue(s);
    const mg_link *last = q->head.prev; // whoever moves goes behind it
    mg_link *next = q->head.next;
    for (int i = 0; i < LOOKS && next != &q->head; i++) {
        mg_link *l = next;
        next = l != last ? l->next : &q->head;
        mg_deadline *d = MG_OF(l, mg_deadline, link);
        debtor this = debtor_of(s, k, d);
        if (this.stands || goes_before(&this, worst)) {
            *worst = this;
        }
        if (this.stands) {
            return true;
        }
    }
    return false;
}

void mg_owed_bound(mg_server *s) {
    while (s->owing && is_too_much(s)) {
        debtor worst = {NULL, NULL, false, false, 0};
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !look(s, &kinds[i], &worst); i++) {
        }
        if (worst.kind == NULL || !is_too_much(s)) {
            break; // they are on their way out, or were found to have taken enough
        }
        worst.kind->give_up(worst.d);
    }
    s->owing = false;
}
