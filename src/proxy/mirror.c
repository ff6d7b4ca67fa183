#include "proxy/mirror.h"

#include "base/mem.h"
#include "proxy/upstream_inside.h"

struct mg_mirror {
    mg_link link;     // in its set, when it is sent
    mg_upstream *of;  // that wants it
    mg_upstream *to;  // that gets it
    mg_buf body;      // until it is sent
    bool too_large;   // the body was
    mg_ticket ticket; // when it is sent
    mg_call *call;
};

static void count(const mg_mirror *m, bool sent) {
    mg_upstream_counts *own = m->of->pool->hold.own;
    mg_count_total(sent ? &own->mirrored : &own->mirror_dropped);
}

mg_mirror *mg_mirror_new(mg_upstream *u) {
    const mg_mirror_options *o = &u->options.mirror;
    if (o->to == NULL || mg_random_unit(&u->set->base->random) >= o->share) {
        return NULL;
    }
    mg_upstream *to = mg_upstreams_find(u->set, mg_str_of(o->to));
    if (to == NULL) {
        return NULL; // the configuration was checked for this
    }
    mg_mirror *m = mg_calloc(1, sizeof *m);
    m->of = u;
    m->to = to;
    return m;
}

static void free_mirror(mg_mirror *m) {
    mg_buf_deinit(&m->body);
    mg_free(m);
}

void mg_mirror_drop(mg_mirror *m) {
    if (m != NULL) {
        count(m, false);
        free_mirror(m);
    }
}

void mg_mirror_add(mg_mirror *m, mg_str piece) {
    if (m == NULL || m->too_large) {
        return;
    }
    m->too_large = m->body.n + piece.n > MG_MIRROR_BODY_BYTES;
    if (m->too_large) {
        mg_buf_deinit(&m->body);
    } else {
        mg_buf_append_str(&m->body, piece);
    }
}

// --- the copy on its way ---

// The set may go with it.
static void end(mg_mirror *m, const mg_outcome *outcome) {
    mg_call_close(m->call);
    mg_link_remove(&m->link);
    m->of->set->mirror_count--;
    mg_ticket_end(&m->ticket, outcome);
    free_mirror(m);
}

static void on_change(void *arg, mg_call *call) {
    mg_mirror *m = arg;
    mg_call_state state = mg_call_state_of(call);
    if (state == MG_CALL_DONE) {
        end(m, &(mg_outcome){.status = mg_call_response(call)->status});
    } else if (state == MG_CALL_FAILED) {
        end(m, &(mg_outcome){0});
    }
}

static void on_piece(void *arg, mg_call *call, mg_str piece) {
    (void)arg;
    (void)call;
    (void)piece;
}

static void start(mg_mirror *m, const mg_mirrored *request) {
    static const mg_call_events events = {.on_change = on_change, .on_piece = on_piece};
    const mg_head *h = &request->exchange->head;
    const mg_upstream_server *server = m->ticket.server;
    const mg_upstream_options *of = mg_upstream_options_of(m->ticket.upstream);
    uint32_t connect_ms = (uint32_t)of->timeouts.connect_ms;
    const mg_call_options call = {
        .origin = mg_ticket_origin(&m->ticket, request->exchange),
        .timeouts = {.wait_ms = connect_ms,
                     .connect_ms = connect_ms,
                     .first_byte_ms = (uint32_t)of->timeouts.first_byte_ms,
                     .idle_ms = (uint32_t)of->timeouts.idle_ms},
        .method = h->method_text,
        .target = request->target,
        .authority = mg_forward_host(h, request->rules, of, server->authority),
        .fields = *request->fields,
        .body = mg_buf_str(&m->body),
        .has_body = request->has_body,
        .stream = true,
        .max_bytes = UINT64_MAX,
    };
    (void)mg_call_start(&m->call, server->client, &call, &events, m); // cannot fail
    mg_buf_deinit(&m->body);
}

void mg_mirror_send(mg_mirror *m, const mg_mirrored *request) {
    if (m == NULL) {
        return;
    }
    mg_upstreams *set = m->of->set;
    const mg_choice choice = {.exchange = request->exchange, .kind = MG_CHOICE_MIRROR};
    if (m->too_large || set->mirror_count >= MG_MIRRORS_MOST ||
        mg_upstream_choose(m->to, &choice, &m->ticket, NULL) != MG_OK) {
        mg_mirror_drop(m);
        return;
    }
    count(m, true);
    set->mirror_count++;
    mg_link_append(&set->mirrors, &m->link);
    start(m, request);
}

// With the last of them the set goes: who calls this has a reference of its own.
void mg_mirrors_end(mg_upstreams *us) {
    while (!mg_link_alone(&us->mirrors)) {
        mg_mirror *m = MG_OF(us->mirrors.next, mg_mirror, link);
        count(m, false);
        end(m, &(mg_outcome){.cancelled = true});
    }
}
