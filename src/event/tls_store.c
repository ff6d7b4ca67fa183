#include "event/tls_store.h"

#include "base/list.h"
#include "base/mem.h"
#include "event/tls_store_inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct loaded {
    mg_link link; // in mg_tls_store.recent
    uint32_t id;
    mg_tls_pair pair;
} loaded;

struct mg_tls_store {
    mg_snapshot *snapshot;
    uint32_t refs;
    uint32_t count;
    loaded **pairs; // by number; NULL: not loaded
    mg_link recent; // the last one that was asked for comes first
    uint32_t loaded_count;
};

mg_str mg_tls_place(char out[MG_TLS_PLACE], const char *format, uint32_t number) {
    int n = snprintf(out, MG_TLS_PLACE, format, number);
    return (mg_str){out, (size_t)n};
}

bool mg_tls_fixed(const mg_snapshot *s, mg_str name, void *out, size_t n) {
    mg_str text;
    if (!mg_snapshot_find(s, name, &text) || text.n < n) {
        return false;
    }
    memcpy(out, text.p, n);
    return true;
}

bool mg_tls_named(const mg_snapshot *s, const char *prefix, mg_str name, void *out, size_t n) {
    mg_buf place = {0};
    mg_buf_append_str(&place, mg_str_of(prefix));
    mg_buf_append_str(&place, name);
    bool found = mg_tls_fixed(s, mg_buf_str(&place), out, n);
    mg_buf_deinit(&place);
    return found;
}

const mg_snapshot *mg_tls_store_snapshot(const mg_tls_store *s) {
    return s->snapshot;
}

// --- life ---

int mg_tls_store_open(mg_tls_store **out, int fd, mg_error *err) {
    mg_snapshot *snapshot;
    *out = NULL;
    int rc = mg_snapshot_open(&snapshot, fd, err);
    if (rc != MG_OK) {
        return rc;
    }
    mg_tls_store *s = mg_calloc(1, sizeof *s);
    s->snapshot = snapshot;
    s->refs = 1;
    mg_link_init(&s->recent);
    mg_tls_fixed(snapshot, MG_STR(MG_TLS_AT_COUNT), &s->count, sizeof s->count);
    s->pairs = mg_calloc(s->count + 1, sizeof *s->pairs);
    *out = s;
    return MG_OK;
}

mg_tls_store *mg_tls_store_ref(mg_tls_store *s) {
    s->refs++;
    return s;
}

static void unload(mg_tls_store *s, loaded *l) {
    mg_link_remove(&l->link);
    s->pairs[l->id] = NULL;
    s->loaded_count--;
    mg_tls_pair_free(&l->pair);
    mg_free(l);
}

void mg_tls_store_unref(mg_tls_store *s) {
    if (s == NULL || --s->refs > 0) {
        return;
    }
    while (!mg_link_alone(&s->recent)) {
        unload(s, MG_OF(s->recent.next, loaded, link));
    }
    mg_snapshot_unref(s->snapshot);
    mg_free(s->pairs);
    mg_free(s);
}

int mg_tls_store_fd(const mg_tls_store *s) {
    return mg_snapshot_fd(s->snapshot);
}

void mg_tls_store_hide(mg_tls_store *s) {
    mg_snapshot_hide(s->snapshot);
}

static void note_difference(void *arg, mg_str name, char what) {
    (void)name;
    (void)what;
    *(bool *)arg = true;
}

bool mg_tls_store_same(const mg_tls_store *a, const mg_tls_store *b) {
    bool differs = false;
    if (a == NULL || b == NULL) {
        const mg_tls_store *one = a != NULL ? a : b;
        return one == NULL || one->count == 0;
    }
    mg_snapshot_compare(a->snapshot, b->snapshot, note_difference, &differs);
    return !differs;
}

// --- endpoints and names ---

static mg_str text_of(const mg_tls_store *s, const char *prefix, const char *address) {
    mg_buf place = {0};
    mg_str text = {0};
    mg_buf_printf(&place, "%s%s", prefix, address);
    mg_snapshot_find(s->snapshot, mg_buf_str(&place), &text);
    mg_buf_deinit(&place);
    return text;
}

