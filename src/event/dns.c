#include "event/dns.h"

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/str.h"
#include "event/dns_cache.h"
#include "event/dns_channel.h"
#include "event/dns_hosts.h"
#include "event/dns_name.h"
#include "event/timer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    BUCKETS = 256,
    // c-ares gives each of a question's two queries an id of 16 bits of its own and would look for
    // a free one for ever.
    UNDER_WAY = 4096,
    BRIEF_MS = 5000, // what does not exist, and halves of answers
    LONGEST_S = 86400,
    CHECK_MS = 1000, // between two looks at resolv.conf
};

typedef struct question {
    mg_link link; // in mg_dns.under_way
    mg_dns *dns;
    mg_dns_channel *channel;
    mg_link lookups;
    mg_timer slow;    // one family is there
    int first;        // it: AF_INET, AF_INET6
    uint32_t pending; // calls of c-ares that are to come
    unsigned code;    // with which a nameserver has failed; 0: none has
    char name[];
} question;

struct mg_dns_lookup {
    mg_link link; // in question.lookups, mg_dns.ready or mg_dns.delivering
    mg_dns_cb on_done;
    void *arg;
    mg_dns_answer *answer; // NULL: it waits for a question
};

struct mg_dns {
    mg_loop *loop;
    mg_dns_options options;
    char *nameservers;
    char *resolv_conf;
    mg_dns_hosts *hosts;
    mg_dns_cache *cache;
    mg_dns_channel *channel;
    mg_link retired; // channels of an older resolv.conf, until their questions have ended
    mg_stamp made_of;
    uint64_t checked_ms;
    mg_link under_way[BUCKETS]; // questions
    mg_link ready;              // lookups whose answer is known
    mg_link delivering;
    mg_timer deliver;
    uint32_t asked; // questions under way
    bool in_call;
    bool gone; // freed inside an on_done
};

static void on_deliver(mg_timer *t);
static void finish(mg_dns *d, mg_dns_lookup *l, mg_dns_answer *a);
static mg_dns_answer *answer_at_once(mg_dns *d, const char *host, char *name);
static question *find_question(const mg_dns_channel *c, const char *name);
static void adopt(mg_dns *d, mg_dns_channel *channel);
static void on_head(mg_dns_channel *c, const mg_dns_head *head);
static void ask(mg_dns *d, const char *name, mg_dns_lookup *l);
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info);
static void on_slow(mg_timer *t);
static void on_family(void *arg, int status, int timeouts, struct ares_addrinfo *info);
static void finish_all(question *q, mg_dns_answer *a);
static void end_call(question *q);
static void remember(question *q, mg_dns_answer *a, int timeouts, const struct ares_addrinfo *info);
static mg_dns_answer *answer_of(question *q, int status, const struct ares_addrinfo *info);
static mg_dns_answer *found(const struct ares_addrinfo *info);
static mg_dns_answer *failed(question *q, int status);
static uint64_t life_ms(const struct ares_addrinfo *info);
static void heed_file(mg_dns *d);
static void free_retired(mg_dns *d, bool all);
static void drop_lookups(mg_link *head);

