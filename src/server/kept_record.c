#include "server/kept_record.h"

#include "base/mem.h"
#include "server/answer.h"
#include "server/server.h"

// Behind it lie the noted fields, then all texts.
struct mg_kept_record {
    mg_server *server;
    uint64_t start_us;
    mg_access_record record;
    mg_fields noted;
};

enum { TEXTS = 11 };

// Every text of a record.
static void texts_of(mg_access_record *r, mg_str *out[TEXTS]) {
    mg_str *const all[TEXTS] = {&r->method,     &r->target,     &r->host,  &r->referer,
                                &r->user_agent, &r->request_id, &r->route, &r->client_ip,
                                &r->protocol,   &r->tls};
    memcpy(out, all, sizeof all);
}

static void move(mg_str *s, char **at) {
    if (s->n > 0) {
        memcpy(*at, s->p, s->n);
    }
    s->p = *at;
    *at += s->n;
}

static size_t bytes_of(mg_access_record *r) {
    mg_str *texts[TEXTS];
    size_t n = 0;
    texts_of(r, texts);
    for (size_t i = 0; texts[i] != NULL; i++) {
        n += texts[i]->n;
    }
    for (uint32_t i = 0; r->noted != NULL && i < r->noted->count; i++) {
        n += sizeof(mg_field) + r->noted->at[i].name.n + r->noted->at[i].value.n;
    }
    return n;
}

static void keep_noted(mg_kept_record *k, const mg_fields *noted, char **at) {
    k->noted.at = (mg_field *)(void *)*at;
    k->noted.count = noted->count;
    k->noted.ids = noted->ids;
    *at += noted->count * sizeof(mg_field);
    for (uint32_t i = 0; i < noted->count; i++) {
        k->noted.at[i] = noted->at[i];
        move(&k->noted.at[i].name, at);
        move(&k->noted.at[i].value, at);
    }
    k->record.noted = &k->noted;
}

mg_kept_record *mg_exchange_keep_record(mg_exchange *x, int status) {
    mg_access_record r;
    if (x->server->on_access == NULL) {
        return NULL;
    }
    x->record_kept = true;
    mg_exchange_describe(x, &r);
    mg_kept_record *k = mg_calloc(1, sizeof *k + bytes_of(&r));
    char *at = (char *)(k + 1);
    k->server = x->server;
    k->start_us = x->start_us;
    k->record = r;
    k->record.status = status;
    k->record.relayed = NULL; // what is relayed has its own end
    if (r.noted != NULL) {
        keep_noted(k, r.noted, &at);
    }
    mg_str *texts[TEXTS];
    texts_of(&k->record, texts);
    for (size_t i = 0; texts[i] != NULL; i++) {
        move(texts[i], &at);
    }
    return k;
}

void mg_kept_record_relayed(mg_kept_record *k, const mg_relayed *relayed) {
    if (k != NULL) {
        k->record.relayed = relayed;
    }
}

void mg_kept_record_tell(mg_kept_record *k, uint64_t bytes_out, bool aborted) {
    if (k == NULL) {
        return;
    }
    mg_server *s = k->server;
    k->record.body_bytes_out = bytes_out;
    k->record.duration_us = k->start_us != 0 ? mg_loop_now_us(s->loop) - k->start_us : 0;
    k->record.aborted = aborted;
    if (s->on_access != NULL) {
        s->on_access(s->log_arg, &k->record);
    }
    mg_free(k);
}