bool mg_tls_store_section(const mg_tls_store *s, const char *address, mg_tls_section *out) {
    mg_tls_wishes w;
    if (!mg_tls_named(s->snapshot, MG_TLS_AT_ENDPOINT, mg_str_of(address), &w, sizeof w)) {
        return false;
    }
    *out = (mg_tls_section){
        .source = w.source,
        .minimum = w.minimum,
        .client = w.client,
        .client_ca = text_of(s, MG_TLS_AT_CLIENT_CA, address),
        .ticket_keys = text_of(s, MG_TLS_AT_TICKETS, address),
    };
    return true;
}

static bool find(const mg_tls_store *s, uint32_t source, const char *label, mg_str name,
                 mg_tls_choice *out) {
    char place[MG_TLS_PLACE + MG_TLS_NAME_MAX + 1];
    mg_str prefix = mg_tls_place(place, MG_TLS_AT_NAME, source);
    size_t more = strlen(label);
    if (name.n > MG_TLS_NAME_MAX) {
        return false;
    }
    memcpy(place + prefix.n, label, more);
    memcpy(place + prefix.n + more, name.p, name.n);
    return mg_tls_fixed(s->snapshot, (mg_str){place, prefix.n + more + name.n}, out, sizeof *out);
}

// RFC 6125 section 6.4.3: a wildcard stands for one label, the first.
bool mg_tls_store_find(const mg_tls_store *s, uint32_t source, mg_str name, mg_tls_choice *out) {
    if (name.n == 0 || name.p[0] == '*') {
        return false;
    }
    if (find(s, source, "", name, out)) {
        return true;
    }
    const char *dot = memchr(name.p, '.', name.n);
    if (dot == NULL || dot == name.p) {
        return false;
    }
    size_t first = (size_t)(dot - name.p);
    return find(s, source, "*", (mg_str){dot, name.n - first}, out);
}

void mg_tls_store_default(const mg_tls_store *s, uint32_t source, mg_tls_choice *out) {
    char place[MG_TLS_PLACE];
    *out = (mg_tls_choice){0};
    mg_tls_fixed(s->snapshot, mg_tls_place(place, MG_TLS_AT_DEFAULT, source), out, sizeof *out);
}

// --- certificates ---

size_t mg_tls_store_count(const mg_tls_store *s) {
    return s->count;
}

void mg_tls_store_about(const mg_tls_store *s, uint32_t id, mg_tls_about *out, mg_str *file) {
    char place[MG_TLS_PLACE];
    mg_str text = {0};
    *out = (mg_tls_about){0};
    *file = (mg_str){0};
    if (mg_snapshot_find(s->snapshot, mg_tls_place(place, MG_TLS_AT_ABOUT, id), &text) &&
        text.n >= sizeof *out) {
        memcpy(out, text.p, sizeof *out);
        *file = (mg_str){text.p + sizeof *out, text.n - sizeof *out};
    }
}

// It could be read when the store was filled.
static loaded *load(mg_tls_store *s, uint32_t id) {
    static const mg_tls_files names = {"the store", "the store"};
    char place[MG_TLS_PLACE];
    mg_str cert = {0};
    mg_str key = {0};
    mg_tls_pair pair;
    if (!mg_snapshot_find(s->snapshot, mg_tls_place(place, MG_TLS_AT_CERT, id), &cert) ||
        !mg_snapshot_find(s->snapshot, mg_tls_place(place, MG_TLS_AT_KEY, id), &key) ||
        mg_tls_pair_read(&pair, NULL, cert, key, &names, NULL) != MG_OK) {
        return NULL;
    }
    if (s->loaded_count == MG_TLS_LOADED) {
        unload(s, MG_OF(s->recent.prev, loaded, link));
    }
    loaded *l = mg_calloc(1, sizeof *l);
    l->id = id;
    l->pair = pair;
    s->pairs[id] = l;
    s->loaded_count++;
    mg_link_init(&l->link);
    return l;
}

const mg_tls_pair *mg_tls_store_pair(mg_tls_store *s, uint32_t id) {
    loaded *l = id < s->count ? s->pairs[id] : NULL;
    if (l == NULL && (id >= s->count || (l = load(s, id)) == NULL)) {
        return NULL;
    }
    mg_link_remove(&l->link);
    mg_link_append(s->recent.next, &l->link); // before the first
    return &l->pair;
}