int mg_dns_new(mg_dns **out, mg_loop *loop, const mg_dns_options *options) {
    mg_dns_options o = options != NULL ? *options : (mg_dns_options){0};
    o.timeout_ms = o.timeout_ms == 0 ? 1000 : o.timeout_ms < 600000 ? o.timeout_ms : 600000;
    o.tries = o.tries == 0 ? 2 : o.tries < 100 ? o.tries : 100;
    o.entries = o.entries == 0 ? 4096 : o.entries;
    o.family_ms = o.family_ms == 0 ? 50 : o.family_ms;
    const char *path = o.resolv_conf != NULL ? o.resolv_conf : "/etc/resolv.conf";
    mg_stamp made_of = mg_stamp_of(path); // before it is read: a change meanwhile is seen later
    mg_dns_channel *channel;
    int rc = mg_dns_channel_new(&channel, loop, &o);
    if (rc != MG_OK) {
        return rc;
    }
    mg_dns *d = mg_calloc(1, sizeof *d);
    d->loop = loop;
    adopt(d, channel);
    d->nameservers = o.nameservers != NULL ? mg_strdup(o.nameservers) : NULL;
    d->resolv_conf = mg_strdup(path);
    o.nameservers = d->nameservers;
    o.resolv_conf = d->resolv_conf;
    d->options = o;
    d->hosts = mg_dns_hosts_new(o.hosts != NULL ? o.hosts : "/etc/hosts");
    d->cache = mg_dns_cache_new(o.entries);
    d->made_of = made_of;
    d->checked_ms = mg_loop_now_ms(loop);
    mg_link_init(&d->retired);
    mg_link_init(&d->ready);
    mg_link_init(&d->delivering);
    for (size_t i = 0; i < BUCKETS; i++) {
        mg_link_init(&d->under_way[i]);
    }
    *out = d;
    return MG_OK;
}

void mg_dns_free(mg_dns *d) {
    if (d == NULL) {
        return;
    }
    d->gone = true;
    mg_dns_channel_free(d->channel);
    free_retired(d, true);
    mg_timer_stop(&d->deliver);
    drop_lookups(&d->ready);
    drop_lookups(&d->delivering);
    mg_dns_cache_free(d->cache);
    mg_dns_hosts_free(d->hosts);
    mg_free(d->nameservers);
    mg_free(d->resolv_conf);
    if (!d->in_call) {
        mg_free(d);
    }
}

int mg_dns_start(mg_dns_lookup **out, mg_dns *d, const char *host, mg_dns_cb on_done, void *arg) {
    mg_dns_lookup *l = mg_calloc(1, sizeof *l);
    mg_link_init(&l->link);
    l->on_done = on_done;
    l->arg = arg;
    *out = l;
    char name[MG_DNS_NAME_BYTES + 1];
    mg_dns_answer *a = answer_at_once(d, host, name);
    if (a != NULL) {
        finish(d, l, a);
        mg_dns_answer_unref(a);
        return MG_OK;
    }
    question *q = find_question(d->channel, name);
    if (q != NULL) {
        mg_link_append(&q->lookups, &l->link);
    } else {
        ask(d, name, l);
    }
    return MG_OK;
}

uint64_t mg_dns_life_ms(mg_dns *d, const char *host) {
    char name[MG_DNS_NAME_BYTES + 1];
    mg_dns_answer *literal = mg_dns_name_read(host, name);
    if (literal != NULL) {
        mg_dns_answer_unref(literal);
        return 0;
    }
    return mg_dns_cache_life_ms(d->cache, name, mg_loop_now_ms(d->loop));
}

void mg_dns_cancel(mg_dns_lookup *l) {
    if (l != NULL) {
        mg_link_remove(&l->link);
        mg_dns_answer_unref(l->answer);
        mg_free(l);
    }
}

// Here nothing of c-ares is on the stack, so that a call may do what it likes, also mg_dns_free.
static void on_deliver(mg_timer *t) {
    mg_dns *d = MG_OF(t, mg_dns, deliver);
    free_retired(d, false);
    for (mg_link *l; (l = mg_link_shift(&d->ready)) != NULL;) {
        mg_link_append(&d->delivering, l);
    }
    d->in_call = true;
    for (mg_link *link; !d->gone && (link = mg_link_shift(&d->delivering)) != NULL;) {
        mg_dns_lookup *l = MG_OF(link, mg_dns_lookup, link);
        mg_dns_lookup done = *l;
        mg_free(l);
        mg_dns_answer *a = done.answer;
        done.on_done(done.arg, a->status, a->addresses, a->n, a->text);
        mg_dns_answer_unref(a);
    }
    d->in_call = false;
    if (d->gone) {
        mg_free(d);
    }
}

