#include "gate/topics_remote.h"

#include "base/mem.h"

#include <stdio.h>

enum {
    HEAD_BYTES = 8 + 1 + 2 + 2, // node, kind, lengths of event and id
    TELL_MS = 10 * 1000,        // between two warnings of one kind
    UNSENT_MAX = 10000,         // messages under way
};

// A topic that somebody here subscribes to.
typedef struct heard {
    mg_link link;
    mg_topics_redis *all;
    mg_redis_subscription subscription;
    size_t prefix_n;
    bool over;      // it was refused
    char channel[]; // prefix, topic
} heard;

// One message on its way.
typedef struct sent {
    mg_link link;
    mg_topics_redis *all;
    mg_redis_request request;
} sent;

struct mg_topics_redis {
    mg_topics_redis_options o;
    mg_loop *loop;
    mg_link heard, sent;
    uint32_t under_way;
    bool sharded;
    mg_buf channel, message;
    uint64_t missed_ms, unsent_ms; // when it was told last; 0: never
};

static const char prefix_of_topics[] = "~topic:";

// --- telling ---

static void warn(mg_topics_redis *r, uint64_t *last_ms, const char *what, const char *why) {
    uint64_t now = mg_loop_now_ms(r->loop) + 1;
    mg_error text;
    if (*last_ms != 0 && now - *last_ms < TELL_MS) {
        return;
    }
    *last_ms = now;
    mg_error_set(&text, MG_OK, "topics: %s: %s", what, why);
    r->o.on_warning(r->o.arg, text.text);
}

// --- out ---

static void forget_sent(sent *s) {
    mg_link_remove(&s->link);
    s->all->under_way--;
    mg_free(s);
}

static void unsent(mg_topics_redis *r, const char *why) {
    warn(r, &r->unsent_ms, "messages do not reach other nodes", why);
}

static void on_sent(mg_redis_request *q, uint32_t index, const mg_redis_reply *reply, bool last) {
    sent *s = MG_OF(q, sent, request);
    char why[256];
    (void)index;
    (void)last;
    if (reply->count > 0 && reply->values[0].type == MG_REDIS_ERROR) {
        mg_str said = mg_redis_text(reply, reply->values);
        snprintf(why, sizeof why, "%.*s", (int)(said.n < 200 ? said.n : 200), said.p);
        unsent(s->all, why);
    }
    forget_sent(s);
}

static void on_unsent(mg_redis_request *q, const mg_redis_fault *f) {
    sent *s = MG_OF(q, sent, request);
    unsent(s->all, f->text);
    forget_sent(s);
}

static void put_number(mg_buf *out, uint64_t n, int bytes) {
    for (int i = 0; i < bytes; i++) {
        mg_buf_append_char(out, (char)(n >> (8 * i)));
    }
}

static void write_message(mg_buf *out, uint64_t node, const mg_publication *m) {
    mg_buf_clear(out);
    put_number(out, node, 8);
    put_number(out, m->kind, 1);
    put_number(out, m->event.n, 2);
    put_number(out, m->id.n, 2);
    mg_buf_append_str(out, m->event);
    mg_buf_append_str(out, m->id);
    mg_buf_append_str(out, m->payload);
}

static void write_channel(mg_topics_redis *r, mg_str topic) {
    mg_buf_clear(&r->channel);
    mg_buf_printf(&r->channel, "%s%s", mg_redis_settings_of(r->o.redis)->prefix, prefix_of_topics);
    mg_buf_append_str(&r->channel, topic);
}

static void publish(void *arg, mg_str topic, const mg_publication *m) {
    mg_topics_redis *r = arg;
    mg_error err;
    if (m->event.n > UINT16_MAX || m->id.n > UINT16_MAX || r->under_way >= UNSENT_MAX) {
        unsent(r, r->under_way >= UNSENT_MAX ? "too many are on their way" : "its id is too long");
        return;
    }
    write_channel(r, topic);
    write_message(&r->message, r->o.node, m);
    const mg_str words[] = {r->sharded ? MG_STR("SPUBLISH") : MG_STR("PUBLISH"),
                            mg_buf_str(&r->channel), mg_buf_str(&r->message)};
    const mg_redis_command command = {words, 3};
    sent *s = mg_calloc(1, sizeof *s);
    s->all = r;
    s->request = (mg_redis_request){.on_reply = on_sent, .on_fault = on_unsent};
    r->under_way++;
    mg_link_append(&r->sent, &s->link);
    if (mg_redis_send(r->o.redis, &s->request, &command, 1, &err) != MG_OK) {
        forget_sent(s);
        unsent(r, err.text);
    }
}

