#include "client/call_inside.h"

#include "base/mem.h"
#include "client/h2_session.h"

#include <stdio.h>

enum { ALL_CONNECTIONS = 4096 };

static void on_idle_over(mg_deadlines *q, mg_deadline *d);
static bool has_idle(const mg_holder *h);
static void close_longest_idle(mg_holder *h);
static void on_released(mg_holder *h);
static void on_relief(mg_timer *t);
static void on_heard(mg_turn *t);
static void start_connect_times(mg_origin *o);

// --- life ---

int mg_client_new(mg_client **out, mg_loop *loop, const mg_client_options *options, mg_error *err) {
    mg_client *c = mg_calloc(1, sizeof *c);
    c->loop = loop;
    c->epoch = 1; // a hint that is zeroed is none
    c->options = *options;
    if (c->options.all_connections == 0) {
        c->options.all_connections = ALL_CONNECTIONS;
    }
    mg_h2_session_limits(&c->h2, &options->head);
    c->tls = options->tls;
    if (c->tls == NULL) {
        c->tls = mg_tls_cache_new(loop, options->ca, options->ca_text);
    }
    (void)mg_rules_new(&c->rules, options->rules, NULL); // they were checked
    mg_link_init(&c->outbounds);
    mg_link_init(&c->calls);
    mg_link_init(&c->raws);
    mg_link_init(&c->spare);
    mg_link_init(&c->starved);
    mg_link_init(&c->soon);
    c->turn.run = on_heard;
    mg_link_init(&c->turn.link);
    for (size_t i = 0; i < MG_CLIENT_BUCKETS; i++) {
        mg_link_init(&c->buckets[i]);
    }
    mg_deadlines_init(&c->idle, loop, options->idle_ms, on_idle_over);
    c->holder = (mg_holder){
        .has_idle = has_idle, .close_idle = close_longest_idle, .on_released = on_released};
    mg_descriptors_add_holder(loop, &c->holder);
    const mg_dns_options dns = {.nameservers = options->nameservers};
    c->dns = options->dns;
    int rc = c->dns != NULL ? MG_OK : mg_dns_new(&c->dns, loop, &dns);
    if (rc != MG_OK) {
        mg_client_free(c);
        return mg_error_set(err, rc, "the resolver cannot start: %s", mg_strerror(rc));
    }
    *out = c;
    return MG_OK;
}

void mg_client_release(mg_client *c) {
    if (c->freed && mg_link_alone(&c->outbounds)) {
        mg_free(c);
    }
}

void mg_client_free(mg_client *c) {
    if (c == NULL) {
        return;
    }
    while (!mg_link_alone(&c->calls)) {
        mg_call_close(MG_OF(c->calls.next, mg_call, all));
    }
    mg_calls_forget(c);
    mg_raws_end(c);
    mg_descriptors_remove_holder(&c->holder);
    for (mg_link *l = c->outbounds.next, *next; l != &c->outbounds; l = next) {
        next = l->next;
        mg_outbound_close(MG_OF(l, mg_outbound, all));
    }
    mg_timer_stop(&c->relief);
    mg_loop_remove_turn(&c->turn);
    mg_deadlines_deinit(&c->idle);
    mg_tls_cache_free(c->options.tls != NULL ? NULL : c->tls);
    c->tls = NULL;
    mg_dns_free(c->options.dns != NULL ? NULL : c->dns);
    c->dns = NULL;
    mg_rules_free(c->rules);
    c->rules = NULL;
    mg_buf_deinit(&c->lines);
    c->freed = true;
    mg_client_release(c);
}

void mg_client_read_stats(const mg_client *c, mg_client_stats *out) {
    *out = (mg_client_stats){
        .origins = c->origins,
        .connections = c->connections,
        .idle = c->idle_count,
        .waiting = c->waiting,
        .calls = c->started,
        .reused = c->reused,
        .dialled = c->dialled,
        .failed = c->failed,
    };
}

