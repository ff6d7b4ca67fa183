#include "proxy/passage.h"

#include "base/mem.h"
#include "proxy/upstream_inside.h"
#include "server/kept_record.h"
#include "server/options.h"

typedef struct passage {
    mg_link link; // in the base
    mg_tunnel client, server;
    bool client_open, server_open;
    mg_buf early; // what the client sent before the server's side was open
    mg_ticket ticket;
    mg_timer drain; // its server has left the configuration
    mg_kept_record *record;
    mg_relayed relayed;
    mg_arena texts; // of it
    bool beginning; // the memory stays until that is over
    bool over;
} passage;

static passage *of_client(mg_tunnel *t) {
    return MG_OF(t, passage, client);
}

static passage *of_server(mg_tunnel *t) {
    return MG_OF(t, passage, server);
}

// --- the end ---

static void free_passage(passage *p) {
    mg_buf_deinit(&p->early);
    mg_arena_deinit(&p->texts);
    mg_free(p);
}

static void close_side(mg_tunnel *t, bool *open, bool broken) {
    if (*open) {
        *open = false;
        (broken ? mg_tunnel_abort : mg_tunnel_close)(t);
    }
}

// `broken`: whoever is left sees that it is no end.
static void end(passage *p, bool broken) {
    if (p->over) {
        return;
    }
    p->over = true;
    close_side(&p->client, &p->client_open, broken);
    close_side(&p->server, &p->server_open, broken);
    mg_loop *loop = p->ticket.upstream->set->base->loop;
    p->relayed.total_us = mg_loop_now_us(loop) - p->ticket.began_us;
    mg_kept_record_tell(p->record, p->relayed.bytes_in, broken);
    const mg_outcome outcome = {.status = p->relayed.status}; // when that came is long ago
    mg_ticket_end(&p->ticket, &outcome);
    mg_timer_stop(&p->drain);
    mg_link_remove(&p->link);
    if (!p->beginning) {
        free_passage(p);
    }
}

static void end_if_both_have(passage *p) {
    if (p->client.fin && p->server.fin) {
        end(p, false);
    }
}

// --- bytes ---

// To `to`, no faster than it takes them: `from` waits.
static void pass_on(passage *p, mg_tunnel *from, mg_tunnel *to, mg_str data) {
    int rc = mg_tunnel_write(to, data);
    if (rc == MG_EAGAIN) {
        mg_tunnel_pause(from);
    } else if (rc == MG_ECLOSED) {
        end(p, true);
    }
}

static void on_client_read(mg_tunnel *t, mg_str data) {
    passage *p = of_client(t);
    p->relayed.bytes_out += data.n;
    if (p->server_open) {
        pass_on(p, &p->client, &p->server, data);
    } else {
        mg_buf_append_str(&p->early, data);
    }
}

static void on_server_read(mg_tunnel *t, mg_str data) {
    passage *p = of_server(t);
    p->relayed.bytes_in += data.n;
    pass_on(p, &p->server, &p->client, data);
}

static void on_client_fin(mg_tunnel *t) {
    passage *p = of_client(t);
    if (p->server_open) {
        mg_tunnel_shutdown(&p->server);
        end_if_both_have(p);
    }
}

static void on_server_fin(mg_tunnel *t) {
    passage *p = of_server(t);
    mg_tunnel_shutdown(&p->client);
    end_if_both_have(p);
}

static void on_client_drained(mg_tunnel *t) {
    passage *p = of_client(t);
    if (p->server_open) {
        mg_tunnel_resume(&p->server);
    }
}

static void on_server_drained(mg_tunnel *t) {
    mg_tunnel_resume(&of_server(t)->client);
}

static void on_stop(mg_tunnel *t) {
    (void)t; // nobody here knows where their protocol may end: they have the drain's time
}

static void on_client_closed(mg_tunnel *t, mg_gone why) {
    passage *p = of_client(t);
    (void)why;
    p->client_open = false;
    end(p, true);
}

