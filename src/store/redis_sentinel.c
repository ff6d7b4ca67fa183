// One sentinel after the other is asked until one knows, beginning with the one that knew last. To
// that one a second connection listens for +switch-master; when that is lost and back, or when any
// of our connections to a master is lost, it is asked again, so that nothing depends on a message.

#include "store/redis_sentinel.h"

#include "base/mem.h"
#include "store/redis_ops.h"
#include "store/redis_pubsub.h"

#include <stdio.h>

enum { ASK_MS = 500 };

struct mg_redis_sentinel {
    mg_redis *redis;
    mg_redis_sentinel_events events;
    mg_redis_login login;
    uint32_t at;    // whom to ask
    uint32_t tried; // of this question
    bool asking;
    mg_redis_conn *conn; // to the one that is asked; NULL: none
    mg_redis_call call;
    mg_timer next; // the next one is asked outside of call backs
    mg_redis_pubsub *pubsub;
    uint32_t listens_to; // the sentinel whose messages these are
    mg_redis_subscription switched;
    const char *names[MG_REDIS_HOSTS]; // for texts
    mg_error why;
};

static void on_next(mg_timer *t);
static void on_message(mg_redis_subscription *s, mg_str channel, mg_str message);
static void on_listening(mg_redis_subscription *s, bool again);
static void on_refused(mg_redis_subscription *s, const mg_redis_fault *f);

static int password_of(const void *arg, mg_buf *out, mg_error *err) {
    const mg_redis *r = arg;
    return mg_redis_settings_password(&r->settings, true, out, err);
}

mg_redis_sentinel *mg_redis_sentinel_new(mg_redis *r, const mg_redis_sentinel_events *events) {
    mg_redis_sentinel *s = mg_calloc(1, sizeof *s);
    s->redis = r;
    s->events = *events;
    s->login = (mg_redis_login){
        .user = r->settings.sentinel_user,
        .password = password_of,
        .arg = r,
        .client_name = r->login.client_name,
        .resp2 = true, // it is enough, and all of them speak it
    };
    for (uint32_t i = 0; i < r->settings.host_count; i++) {
        const mg_redis_host *h = &r->settings.hosts[i];
        char name[300];
        snprintf(name, sizeof name, "the sentinel %s:%u", h->name, h->port);
        s->names[i] = mg_arena_copy(&r->settings.arena, mg_str_of(name));
    }
    return s;
}

static mg_redis_conn_options options_of(mg_redis_sentinel *s, uint32_t which) {
    const mg_redis_host *h = &s->redis->settings.hosts[which];
    mg_redis_conn_options o =
        mg_redis_conn_options_of(s->redis, h->name, h->port, NULL, s->names[which]);
    o.login = &s->login;
    o.connect_ms = o.connect_ms < ASK_MS ? o.connect_ms : ASK_MS;
    return o;
}

// --- hearing ---

static void stop_listening(mg_redis_sentinel *s) {
    mg_redis_pubsub_free(s->pubsub);
    s->pubsub = NULL;
}

static void listen_to(mg_redis_sentinel *s, uint32_t which) {
    if (s->pubsub != NULL && s->listens_to == which) {
        return;
    }
    stop_listening(s);
    mg_redis_conn_options o = options_of(s, which);
    s->listens_to = which;
    s->pubsub = mg_redis_pubsub_new(s->redis->loop, &o, NULL);
    s->switched = (mg_redis_subscription){
        .on_message = on_message,
        .on_listening = on_listening,
        .on_fault = on_refused,
        .kind = MG_REDIS_CHANNEL,
        .name = "+switch-master",
    };
    mg_redis_pubsub_add(s->pubsub, &s->switched);
}

static void tell_master(mg_redis_sentinel *s, mg_str host, mg_str port) {
    char name[256];
    uint64_t number;
    if (host.n > 0 && host.n < sizeof name && mg_str_to_u64(port, 65535, &number) && number > 0) {
        memcpy(name, host.p, host.n);
        name[host.n] = '\0';
        s->events.on_master(s->events.arg, name, (uint16_t)number);
    }
}

// "service old-ip old-port new-ip new-port"
static void on_message(mg_redis_subscription *sub, mg_str channel, mg_str message) {
    mg_redis_sentinel *s = MG_OF(sub, mg_redis_sentinel, switched);
    (void)channel;
    if (mg_str_eq(mg_str_cut(&message, ' '), mg_str_of(s->redis->settings.service))) {
        mg_str_cut(&message, ' ');
        mg_str_cut(&message, ' ');
        mg_str host = mg_str_cut(&message, ' ');
        tell_master(s, host, mg_str_cut(&message, ' '));
    }
}

