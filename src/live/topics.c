#include "live/topics.h"

#include "base/mem.h"
#include "base/siphash.h"
#include "live/presence.h"
#include "live/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

typedef struct topic {
    struct topic *next; // of its bucket
    uint64_t hash;
    mg_link subscriptions;
    uint32_t count;
    bool telling; // a message is going round
    void *remote; // what the remote keeps with it
    mg_str name;  // lies behind the struct
} topic;

typedef struct subscription {
    mg_link in_topic;
    mg_link in_subscriber;
    topic *topic;
    mg_subscriber *subscriber;
} subscription;

enum { BUCKETS_LEAST = 16 };

struct mg_topics {
    mg_topics_options options;
    uint64_t seed[2];
    topic **buckets;
    uint32_t bucket_count; // a power of two
    uint32_t count;
    mg_ring *ring;
    const mg_topics_remote *remote;
    void *remote_arg;
    mg_topics_traffic traffic;
};

// --- names ---

const char *mg_topic_name_fault(mg_str name) {
    if (name.n == 0) {
        return "it is empty";
    }
    if (name.n > MG_TOPIC_NAME_MAX) {
        return "it is longer than 255 bytes";
    }
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f) {
            return "it holds a control character";
        }
    }
    return NULL;
}

static topic **place_of(const mg_topics *t, mg_str name, uint64_t hash) {
    topic **at = &t->buckets[hash & (t->bucket_count - 1)];
    while (*at != NULL && ((*at)->hash != hash || !mg_str_eq((*at)->name, name))) {
        at = &(*at)->next;
    }
    return at;
}

static uint64_t hash_of(const mg_topics *t, mg_str name) {
    return mg_siphash(t->seed, name);
}

static topic *find(const mg_topics *t, mg_str name) {
    return *place_of(t, name, hash_of(t, name));
}

static void set_buckets(mg_topics *t, uint32_t count) {
    topic **old = t->buckets;
    uint32_t old_count = t->bucket_count;
    t->buckets = mg_calloc(count, sizeof(topic *));
    t->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        for (topic *next, *p = old[i]; p != NULL; p = next) {
            next = p->next;
            topic **at = &t->buckets[p->hash & (count - 1)];
            p->next = *at;
            *at = p;
        }
    }
    mg_free(old);
}

static void tell_count(const mg_topics *t, const topic *p) {
    if (t->ring != NULL) {
        mg_ring_set_count(t->ring, p->hash, p->count);
    }
}

static topic *add(mg_topics *t, mg_str name, uint64_t hash) {
    topic *p = mg_malloc(sizeof *p + name.n);
    memcpy(p + 1, name.p, name.n);
    *p = (topic){.hash = hash, .name = {(char *)(p + 1), name.n}};
    mg_link_init(&p->subscriptions);
    if (t->count >= t->bucket_count) {
        set_buckets(t, t->bucket_count * 2);
    }
    topic **at = &t->buckets[p->hash & (t->bucket_count - 1)];
    p->next = *at;
    *at = p;
    t->count++;
    if (t->remote != NULL && t->remote->subscribed != NULL) {
        p->remote = t->remote->subscribed(t->remote_arg, p->name);
    }
    return p;
}

static void drop_if_empty(mg_topics *t, topic *p) {
    if (p->count > 0 || p->telling) {
        return;
    }
    *place_of(t, p->name, p->hash) = p->next;
    t->count--;
    if (t->remote != NULL && t->remote->unsubscribed != NULL) {
        t->remote->unsubscribed(t->remote_arg, p->name, p->remote);
    }
    mg_free(p);
    if (t->bucket_count > BUCKETS_LEAST && t->count < t->bucket_count / 8) {
        set_buckets(t, t->bucket_count / 2);
    }
}

// --- subscriptions ---

void mg_subscriber_init(mg_subscriber *s, mg_topics *t, const mg_subscriber_ops *ops) {
    *s = (mg_subscriber){.ops = ops, .topics = t};
    mg_link_init(&s->subscriptions);
}