bool mg_client_allows(const mg_client *c, const mg_rules *own,
                      const struct sockaddr_storage *address, char why[MG_CONNECT_WHY_BYTES]) {
    const char *option = mg_rules_refuse(own, address);
    const char *by = option != NULL ? option : mg_rules_refuse(c->rules, address);
    if (by == NULL) {
        return true;
    }
    char shown[MG_IP_TEXT_BYTES] = "a Unix socket";
    mg_ip ip;
    if (mg_ip_of(address, &ip)) {
        mg_ip_write(&ip, shown);
    }
    const char *all = c->options.denied_by;
    const char *where = option != NULL ? "option deny" : all != NULL ? all : "http.deny";
    if (by[0] == '\0') {
        snprintf(why, MG_CONNECT_WHY_BYTES, "%s is not among those allowed (%s)", shown,
                 option != NULL ? "option allow" : "http.allow");
    } else {
        snprintf(why, MG_CONNECT_WHY_BYTES, "%s is denied by \"%.80s\" (%s)", shown, by, where);
    }
    return false;
}

// --- origins ---

static uint32_t hash_of(uint16_t port, mg_str host) {
    return mg_str_hash(host) ^ port;
}

static bool same_text(const char *have, mg_str want) {
    return have == NULL ? want.n == 0 : mg_str_eq(mg_str_of(have), want);
}

static mg_http2 http2_of(const mg_client *c, const mg_call_origin *from) {
    return from->http2 != MG_HTTP2_UNSAID ? from->http2 : c->options.http2;
}

// Where, and with which demands, whatever is spoken.
static bool is_place(const mg_origin *o, const mg_call_origin *from) {
    return o->port == from->port && o->is_tls == from->tls && o->insecure == from->insecure &&
           same_text(o->host, from->host) && same_text(o->unix_path, from->unix_path) &&
           same_text(o->ca, from->ca) && same_text(o->cert, from->cert) &&
           same_text(o->key, from->key) && mg_str_eq(mg_buf_str(&o->rules_text), from->rules) &&
           same_text(o->server_name, from->server_name.n > 0 ? from->server_name : from->host);
}

// Everything that connections must have in common.
static bool is_origin(const mg_origin *o, const mg_call_origin *from) {
    return is_place(o, from) && o->http2 == http2_of(o->client, from) &&
           mg_str_eq(mg_buf_str(&o->prelude), from->prelude);
}

static char *copy_or_null(mg_str s) {
    return s.n > 0 ? mg_strndup(s.p, s.n) : NULL;
}

// Origins come and go, their warning does not come again.
void mg_client_warn_insecure(mg_client *c, mg_str host, uint16_t port, const char *name) {
    uint32_t h = hash_of(port, host);
    for (uint32_t i = 0; i < c->warned_count; i++) {
        if (c->warned[i] == h) {
            return;
        }
    }
    if (c->options.on_warning == NULL || c->warned_count == MG_CLIENT_WARNED) {
        return;
    }
    c->warned[c->warned_count++] = h;
    char text[320];
    snprintf(text, sizeof text,
             "INSECURE: the certificate of %s is not verified; anybody can stand between", name);
    c->options.on_warning(c->options.log_arg, text);
}

static mg_origin *new_origin(mg_client *c, const mg_call_origin *from) {
    bool v6 = memchr(from->host.p, ':', from->host.n) != NULL;
    size_t name_bytes = from->host.n + from->unix_path.n + sizeof "https://[]:65535 (unix:)";
    mg_origin *o = mg_calloc(1, sizeof *o + name_bytes);
    o->client = c;
    o->host = mg_strndup(from->host.p, from->host.n);
    o->unix_path = copy_or_null(from->unix_path);
    o->server_name = copy_or_null(from->server_name.n > 0 ? from->server_name : from->host);
    o->ca = copy_or_null(from->ca);
    o->cert = copy_or_null(from->cert);
    o->key = copy_or_null(from->key);
    mg_buf_append_str(&o->prelude, from->prelude);
    mg_buf_append_str(&o->rules_text, from->rules);
    (void)mg_rules_new(&o->rules, from->rules, NULL); // they were checked
    o->port = from->port;
    o->is_tls = from->tls;
    o->insecure = from->insecure;
    o->http2 = http2_of(c, from);
    // What may turn out to speak HTTP/2 is dialled once, until it is known.
    bool many = o->http2 == MG_HTTP2_ALWAYS || (o->http2 == MG_HTTP2_AUTO && o->is_tls);
    o->places = many && c->options.wire == NULL ? MG_H2_SESSION_PLACES : 1;
    mg_link_init(&o->starved);
    mg_link_init(&o->soon);
    mg_link_init(&o->idle);
    mg_link_init(&o->shared);
    mg_link_init(&o->dials);
    mg_link_init(&o->waiting);
    int n = snprintf(o->name, name_bytes, v6 ? "%s[%s]:%u" : "%s%s:%u",
                     from->tls ? "https://" : "http://", o->host, o->port);
    if (o->unix_path != NULL) {
        snprintf(o->name + n, name_bytes - (size_t)n, " (unix:%s)", o->unix_path);
    }
    c->origins++;
    if (o->insecure) {
        mg_client_warn_insecure(c, from->host, o->port, o->name);
    }
    return o;
}