// Something may have been missed.
static void on_listening(mg_redis_subscription *sub, bool again) {
    if (again) {
        mg_redis_sentinel_ask(MG_OF(sub, mg_redis_sentinel, switched));
    }
}

// Then only losses tell of a failover.
static void on_refused(mg_redis_subscription *sub, const mg_redis_fault *f) {
    mg_redis_sentinel *s = MG_OF(sub, mg_redis_sentinel, switched);
    mg_redis_tell(s->redis, true, f->text);
}

// --- asking ---

static void close_conn(mg_redis_sentinel *s) {
    mg_redis_conn_close(s->conn);
    s->conn = NULL;
}

static void try_next(mg_redis_sentinel *s, const char *why) {
    mg_error_set(&s->why, MG_OK, "%s", why);
    s->at = (s->at + 1) % s->redis->settings.host_count;
    s->tried++;
    mg_timer_start(s->redis->loop, &s->next, 0, 0, on_next);
}

static void on_fault(mg_redis_call *call, const mg_redis_fault *f) {
    try_next(MG_OF(call, mg_redis_sentinel, call), f->text);
}

static void on_reply(mg_redis_call *call, const mg_redis_reply *r, uint32_t left) {
    mg_redis_sentinel *s = MG_OF(call, mg_redis_sentinel, call);
    char text[400];
    (void)left;
    if (r->count == 3 && r->values[0].type == MG_REDIS_ARRAY && mg_redis_is_text(&r->values[1]) &&
        mg_redis_is_text(&r->values[2])) {
        uint32_t knows = s->at;
        s->asking = false;
        mg_timer_start(s->redis->loop, &s->next, 0, 0, on_next); // closes the connection
        tell_master(s, mg_redis_text(r, &r->values[1]), mg_redis_text(r, &r->values[2]));
        listen_to(s, knows);
        return;
    }
    bool refused = r->count == 1 && r->values[0].type == MG_REDIS_ERROR;
    mg_str said = refused ? mg_redis_text(r, r->values) : (mg_str){"", 0};
    snprintf(text, sizeof text, "%s %s '%s'%s%.*s", s->names[s->at],
             refused ? "does not tell of" : "knows no service", s->redis->settings.service,
             refused ? ": " : "", (int)(said.n < 60 ? said.n : 60), said.p);
    try_next(s, text);
}

static void ask_one(mg_redis_sentinel *s) {
    const mg_str words[] = {MG_STR("SENTINEL"), MG_STR("GET-MASTER-ADDR-BY-NAME"),
                            mg_str_of(s->redis->settings.service)};
    static const mg_redis_conn_events nothing = {.on_ready = NULL};
    mg_buf command = {0};
    mg_redis_conn_options o = options_of(s, s->at);
    o.events = &nothing;
    o.once = true;
    s->conn = mg_redis_conn_new(s->redis->loop, &o);
    s->call = (mg_redis_call){.on_reply = on_reply, .on_fault = on_fault, .timeout_ms = ASK_MS};
    mg_redis_write(&command, words, 3);
    (void)mg_redis_conn_send(s->conn, &s->call, mg_buf_str(&command), 1); // fresh: it takes it
    mg_buf_deinit(&command);
}

static void on_next(mg_timer *t) {
    mg_redis_sentinel *s = MG_OF(t, mg_redis_sentinel, next);
    close_conn(s);
    if (!s->asking) {
        return;
    }
    if (s->tried < s->redis->settings.host_count) {
        ask_one(s);
        return;
    }
    s->asking = false;
    s->events.on_unknown(s->events.arg, &(mg_redis_fault){"connect", s->why.text, false});
}

void mg_redis_sentinel_ask(mg_redis_sentinel *s) {
    if (!s->asking) {
        s->asking = true;
        s->tried = 0;
        mg_timer_start(s->redis->loop, &s->next, 0, 0, on_next);
    }
}

void mg_redis_sentinel_free(mg_redis_sentinel *s) {
    if (s != NULL) {
        mg_timer_stop(&s->next);
        close_conn(s);
        stop_listening(s);
        mg_free(s);
    }
}