static subscription *subscription_to(const mg_subscriber *s, const topic *p) {
    for (mg_link *l = s->subscriptions.next; l != &s->subscriptions; l = l->next) {
        subscription *found = MG_OF(l, subscription, in_subscriber);
        if (found->topic == p) {
            return found;
        }
    }
    return NULL;
}

static void end(subscription *u) {
    mg_topics *t = u->subscriber->topics;
    topic *p = u->topic;
    mg_link_remove(&u->in_topic);
    mg_link_remove(&u->in_subscriber);
    u->subscriber->count--;
    p->count--;
    mg_free(u);
    tell_count(t, p);
    drop_if_empty(t, p);
}

void mg_subscriber_leave(mg_subscriber *s) {
    while (s->count > 0) {
        end(MG_OF(s->subscriptions.next, subscription, in_subscriber));
    }
}

// What others published before is not for who comes now. Those who are told of it may leave, and
// the topic with the last of them.
static topic *come_behind(mg_topics *t, mg_str name, uint64_t hash) {
    if (t->ring != NULL) {
        if (*place_of(t, name, hash) == NULL) {
            mg_ring_set_count(t->ring, hash, 1);
        }
        mg_ring_catch_up(t->ring);
    }
    topic *p = *place_of(t, name, hash);
    return p != NULL ? p : add(t, name, hash);
}

int mg_topics_subscribe(mg_subscriber *s, mg_str name, mg_error *err) {
    mg_topics *t = s->topics;
    uint64_t hash = hash_of(t, name);
    topic *p = *place_of(t, name, hash);
    if (p != NULL && subscription_to(s, p) != NULL) {
        return MG_OK;
    }
    if (s->count >= t->options.subscribed) {
        return mg_error_set(err, MG_ELIMIT,
                            "it subscribes to %u topics already "
                            "(limits.subscriptions)",
                            s->count);
    }
    if (p == NULL && t->count >= t->options.topics) {
        return mg_error_set(err, MG_ELIMIT, "there are %u topics already (limits.topics)",
                            t->count);
    }
    p = come_behind(t, name, hash);
    subscription *u = mg_malloc(sizeof *u);
    *u = (subscription){.topic = p, .subscriber = s};
    mg_link_append(&p->subscriptions, &u->in_topic);
    mg_link_append(&s->subscriptions, &u->in_subscriber);
    s->count++;
    p->count++;
    tell_count(t, p);
    return MG_OK;
}

bool mg_topics_unsubscribe(mg_subscriber *s, mg_str name) {
    topic *p = find(s->topics, name);
    subscription *u = p != NULL ? subscription_to(s, p) : NULL;
    if (u != NULL) {
        end(u);
    }
    return u != NULL;
}

// --- messages ---

// Whoever is told may end, and others with it: the mark keeps the place.
static void tell_all(mg_topics *t, topic *p, mg_packet *packet, const mg_subscriber *except) {
    mg_link mark;
    p->telling = true;
    for (mg_link *l = p->subscriptions.next; l != &p->subscriptions;) {
        mg_subscriber *s = MG_OF(l, subscription, in_topic)->subscriber;
        mg_link_append(l->next, &mark);
        if (s != except) {
            t->traffic.delivered++;
            s->ops->on_message(s, packet);
        }
        l = mark.next;
        mg_link_remove(&mark);
    }
    p->telling = false;
    drop_if_empty(t, p);
}

static void tell(mg_topics *t, topic *p, const mg_publication *m, const mg_subscriber *except) {
    if (p != NULL) {
        assert(!p->telling);
        mg_packet *packet = mg_packet_new(m);
        tell_all(t, p, packet, except);
        mg_packet_unref(packet);
    }
}

int mg_topics_publish(mg_topics *t, mg_str name, const mg_publication *m, mg_subscriber *except,
                      mg_error *err) {
    size_t bytes = m->payload.n + m->event.n + m->id.n;
    if (bytes > t->options.message_bytes) {
        return mg_error_set(err, MG_ELIMIT,
                            "a message of %zu bytes is larger than limits.outbox allows (%u)",
                            bytes, t->options.message_bytes);
    }
    uint64_t hash = hash_of(t, name);
    t->traffic.published++;
    if (t->ring != NULL) {
        mg_ring_publish(t->ring, hash, name, m);
    }
    if (t->remote != NULL && t->remote->publish != NULL) {
        t->remote->publish(t->remote_arg, name, m);
    }
    tell(t, *place_of(t, name, hash), m, except);
    return MG_OK;
}