static void free_origin_if_unused(mg_origin *o) {
    if (o->connections > 0 || o->waiting_count > 0) {
        return;
    }
    mg_link_remove(&o->link);
    mg_link_remove(&o->starved);
    mg_link_remove(&o->soon);
    o->client->origins--;
    o->client->epoch++;
    mg_free(o->host);
    mg_free(o->unix_path);
    mg_free(o->server_name);
    mg_free(o->ca);
    mg_free(o->cert);
    mg_free(o->key);
    mg_buf_deinit(&o->prelude);
    mg_buf_deinit(&o->rules_text);
    mg_rules_free(o->rules);
    mg_free(o);
}

static mg_link *bucket_of(mg_client *c, const mg_call_origin *from) {
    uint32_t hash = hash_of(from->port, from->host) ^ mg_str_hash(from->prelude);
    return &c->buckets[hash % MG_CLIENT_BUCKETS];
}

static mg_origin *find_origin(mg_client *c, const mg_call_origin *from) {
    mg_link *bucket = bucket_of(c, from);
    for (mg_link *l = bucket->next; l != bucket; l = l->next) {
        mg_origin *o = MG_OF(l, mg_origin, link);
        if (is_origin(o, from)) {
            return o;
        }
    }
    return NULL;
}

static mg_origin *find_or_make(mg_client *c, const mg_call_origin *from) {
    mg_origin *o = find_origin(c, from);
    if (o == NULL) {
        o = new_origin(c, from);
        mg_link_append(bucket_of(c, from), &o->link);
    }
    return o;
}

static mg_origin *origin_of(mg_client *c, const mg_call_origin *from) {
    mg_origin_hint *hint = from->hint;
    bool known = hint != NULL && hint->epoch == c->epoch;
    mg_origin *o = known ? hint->origin : find_or_make(c, from);
    if (hint != NULL) {
        *hint = (mg_origin_hint){o, c->epoch};
    }
    o->draining = false;
    return o;
}

void mg_client_limit(mg_client *c, uint32_t connections, uint32_t idle_connections) {
    c->options.connections = connections;
    c->options.idle_connections = idle_connections;
}

// It goes with its last connection.
static void drain_origin(mg_origin *o) {
    o->draining = true;
    for (size_t n = o->idle_count; n > 0; n--) {
        mg_outbound_close(MG_OF(o->idle.next, mg_outbound, link));
    }
}

void mg_client_drain(mg_client *c, const mg_call_origin *origin) {
    for (size_t i = 0; i < MG_CLIENT_BUCKETS; i++) {
        for (mg_link *l = c->buckets[i].next, *next; l != &c->buckets[i]; l = next) {
            next = l->next;
            if (is_place(MG_OF(l, mg_origin, link), origin)) {
                drain_origin(MG_OF(l, mg_origin, link));
            }
        }
    }
}

// --- who waits ---

static void enlist(mg_origin *o, mg_call *call) {
    call->origin = o;
    o->waiting_count++;
    o->client->waiting++;
}

int mg_origin_enter(mg_client *c, const mg_call_origin *from, mg_call *call) {
    mg_origin *o = origin_of(c, from);
    int rc = o->waiting_count < c->options.waiting ? MG_OK : MG_ELIMIT;
    enlist(o, call);
    mg_link_append(&o->waiting, &call->link);
    return rc;
}