static void on_server_closed(mg_tunnel *t, mg_gone why) {
    passage *p = of_server(t);
    (void)why;
    p->server_open = false;
    end(p, true);
}

static const mg_tunnel_events client_events = {on_client_read, on_client_fin, on_client_drained,
                                               on_stop, on_client_closed};
static const mg_tunnel_events server_events = {on_server_read, on_server_fin, on_server_drained,
                                               on_stop, on_server_closed};

// --- the beginning ---

static mg_str keep(passage *p, mg_str s) {
    return (mg_str){mg_arena_copy(&p->texts, s), s.n};
}

static void open_client(passage *p, const mg_passage_options *o) {
    p->client_open = true;
    p->client.events = &client_events;
    p->relayed = *o->relayed;
    p->relayed.upstream = keep(p, o->relayed->upstream);
    p->relayed.server = keep(p, o->relayed->server);
    p->record = mg_exchange_keep_record(o->exchange, o->answer->status);
    mg_kept_record_relayed(p->record, &p->relayed);
    mg_exchange_take_over(o->exchange, o->answer, o->protocol, &p->client);
}

// What each side has sent meanwhile goes to the other.
static void open_server(passage *p, mg_call *call) {
    p->server_open = true;
    p->server.events = &server_events;
    mg_call_take_over(call, &p->server);
    if (!p->over && p->early.n > 0) {
        pass_on(p, &p->client, &p->server, mg_buf_str(&p->early));
    }
    mg_buf_deinit(&p->early);
    if (!p->over && p->client.fin) {
        on_client_fin(&p->client);
    }
}

void mg_passage_begin(const mg_passage_options *o) {
    passage *p = mg_calloc(1, sizeof *p);
    mg_link_append(&o->ticket->upstream->set->base->passages, &p->link);
    mg_ticket_move(&p->ticket, o->ticket);
    p->beginning = true;
    open_client(p, o);
    if (p->over) { // the client has gone meanwhile
        mg_call_close(o->call);
    } else {
        open_server(p, o->call);
    }
    p->beginning = false;
    if (p->over) {
        free_passage(p);
    }
}

// --- other upstreams ---

// The server is one of an upstream of that name, still.
static mg_upstream *home_of(const passage *p, const mg_upstreams *us) {
    const mg_upstream_server *server = p->ticket.server;
    const mg_upstream *before = p->ticket.upstream;
    if (before == before->set->open) { // nobody has named it
        return us->open;
    }
    mg_upstream *u = mg_upstreams_find(us, mg_str_of(before->options.name));
    for (size_t i = 0; u != NULL && i < u->member_count; i++) {
        const mg_upstream_server *other = &u->members[i].server->seen;
        if (other == server ||
            (mg_str_eq(other->url, server->url) && mg_str_eq(other->address, server->address))) {
            return u;
        }
    }
    return NULL;
}

static void on_drained_late(mg_timer *t) {
    end(MG_OF(t, passage, drain), false);
}

static void follow(passage *p, mg_upstreams *now, uint32_t drain_ms) {
    mg_upstream *u = home_of(p, now);
    if (u == NULL && !mg_timer_active(&p->drain)) {
        mg_timer_start(now->base->loop, &p->drain, drain_ms, 0, on_drained_late);
    } else if (u != NULL) {
        mg_timer_stop(&p->drain);
        mg_ticket_rehome(&p->ticket, u);
    }
}

void mg_passages_follow(mg_upstreams *before, mg_upstreams *now, uint32_t drain_ms) {
    if (before == NULL || now == NULL) {
        return;
    }
    mg_link all;
    mg_link *l;
    mg_link_init(&all);
    while ((l = mg_link_shift(&before->base->passages)) != NULL) {
        mg_link_append(&all, l);
    }
    while ((l = mg_link_shift(&all)) != NULL) {
        mg_link_append(&now->base->passages, l);
        follow(MG_OF(l, passage, link), now, drain_ms);
    }
}