void mg_topics_deliver(mg_topics *t, mg_str name, const mg_publication *m) {
    tell(t, find(t, name), m, NULL);
}

// --- what there is ---

uint32_t mg_topics_count_here(const mg_topics *t, mg_str name) {
    const topic *p = find(t, name);
    return p != NULL ? p->count : 0;
}

uint32_t mg_topics_count(const mg_topics *t, mg_str name) {
    uint64_t hash = hash_of(t, name);
    const topic *p = *place_of(t, name, hash);
    uint32_t here = p != NULL ? p->count : 0;
    return here + (t->ring != NULL ? (uint32_t)mg_ring_count(t->ring, hash) : 0);
}

uint32_t mg_topics_names(const mg_topics *t) {
    return t->count;
}

mg_topics_traffic mg_topics_traffic_of(const mg_topics *t) {
    mg_topics_traffic traffic = t->traffic;
    traffic.lost = t->ring != NULL ? mg_ring_lost(t->ring) : 0;
    return traffic;
}

// --- the ring ---

static bool is_wanted(void *arg, uint64_t hash) {
    const mg_topics *t = arg;
    const topic *p = t->buckets[hash & (t->bucket_count - 1)];
    while (p != NULL && p->hash != hash) {
        p = p->next;
    }
    return p != NULL;
}

static void on_publication(void *arg, mg_str name, const mg_publication *m) {
    mg_topics_deliver(arg, name, m);
}

static const mg_ring_events ring_events = {.is_wanted = is_wanted, .on_message = on_publication};

void mg_topics_set_ring(mg_topics *t, mg_ring *r) {
    assert(t->count == 0);
    t->ring = r;
    if (r != NULL) {
        mg_ring_seed(r, t->seed);
        mg_ring_set_events(r, &ring_events, t);
    }
}

static bool is_seen(const mg_topics *t) {
    bool seen = mg_ring_has_counts(t->ring, t->count);
    for (uint32_t i = 0; i < t->bucket_count && seen; i++) {
        for (topic *p = t->buckets[i]; p != NULL && seen; p = p->next) {
            seen = mg_ring_has_count(t->ring, p->hash, p->count);
        }
    }
    return seen;
}

void mg_topics_mend(mg_topics *t) {
    if (t->ring == NULL) {
        return;
    }
    mg_ring_mend(t->ring);
    if (t->count > MG_PRESENCE_MOST || is_seen(t)) {
        return; // or it has no room for all of them
    }
    mg_ring_forget_counts(t->ring);
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        for (topic *p = t->buckets[i]; p != NULL; p = p->next) {
            tell_count(t, p);
        }
    }
}

void mg_topics_set_remote(mg_topics *t, const mg_topics_remote *remote, void *arg) {
    t->remote = remote;
    t->remote_arg = arg;
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        for (topic *p = t->buckets[i]; p != NULL; p = p->next) {
            if (remote != NULL && remote->subscribed != NULL) {
                p->remote = remote->subscribed(arg, p->name);
            }
        }
    }
}

// --- life ---

mg_topics *mg_topics_new(const mg_topics_options *o) {
    mg_topics *t = mg_calloc(1, sizeof *t);
    t->options = *o;
    if (getrandom(t->seed, sizeof t->seed, 0) < 0) {
        abort(); // the kernel has no randomness to give: nothing is safe
    }
    set_buckets(t, BUCKETS_LEAST);
    return t;
}

void mg_topics_set_options(mg_topics *t, const mg_topics_options *o) {
    t->options = *o;
}

void mg_topics_free(mg_topics *t) {
    if (t != NULL) {
        assert(t->count == 0);
        mg_free(t->buckets);
        mg_free(t);
    }
}