static void finish(mg_dns *d, mg_dns_lookup *l, mg_dns_answer *a) {
    l->answer = mg_dns_answer_ref(a);
    mg_link_remove(&l->link);
    mg_link_append(&d->ready, &l->link);
    if (!mg_timer_active(&d->deliver)) {
        mg_timer_start(d->loop, &d->deliver, 0, 0, on_deliver);
    }
}

// A new reference if nobody has to be asked; else NULL and `name` is what to ask for.
static mg_dns_answer *answer_at_once(mg_dns *d, const char *host, char *name) {
    mg_dns_answer *a = mg_dns_name_read(host, name);
    if (a != NULL) {
        return a;
    }
    uint64_t now_ms = mg_loop_now_ms(d->loop);
    a = mg_dns_hosts_find(d->hosts, name, now_ms);
    if (a != NULL) {
        return a;
    }
    a = mg_dns_cache_find(d->cache, name, now_ms);
    return a != NULL ? mg_dns_answer_ref(a) : NULL;
}

// One asked before resolv.conf changed is not joined.
static question *find_question(const mg_dns_channel *c, const char *name) {
    mg_dns *d = c->owner;
    mg_link *head = &d->under_way[mg_str_hash(mg_str_of(name)) % BUCKETS];
    for (mg_link *l = head->next; l != head; l = l->next) {
        question *q = MG_OF(l, question, link);
        if (q->channel == c && strcmp(q->name, name) == 0) {
            return q;
        }
    }
    return NULL;
}

static void ask(mg_dns *d, const char *name, mg_dns_lookup *l) {
    if (d->asked >= UNDER_WAY) {
        mg_dns_answer *a = mg_dns_answer_new(MG_ELIMIT, "too many names are asked for at once", 0);
        finish(d, l, a);
        mg_dns_answer_unref(a);
        return;
    }
    heed_file(d);
    size_t n = strlen(name) + 1;
    question *q = mg_calloc(1, sizeof *q + n);
    memcpy(q->name, name, n);
    q->dns = d;
    q->channel = d->channel;
    mg_link_init(&q->lookups);
    mg_link_append(&q->lookups, &l->link);
    mg_link_append(&d->under_way[mg_str_hash(mg_str_of(name)) % BUCKETS], &q->link);
    d->asked++;
    q->pending = 1;
    d->channel->under_way++;
    mg_dns_channel_ask(d->channel, name, AF_UNSPEC, on_answer, q); // q may be gone after this
}

static void adopt(mg_dns *d, mg_dns_channel *channel) {
    channel->owner = d;
    channel->on_head = on_head;
    d->channel = channel;
}

// Runs inside c-ares: records only.
static void note(question *q, const mg_dns_head *head) {
    unsigned code = head->code;
    if (code == MG_DNS_SERVFAIL || code == MG_DNS_NOTIMP || code == MG_DNS_REFUSED) {
        q->code = code;
    }
    if (head->holds && head->family != 0 && q->first == 0) {
        q->first = head->family;
        mg_timer_start(q->dns->loop, &q->slow, q->dns->options.family_ms, 0, on_slow);
    }
}

// Who has asked for that name, or for one to which the search list has added its end.
static void on_head(mg_dns_channel *c, const mg_dns_head *head) {
    char name[MG_DNS_HEAD_NAME_BYTES];
    memcpy(name, head->name, sizeof name);
    size_t n = strlen(name);
    while (n > 0) { // "a.b.", "a.b", "a.", "a"
        name[n] = '\0';
        question *q = find_question(c, name);
        if (q != NULL) {
            note(q, head);
        }
        do {
            n--;
        } while (n > 0 && name[n] != '.' && name[n - 1] != '.');
    }
}

// c-ares waits for both families. If one stays unanswered, the other one's addresses are better
// than none (RFC 8305 section 3), and are asked for alone; the question goes on for the memory.
static void on_slow(mg_timer *t) {
    question *q = MG_OF(t, question, slow);
    q->pending++;
    q->channel->under_way++;
    mg_dns_channel_ask(q->channel, q->name, q->first, on_family, q); // it waits for on_answer too
}

