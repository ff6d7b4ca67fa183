#include "proxy/names.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/timer.h"

#include <stdlib.h>

enum {
    LEAST_MS = 1000,  // between two questions, whatever the answer's time is
    UNSAID_MS = 5000, // the hosts file says no time
    FAILED_MS = 2000, // until a resolver that failed is asked again
    MOST_MS = 86400000,
};

struct mg_names {
    mg_loop *loop;
    mg_dns *dns;
    mg_link names;
};

struct mg_name {
    mg_link link;
    mg_names *all;
    mg_link watches;
    mg_dns_lookup *lookup; // under way; NULL: none
    mg_timer again;
    bool telling;
    size_t count;
    struct sockaddr_storage addresses[MG_DNS_ADDRESSES]; // sorted
    char host[];
};

static void on_again(mg_timer *t);

mg_names *mg_names_new(mg_loop *loop, mg_dns *dns) {
    mg_names *n = mg_calloc(1, sizeof *n);
    n->loop = loop;
    n->dns = dns;
    mg_link_init(&n->names);
    return n;
}

void mg_names_free(mg_names *n) {
    mg_free(n);
}

// --- asking ---

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct sockaddr_storage));
}

// Keeps the addresses that can be reached from here. True: they are others than before.
static bool take(mg_name *n, const struct sockaddr_storage *addresses, size_t count) {
    struct sockaddr_storage kept[MG_DNS_ADDRESSES];
    size_t k = 0;
    for (size_t i = 0; i < count && k < MG_DNS_ADDRESSES; i++) {
        if (mg_dns_has_route(&addresses[i])) {
            kept[k++] = addresses[i];
        }
    }
    if (k == 0) { // then it is not the addresses
        k = count < MG_DNS_ADDRESSES ? count : MG_DNS_ADDRESSES;
        memcpy(kept, addresses, k * sizeof *kept);
    }
    qsort(kept, k, sizeof *kept, by_bytes);
    bool same = k == n->count && memcmp(kept, n->addresses, k * sizeof *kept) == 0;
    memcpy(n->addresses, kept, k * sizeof *kept);
    n->count = k;
    return !same;
}

static void release(mg_name *n) {
    if (!mg_link_alone(&n->watches) || n->telling) {
        return;
    }
    mg_dns_cancel(n->lookup);
    mg_timer_stop(&n->again);
    mg_link_remove(&n->link);
    mg_free(n);
}

// Any watch may be ended or begun by any of these calls; those that begin meanwhile know already.
static void tell(mg_name *n) {
    mg_link told;
    mg_link_init(&told);
    n->telling = true;
    for (mg_link *l; (l = mg_link_shift(&n->watches)) != NULL;) {
        mg_link_append(&told, l);
    }
    for (mg_link *l; (l = mg_link_shift(&told)) != NULL;) {
        mg_link_append(&n->watches, l);
        mg_name_watch *w = MG_OF(l, mg_name_watch, link);
        w->on_change(w);
    }
    n->telling = false;
    release(n);
}

static uint64_t next_ms(mg_name *n, int status) {
    if (status != 0) {
        return FAILED_MS;
    }
    uint64_t life = mg_dns_life_ms(n->all->dns, n->host);
    life = life == 0 ? UNSAID_MS : life < LEAST_MS ? LEAST_MS : life;
    return life < MOST_MS ? life : MOST_MS;
}

static void on_answer(void *arg, int status, const struct sockaddr_storage *addresses, size_t count,
                      const char *text) {
    mg_name *n = arg;
    (void)text; // whoever dials it is told
    n->lookup = NULL;
    mg_timer_start(n->all->loop, &n->again, next_ms(n, status), 0, on_again);
    if (status == 0 && count > 0 && take(n, addresses, count)) {
        tell(n);
    }
}

static void ask(mg_name *n) {
    if (n->lookup == NULL &&
        mg_dns_start(&n->lookup, n->all->dns, n->host, on_answer, n) != MG_OK) {
        n->lookup = NULL;
        mg_timer_start(n->all->loop, &n->again, FAILED_MS, 0, on_again);
    }
}

static void on_again(mg_timer *t) {
    ask(MG_OF(t, mg_name, again));
}

// --- watching ---

static mg_name *find(const mg_names *all, const char *host) {
    for (mg_link *l = all->names.next; l != &all->names; l = l->next) {
        mg_name *n = MG_OF(l, mg_name, link);
        if (strcmp(n->host, host) == 0) {
            return n;
        }
    }
    return NULL;
}

static mg_name *new_name(mg_names *all, const char *host) {
    size_t bytes = strlen(host) + 1;
    mg_name *n = mg_calloc(1, sizeof *n + bytes);
    memcpy(n->host, host, bytes);
    n->all = all;
    mg_link_init(&n->watches);
    mg_link_append(&all->names, &n->link);
    return n;
}

void mg_name_watch_begin(mg_name_watch *w, mg_names *all, const char *host,
                         void (*on_change)(mg_name_watch *w)) {
    mg_name *n = find(all, host);
    if (n == NULL) {
        n = new_name(all, host);
        ask(n);
    }
    *w = (mg_name_watch){.name = n, .on_change = on_change};
    mg_link_append(&n->watches, &w->link);
}

void mg_name_watch_end(mg_name_watch *w) {
    mg_name *n = w->name;
    if (n == NULL) {
        return;
    }
    mg_link_remove(&w->link);
    w->name = NULL;
    release(n);
}

const struct sockaddr_storage *mg_name_addresses(const mg_name_watch *w, size_t *count) {
    *count = w->name != NULL ? w->name->count : 0;
    return w->name != NULL ? w->name->addresses : NULL;
}