void mg_origin_distrust(mg_origin *o) {
    while (!mg_link_alone(&o->idle)) {
        mg_outbound_close(MG_OF(o->idle.next, mg_outbound, link));
    }
}

void mg_origin_requeue(mg_origin *o, mg_call *call) {
    enlist(o, call);
    mg_link_append(o->waiting.next, &call->link); // in front of the first, or alone
}

static mg_origin *leave(mg_call *call) {
    mg_origin *o = call->origin;
    mg_link_remove(&call->link);
    o->waiting_count--;
    o->client->waiting--;
    return o;
}

void mg_origin_forget_call(mg_origin *o, mg_call *call) {
    leave(call);
    call->origin = NULL;
    start_connect_times(o);
    free_origin_if_unused(o);
}

mg_call *mg_origin_first_waiting(const mg_origin *o) {
    return mg_link_alone(&o->waiting) ? NULL : MG_OF(o->waiting.next, mg_call, link);
}

void mg_origin_expect(mg_origin *o, uint32_t places) {
    o->places = places > 0 ? places : 1;
}

void mg_origin_learn(mg_origin *o, bool switches) {
    o->plain |= !switches;
}

uint32_t mg_origin_provided(const mg_origin *o) {
    uint64_t most = (uint64_t)o->connecting * o->places;
    return most < o->waiting_count ? (uint32_t)most : o->waiting_count;
}

// --- connections ---

static void on_idle_over(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    mg_outbound_close(MG_OF(d, mg_outbound, idle));
}

static void on_kept(mg_timer *t) {
    mg_outbound_close(MG_OF(t, mg_outbound, timer));
}

static void leave_idle(mg_origin *o, mg_outbound *c) {
    mg_link_remove(&c->link);
    mg_deadline_stop(&c->idle);
    mg_timer_stop(&c->timer);
    o->idle_count--;
    o->client->idle_count--;
}

// Once again is for a connection that the server was not free to close.
static bool wants_fresh(const mg_call *call) {
    return call->again || call->options.fresh;
}

// The one that was used last is the least likely to have been closed by the server.
static mg_outbound *last_idle(const mg_origin *o, const mg_call *call) {
    mg_link *l = o->idle.prev;
    while (l != &o->idle && MG_OF(l, mg_outbound, link)->served && wants_fresh(call)) {
        l = l->prev;
    }
    return l != &o->idle ? MG_OF(l, mg_outbound, link) : NULL;
}

static mg_outbound *take_idle(mg_origin *o, const mg_call *call) {
    mg_outbound *c;
    while ((c = last_idle(o, call)) != NULL) {
        if (c->wire->has_place(c, mg_call_is_repeatable(call))) {
            leave_idle(o, c);
            return c;
        }
        mg_outbound_close(c);
    }
    return NULL;
}

static bool is_at_limit(const mg_origin *o) {
    return o->connections >= o->client->options.connections;
}

// One that carries calls already, before another is used up. Places may go without a call. Where
// none can be opened, one that has served must do for whoever wants a fresh one: it may last.
static mg_outbound *take_shared(mg_origin *o, const mg_call *call) {
    mg_link *l = o->shared.next;
    while (l != &o->shared) {
        mg_outbound *c = MG_OF(l, mg_outbound, link);
        l = l->next;
        if (c->served && wants_fresh(call) && !is_at_limit(o)) {
            continue;
        }
        mg_link_remove(&c->link);
        if (c->wire->has_place(c, mg_call_is_repeatable(call))) {
            return c;
        }
    }
    return NULL;
}

static void offer_places(mg_origin *o, mg_outbound *c) {
    mg_link_remove(&c->link);
    if (c->state == MG_OUTBOUND_BUSY && c->wire->has_place(c, true)) {
        mg_link_append(&o->shared, &c->link);
    }
}

static bool has_idle(const mg_holder *h) {
    return !mg_link_alone(&MG_OF(h, mg_client, holder)->idle.head);
}

static void close_longest_idle(mg_holder *h) {
    mg_link *first = MG_OF(h, mg_client, holder)->idle.head.next;
    mg_outbound_close(MG_OF(first, mg_outbound, idle.link));
}