// Runs inside c-ares: records only.
static void on_family(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
    question *q = arg;
    (void)status;
    (void)timeouts;
    mg_dns_answer *a = info != NULL && !q->dns->gone ? found(info) : NULL;
    if (a != NULL) {
        if (q->channel == q->dns->channel && !mg_link_alone(&q->lookups)) {
            uint64_t until_ms = mg_loop_now_ms(q->dns->loop) + BRIEF_MS;
            mg_dns_cache_put(q->dns->cache, q->name, a, until_ms);
        }
        finish_all(q, a);
        mg_dns_answer_unref(a);
    }
    if (info != NULL) {
        ares_freeaddrinfo(info);
    }
    end_call(q);
}

static void finish_all(question *q, mg_dns_answer *a) {
    while (!mg_link_alone(&q->lookups)) {
        finish(q->dns, MG_OF(q->lookups.next, mg_dns_lookup, link), a);
    }
}

// One call of c-ares for this question is over; with the last one it goes.
static void end_call(question *q) {
    mg_dns *d = q->dns;
    q->channel->under_way--;
    if (!d->gone && q->channel != d->channel) { // retired: freed from there
        mg_timer_start(d->loop, &d->deliver, 0, 0, on_deliver);
    }
    if (--q->pending == 0) {
        mg_free(q);
    }
}

// Runs inside c-ares: records only.
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
    question *q = arg;
    mg_dns *d = q->dns;
    mg_link_remove(&q->link);
    mg_timer_stop(&q->slow);
    d->asked--;
    if (d->gone) {
        drop_lookups(&q->lookups);
    } else {
        mg_dns_answer *a = answer_of(q, status, info);
        remember(q, a, timeouts, info);
        finish_all(q, a);
        mg_dns_answer_unref(a);
    }
    if (info != NULL) {
        ares_freeaddrinfo(info);
    }
    end_call(q);
}

// After a silence the answer may be half of the truth: one of the two families may be missing.
static void remember(question *q, mg_dns_answer *a, int timeouts,
                     const struct ares_addrinfo *info) {
    mg_dns *d = q->dns;
    if (q->channel != d->channel) {
        return;
    }
    uint64_t ms = 0;
    if (a->status == MG_OK) {
        ms = life_ms(info);
        ms = timeouts > 0 && ms > BRIEF_MS ? BRIEF_MS : ms;
    } else if (a->status == -ENOENT && timeouts == 0) {
        ms = BRIEF_MS;
    }
    if (ms > 0) {
        mg_dns_cache_put(d->cache, q->name, a, mg_loop_now_ms(d->loop) + ms);
    }
}

static mg_dns_answer *answer_of(question *q, int status, const struct ares_addrinfo *info) {
    mg_dns_answer *a = status == ARES_SUCCESS ? found(info) : NULL;
    if (a != NULL) {
        return a;
    }
    return failed(q, status == ARES_SUCCESS ? ARES_ENODATA : status);
}

// NULL if there is no address.
static mg_dns_answer *found(const struct ares_addrinfo *info) {
    mg_dns_answer *a = mg_dns_answer_new(MG_OK, "", MG_DNS_ADDRESSES);
    a->n = 0;
    const struct ares_addrinfo_node *node = info->nodes;
    for (; node != NULL && a->n < MG_DNS_ADDRESSES; node = node->ai_next) {
        size_t len = (size_t)node->ai_addrlen;
        if (node->ai_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
            struct sockaddr_in in;
            memcpy(&in, node->ai_addr, sizeof in);
            mg_dns_set_v4(&a->addresses[a->n++], in.sin_addr);
        } else if (node->ai_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
            struct sockaddr_in6 in;
            memcpy(&in, node->ai_addr, sizeof in);
            mg_dns_set_v6(&a->addresses[a->n++], &in.sin6_addr);
        }
    }
    if (a->n == 0) {
        mg_dns_answer_unref(a);
        return NULL;
    }
    return a;
}

