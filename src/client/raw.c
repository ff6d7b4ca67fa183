#include "client/raw.h"

#include "base/mem.h"
#include "client/client_inside.h"
#include "event/outward.h"

#include <stdio.h>

struct mg_raw {
    mg_stream stream;
    mg_outward outward;
    mg_link link; // in its client's list
    mg_client *client;
    mg_connect *connect; // NULL: it is open, or over
    mg_rules *rules;     // NULL: none but the client's
    void (*on_done)(void *arg, const mg_call_fault *fault);
    void *arg;
    mg_tunnel *tunnel;
    mg_arena texts;
    bool is_unix;
    const char *name; // "host:port", for texts
};

static void free_raw(mg_raw *r) {
    mg_link_remove(&r->link);
    mg_rules_free(r->rules);
    mg_arena_deinit(&r->texts);
    mg_free(r);
}

// --- the stream ---

static mg_raw *of(mg_stream *s) {
    return MG_OF(s, mg_raw, stream);
}

static void on_read(mg_stream *s, const char *data, size_t n) {
    mg_outward_read(&of(s)->outward, data, n);
}

static void on_end(mg_stream *s, int status) {
    mg_outward_ended(&of(s)->outward, status);
}

static void on_drain(mg_stream *s, int status) {
    mg_outward_drained(&of(s)->outward, status);
}

static void on_closed(mg_stream *s) {
    free_raw(of(s));
}

static const mg_stream_events stream_events = {on_read, on_end, on_drain, on_closed};

static void on_release(mg_outward *o, bool reset) {
    mg_stream_close(&MG_OF(o, mg_raw, outward)->stream, reset);
}

// --- the way to it ---

static bool allows(void *arg, const struct sockaddr_storage *address,
                   char why[MG_CONNECT_WHY_BYTES]) {
    const mg_raw *r = arg;
    return mg_client_allows(r->client, r->rules, address, why);
}

static void on_connected(void *arg, const mg_connect_fault *fault) {
    mg_raw *r = arg;
    char text[320];
    r->connect = NULL;
    if (fault == NULL) {
        mg_outward_open(&r->outward, &r->stream, r->tunnel);
        r->on_done(r->arg, NULL);
        return;
    }
    snprintf(text, sizeof text, "%s: %s", r->name, fault->text);
    const mg_call_fault told = {.code = fault->code, .text = text, .unsent = true};
    void (*on_done)(void *arg, const mg_call_fault *fault) = r->on_done;
    void *owner = r->arg;
    free_raw(r);
    on_done(owner, &told);
}

// Without one: NULL.
static const char *copy(mg_raw *r, mg_str s) {
    return s.n > 0 ? mg_arena_copy(&r->texts, s) : NULL;
}

static const char *name_of(mg_raw *r, const mg_call_origin *o) {
    char name[320];
    bool literal = memchr(o->host.p, ':', o->host.n) != NULL;
    if (r->is_unix) {
        snprintf(name, sizeof name, "unix:%.*s", (int)o->unix_path.n, o->unix_path.p);
    } else {
        snprintf(name, sizeof name, "%s%.*s%s:%u", literal ? "[" : "", (int)o->host.n, o->host.p,
                 literal ? "]" : "", o->port);
    }
    return mg_arena_copy(&r->texts, mg_str_of(name));
}

static mg_connect *start(mg_raw *r, const mg_raw_options *o) {
    const mg_call_origin *to = &o->origin;
    return mg_connect_start(&(mg_connect_options){
        .loop = r->client->loop,
        .dns = r->client->dns,
        .host = copy(r, to->host),
        .unix_path = copy(r, to->unix_path),
        .port = to->port,
        .timeout_ms = o->timeout_ms,
        .tls = to->tls ? r->client->tls : NULL,
        .demands = {.ca = copy(r, to->ca),
                    .cert = copy(r, to->cert),
                    .key = copy(r, to->key),
                    .alpn = copy(r, o->alpn),
                    .insecure = to->insecure},
        .server_name = copy(r, to->server_name),
        .allows = allows,
        .on_done = on_connected,
        .arg = r,
        .stream = &r->stream,
        .events = &stream_events,
    });
}

mg_raw *mg_raw_open(mg_client *c, const mg_raw_options *o) {
    if (!mg_descriptors_room(c->loop, 1)) {
        return NULL;
    }
    mg_raw *r = mg_calloc(1, sizeof *r);
    r->client = c;
    r->outward.release = on_release;
    r->on_done = o->on_done;
    r->arg = o->arg;
    r->tunnel = o->tunnel;
    r->is_unix = o->origin.unix_path.n > 0;
    (void)mg_rules_new(&r->rules, o->origin.rules, NULL); // they were checked
    mg_link_append(&c->raws, &r->link);
    r->name = name_of(r, &o->origin);
    if (o->origin.tls && o->origin.insecure) {
        mg_client_warn_insecure(c, o->origin.host, o->origin.port, r->name);
    }
    r->connect = start(r, o);
    return r;
}

void mg_raw_cancel(mg_raw *r) {
    if (r != NULL) {
        mg_connect_cancel(r->connect);
        free_raw(r);
    }
}

static void end(mg_raw *r) {
    if (r->connect != NULL) {
        mg_raw_cancel(r);
        return;
    }
    mg_link_remove(&r->link);
    mg_outward_drop(&r->outward);
    mg_stream_close(&r->stream, false);
}

void mg_raws_end(mg_client *c) {
    while (!mg_link_alone(&c->raws)) {
        end(MG_OF(c->raws.next, mg_raw, link));
    }
}