// May one more be opened? The longest idle one of another origin makes room, and if the process is
// at its limit of descriptors, whatever is idle in it.
static bool has_room(mg_client *c) {
    if (c->connections >= c->options.all_connections) {
        if (!has_idle(&c->holder)) {
            return false;
        }
        close_longest_idle(&c->holder);
    }
    return mg_descriptors_room(c->loop, 1);
}

// There is room again, now or once an idle connection is closed. Later: here the callers of whoever
// made it are still at work on their origins.
static void relieve(mg_client *c) {
    if (!mg_link_alone(&c->starved) && !mg_timer_active(&c->relief)) {
        mg_timer_start(c->loop, &c->relief, 0, 0, on_relief);
    }
}

static void on_released(mg_holder *h) {
    relieve(MG_OF(h, mg_client, holder));
}

// An origin that was given one goes to the end of the list if it wants more.
static void on_relief(mg_timer *t) {
    mg_client *c = MG_OF(t, mg_client, relief);
    while (!mg_link_alone(&c->starved)) {
        mg_link *first = c->starved.next;
        mg_origin_pump(MG_OF(first, mg_origin, starved));
        if (c->starved.next == first) { // there is no room
            return;
        }
    }
}

static mg_str text_of(const char *s) {
    return s != NULL ? mg_str_of(s) : (mg_str){NULL, 0};
}

// The same place, where HTTP/1.1 is spoken: the call waits there.
static void ask_by_http1(mg_origin *o, mg_call *call) {
    const mg_call_origin there = {
        .http2 = MG_HTTP2_NEVER,
        .tls = o->is_tls,
        .port = o->port,
        .insecure = o->insecure,
        .host = mg_str_of(o->host),
        .unix_path = text_of(o->unix_path),
        .ca = text_of(o->ca),
        .cert = text_of(o->cert),
        .key = text_of(o->key),
        .server_name = text_of(o->server_name),
        .prelude = mg_buf_str(&o->prelude),
        .rules = mg_buf_str(&o->rules_text),
    };
    leave(call);
    if (mg_origin_enter(o->client, &there, call) == MG_OK) {
        mg_origin_serve(call->origin, call);
    } else {
        mg_call_break(call, "limit", "too many calls wait for a connection");
        mg_call_tell_soon(call);
    }
}

// A connection that is there, for the first call that can have it. False: there is none. Whoever
// wants a fresh one keeps nobody waiting who does not.
static bool give(mg_origin *o) {
    for (mg_link *l = o->waiting.next; l != &o->waiting; l = l->next) {
        mg_call *call = MG_OF(l, mg_call, link);
        if (o->plain && call->options.protocol.n > 0) {
            ask_by_http1(o, call);
            return true;
        }
        mg_outbound *c = take_shared(o, call);
        c = c != NULL ? c : take_idle(o, call);
        if (c != NULL) {
            leave(call);
            mg_outbound_serve(c, call);
            offer_places(o, c);
            return true;
        }
        if (!wants_fresh(call)) {
            return false;
        }
    }
    return false;
}

// What is idle although calls wait has served, and they want a fresh one: it makes room.
static bool has_room_in(mg_origin *o) {
    if (is_at_limit(o) && o->idle_count > 0) {
        mg_outbound_close(MG_OF(o->idle.next, mg_outbound, link));
    }
    return !is_at_limit(o);
}

// One connection more, for those that wait. False: they have to wait on.
static bool dial(mg_origin *o) {
    bool wanted = mg_origin_provided(o) < o->waiting_count && has_room_in(o);
    if (wanted && !has_room(o->client)) {
        if (mg_link_alone(&o->starved)) {
            mg_link_append(&o->client->starved, &o->starved);
        }
        return false;
    }
    mg_link_remove(&o->starved);
    if (wanted) {
        mg_outbound_open(o);
    }
    return wanted;
}

// The time of a call for a connection begins when one is opened for it.
static void start_connect_times(mg_origin *o) {
    uint32_t n = mg_origin_provided(o);
    for (mg_link *l = o->waiting.next; n > 0 && l != &o->waiting; l = l->next, n--) {
        mg_call_start_connect(MG_OF(l, mg_call, link));
    }
}