// --- in ---

static uint64_t take_number(mg_str *in, int bytes) {
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++) {
        n |= (uint64_t)(uint8_t)in->p[i] << (8 * i);
    }
    mg_str_skip(in, (size_t)bytes);
    return n;
}

// False: it is no message of ours, or of this node.
static bool read_message(mg_str in, uint64_t node, mg_publication *out) {
    if (in.n < HEAD_BYTES || take_number(&in, 8) == node) {
        return false;
    }
    uint64_t kind = take_number(&in, 1);
    uint64_t event_n = take_number(&in, 2);
    uint64_t id_n = take_number(&in, 2);
    if (kind > MG_PACKET_BINARY || event_n + id_n > in.n) {
        return false;
    }
    *out = (mg_publication){.kind = (mg_packet_kind)kind,
                            .event = {in.p, event_n},
                            .id = {in.p + event_n, id_n},
                            .payload = {in.p + event_n + id_n, in.n - event_n - id_n}};
    return true;
}

static void on_message(mg_redis_subscription *s, mg_str channel, mg_str message) {
    const heard *h = MG_OF(s, heard, subscription);
    mg_publication m;
    if (read_message(message, h->all->o.node, &m)) {
        mg_str_skip(&channel, h->prefix_n);
        mg_topics_deliver(h->all->o.topics, channel, &m);
    }
}

static void on_listening(mg_redis_subscription *s, bool again) {
    heard *h = MG_OF(s, heard, subscription);
    if (again) {
        warn(h->all, &h->all->missed_ms, "messages of other nodes may have been missed",
             "the connection to Redis was lost");
    }
}

static void on_refused(mg_redis_subscription *s, const mg_redis_fault *f) {
    heard *h = MG_OF(s, heard, subscription);
    h->over = true;
    warn(h->all, &h->all->missed_ms, "messages of other nodes do not come", f->text);
}

static void *subscribed(void *arg, mg_str topic) {
    mg_topics_redis *r = arg;
    mg_error err;
    write_channel(r, topic);
    heard *h = mg_calloc(1, sizeof *h + r->channel.n + 1);
    memcpy(h->channel, r->channel.p, r->channel.n);
    h->all = r;
    h->prefix_n = r->channel.n - topic.n;
    h->subscription =
        (mg_redis_subscription){.on_message = on_message,
                                .on_listening = on_listening,
                                .on_fault = on_refused,
                                .kind = r->sharded ? MG_REDIS_SHARDED : MG_REDIS_CHANNEL,
                                .name = h->channel};
    mg_link_append(&r->heard, &h->link);
    if (mg_redis_subscribe(r->o.redis, &h->subscription, &err) != MG_OK) {
        on_refused(&h->subscription, &(mg_redis_fault){"refused", err.text, false});
    }
    return h;
}

static void drop(heard *h) {
    if (!h->over) {
        mg_redis_unsubscribe(h->all->o.redis, &h->subscription);
    }
    mg_link_remove(&h->link);
    mg_free(h);
}

static void unsubscribed(void *arg, mg_str topic, void *kept) {
    (void)arg;
    (void)topic;
    drop(kept);
}

// --- life ---

static const mg_topics_remote remote = {publish, subscribed, unsubscribed};

mg_topics_redis *mg_topics_redis_new(mg_loop *loop, const mg_topics_redis_options *o) {
    mg_topics_redis *r = mg_calloc(1, sizeof *r);
    r->o = *o;
    r->loop = loop;
    r->sharded = mg_redis_settings_of(o->redis)->kind == MG_REDIS_CLUSTER;
    mg_link_init(&r->heard);
    mg_link_init(&r->sent);
    mg_topics_set_remote(o->topics, &remote, r);
    return r;
}

void mg_topics_redis_free(mg_topics_redis *r) {
    if (r == NULL) {
        return;
    }
    mg_topics_set_remote(r->o.topics, NULL, NULL);
    while (!mg_link_alone(&r->heard)) {
        drop(MG_OF(r->heard.next, heard, link));
    }
    while (!mg_link_alone(&r->sent)) {
        sent *s = MG_OF(r->sent.next, sent, link);
        mg_redis_cancel(&s->request);
        forget_sent(s);
    }
    mg_buf_deinit(&r->channel);
    mg_buf_deinit(&r->message);
    mg_free(r);
}