// What a nameserver has said, which c-ares does not hand on.
static void explain(const question *q, char *text, size_t n) {
    const char *what = q->code == MG_DNS_SERVFAIL  ? "failed to answer"
                       : q->code == MG_DNS_REFUSED ? "refuses to answer"
                                                   : "does not know how to answer";
    const char *word = q->code == MG_DNS_SERVFAIL  ? "SERVFAIL"
                       : q->code == MG_DNS_REFUSED ? "REFUSED"
                                                   : "NOTIMP";
    snprintf(text, n, "the nameserver %s for %s (%s)", what, q->name, word);
}

static mg_dns_answer *failed(question *q, int status) {
    const mg_dns_options *o = &q->dns->options;
    char text[MG_DNS_NAME_BYTES + 128];
    int code = -EIO;
    if (status == ARES_ENOTFOUND || status == ARES_ENODATA) {
        code = -ENOENT;
        snprintf(text, sizeof text, "no such host: %s", q->name);
    } else if (q->code != 0 && (status == ARES_ECONNREFUSED || status == ARES_ETIMEOUT)) {
        explain(q, text, sizeof text);
    } else if (status == ARES_ETIMEOUT) {
        code = -ETIMEDOUT;
        snprintf(text, sizeof text, "no nameserver answered for %s within %u tries of %u ms",
                 q->name, o->tries, o->timeout_ms);
    } else if (status == ARES_EBADNAME) {
        code = MG_ESYNTAX;
        snprintf(text, sizeof text, "that is no host name: \"%s\"", q->name);
    } else if (status == ARES_ECONNREFUSED) {
        snprintf(text, sizeof text, "no nameserver can be reached for %s", q->name);
    } else {
        snprintf(text, sizeof text, "the question for %s failed: %s", q->name,
                 ares_strerror(status));
    }
    return mg_dns_answer_new(code, text, 0);
}

static uint64_t life_ms(const struct ares_addrinfo *info) {
    int least = LONGEST_S;
    for (const struct ares_addrinfo_node *n = info->nodes; n != NULL; n = n->ai_next) {
        least = n->ai_ttl < least ? n->ai_ttl : least;
    }
    for (const struct ares_addrinfo_cname *n = info->cnames; n != NULL; n = n->next) {
        least = n->ttl < least ? n->ttl : least;
    }
    return least > 0 ? (uint64_t)least * 1000 : 0;
}

// Makes a new channel if resolv.conf has changed. What the old one has taught is forgotten.
static void heed_file(mg_dns *d) {
    uint64_t now = mg_loop_now_ms(d->loop);
    if (now - d->checked_ms < CHECK_MS) {
        return;
    }
    d->checked_ms = now;
    mg_stamp is = mg_stamp_of(d->resolv_conf);
    mg_dns_channel *channel;
    if (mg_stamp_same(&is, &d->made_of) ||
        mg_dns_channel_new(&channel, d->loop, &d->options) != MG_OK) {
        return;
    }
    mg_link_append(&d->retired, &d->channel->link);
    adopt(d, channel);
    d->made_of = is;
    mg_dns_cache_clear(d->cache);
    free_retired(d, false);
}

static void free_retired(mg_dns *d, bool all) {
    for (mg_link *l = d->retired.next, *next; l != &d->retired; l = next) {
        next = l->next;
        mg_dns_channel *c = MG_OF(l, mg_dns_channel, link);
        if (all || c->under_way == 0) {
            mg_link_remove(l);
            mg_dns_channel_free(c);
        }
    }
}

static void drop_lookups(mg_link *head) {
    while (!mg_link_alone(head)) {
        mg_dns_cancel(MG_OF(head->next, mg_dns_lookup, link));
    }
}