// An idle connection's end may wait to be told behind whatever has begun the call. What could be
// sent again need not ask the kernel for it: by the end of the turn it is known.
static bool can_wait(const mg_origin *o, const mg_call *call) {
    return o->idle_count > 0 && mg_call_is_repeatable(call) && !mg_loop_has_heard(o->client->loop);
}

static void start_wait_times(mg_origin *o) {
    for (mg_link *l = o->waiting.prev; o->untimed > 0 && l != &o->waiting; l = l->prev) {
        mg_call_start_wait(MG_OF(l, mg_call, link));
        o->untimed--;
    }
    o->untimed = 0;
}

static void pump_soon(mg_origin *o) {
    mg_client *c = o->client;
    if (mg_link_alone(&c->soon)) {
        mg_loop_add_turn(c->loop, &c->turn);
        mg_loop_turn_soon(c->loop); // whoever calls may do so behind the poll
    }
    if (mg_link_alone(&o->soon)) {
        mg_link_append(&c->soon, &o->soon);
    }
}

static void on_heard(mg_turn *t) {
    mg_client *c = MG_OF(t, mg_client, turn);
    mg_link *l;
    mg_loop_remove_turn(t);
    while ((l = mg_link_shift(&c->soon)) != NULL) {
        mg_origin *o = MG_OF(l, mg_origin, soon);
        mg_origin_pump(o);
        start_wait_times(o);
    }
}

void mg_origin_pump(mg_origin *o) {
    if (o->pumping || !mg_link_alone(&o->soon)) { // further up, or soon: it goes on there
        return;
    }
    o->pumping = true; // it stays: a call waits, or was given one of its connections
    while (give(o) || dial(o)) {
    }
    o->pumping = false;
    start_connect_times(o);
}

void mg_origin_serve(mg_origin *o, mg_call *call) {
    if (can_wait(o, call)) {
        pump_soon(o);
        o->untimed++;
    } else {
        mg_origin_pump(o);
        mg_call_start_wait(call);
    }
}

// It is no dial any more, ready or not.
static void end_dial(mg_origin *o, mg_outbound *c) {
    if (c->state < MG_OUTBOUND_IDLE) {
        mg_link_remove(&c->link);
        o->connecting--;
    }
}

mg_outbound *mg_origin_oldest_dial(const mg_origin *o) {
    return mg_link_alone(&o->dials) ? NULL : MG_OF(o->dials.next, mg_outbound, link);
}

// Those that wait may get one at the turn's end.
static bool has_too_many_idle(const mg_origin *o) {
    uint32_t kept = o->draining ? 0 : o->client->options.idle_connections;
    return o->idle_count > o->waiting_count && o->idle_count - o->waiting_count > kept;
}

void mg_origin_take_back(mg_origin *o, mg_outbound *c) {
    end_dial(o, c);
    if (c->call_count > 0) {
        offer_places(o, c);
        mg_origin_pump(o);
        return;
    }
    mg_link_remove(&c->link);
    mg_outbound_rest(c);
    mg_link_append(&o->idle, &c->link);
    mg_deadline_start(&o->client->idle, &c->idle);
    if (c->keep_ms > 0 && c->keep_ms < o->client->options.idle_ms) {
        mg_timer_start(o->client->loop, &c->timer, c->keep_ms, 0, on_kept);
    }
    o->idle_count++;
    o->client->idle_count++;
    mg_origin_pump(o);
    if (has_too_many_idle(o)) {
        mg_outbound_close(MG_OF(o->idle.next, mg_outbound, link));
    } else if (o->idle_count > o->waiting_count) {
        relieve(o->client);
    }
}

void mg_origin_drop(mg_origin *o, mg_outbound *c) {
    if (c->state == MG_OUTBOUND_IDLE) {
        leave_idle(o, c);
    }
    end_dial(o, c);
    mg_link_remove(&c->link);
    o->connections--;
    o->client->connections--;
    o->plain &= o->connections > 0; // the next one may be another server
    mg_origin_pump(o);
    relieve(o->client);
    free_origin_if_unused(o);
}
