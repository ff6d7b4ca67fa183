#include "config/endpoint.h"
#include "config/value.h"
#include "http/forwarded.h"

static const char *text_item(mg_config_reading *r, mg_json_token t) {
    if (t != MG_JSON_STRING) {
        mg_config_skip(r, t);
    } else if (memchr(r->json.text.p, '\0', r->json.text.n) == NULL) {
        return mg_arena_copy(&r->config->arena, r->json.text);
    }
    mg_config_fault(r, "is no text, allowed: a text");
    return NULL;
}

static bool is_listed(const mg_buf *texts, const char *text) {
    for (size_t at = 0; at < texts->n; at += sizeof text) {
        const char *other;
        memcpy(&other, texts->p + at, sizeof other);
        if (strcmp(other, text) == 0) {
            return true;
        }
    }
    return false;
}

static void add_text(mg_config_reading *r, mg_buf *texts, mg_json_token t) {
    const char *text = text_item(r, t);
    if (text != NULL && is_listed(texts, text)) {
        mg_config_fault(r, "\"%s\" is listed twice, allowed: once", text);
    } else if (text != NULL) {
        mg_buf_append(texts, &text, sizeof text);
    }
}

static bool is_an_endpoint(const mg_buf *endpoints, const char *address) {
    for (size_t at = 0; at < endpoints->n; at += sizeof(mg_endpoint)) {
        mg_endpoint other;
        memcpy(&other, endpoints->p + at, sizeof other);
        if (strcmp(other.address, address) == 0) {
            return true;
        }
    }
    return false;
}

static void add_endpoint(mg_config_reading *r, mg_buf *endpoints, mg_json_token t) {
    mg_endpoint e;
    if (!mg_endpoint_take(r, t, &e)) {
        return;
    }
    if (is_an_endpoint(endpoints, e.address)) {
        mg_config_fault(r, "\"%s\" is listed twice, allowed: once", e.address);
    } else {
        mg_buf_append(endpoints, &e, sizeof e);
    }
}

void *mg_config_settle(mg_config_reading *r, mg_buf *b) {
    void *p = mg_arena_alloc(&r->config->arena, b->n);
    if (b->n > 0) {
        memcpy(p, b->p, b->n);
    }
    mg_buf_deinit(b);
    return p;
}

// Reads past an object of which `t` was the first token.
static void skip_rest(mg_config_reading *r, mg_json_token t) {
    for (; t == MG_JSON_KEY; t = mg_json_next(&r->json)) {
        mg_config_skip(r, mg_json_next(&r->json));
    }
}

// True once the list has begun or is known to be empty: an empty Lua table comes as an empty
// object.
static bool begin_list(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (t == MG_JSON_OBJECT) {
        mg_json_token next = mg_json_next(&r->json);
        if (next != MG_JSON_OBJECT_END) {
            mg_config_refuse(r, key, t);
            skip_rest(r, next);
        }
        return next == MG_JSON_OBJECT_END;
    }
    if (t != MG_JSON_ARRAY) {
        mg_config_refuse(r, key, t);
    }
    return t == MG_JSON_ARRAY;
}

bool mg_config_take_list(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                         mg_config_add_item add, mg_buf *items) {
    if (!begin_list(r, key, t)) {
        return false;
    }
    mg_json_token item = t == MG_JSON_ARRAY ? mg_json_next(&r->json) : MG_JSON_ARRAY_END;
    for (size_t i = 1; item != MG_JSON_ARRAY_END && item != MG_JSON_ERROR; i++) {
        size_t before = r->path.n;
        mg_buf_printf(&r->path, "[%zu]", i);
        add(r, items, item);
        r->path.n = before;
        item = mg_json_next(&r->json);
    }
    return true;
}

static void keep_texts(mg_config_reading *r, const mg_config_key *key, mg_buf *texts) {
    mg_config_texts *out = mg_config_field(r, key);
    out->n = texts->n / sizeof *out->items;
    out->items = mg_config_settle(r, texts);
}

void mg_config_take_texts(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_buf texts = {0};
    if (mg_config_take_list(r, key, t, add_text, &texts)) {
        keep_texts(r, key, &texts);
    }
}

// A text alone is a list of one.
void mg_config_take_forwarded(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_buf texts = {0};
    if (t != MG_JSON_STRING) {
        mg_config_take_texts(r, key, t);
        return;
    }
    add_text(r, &texts, t);
    keep_texts(r, key, &texts);
}

static void add_network(mg_config_reading *r, mg_buf *texts, mg_json_token t) {
    size_t before = texts->n;
    add_text(r, texts, t);
    if (texts->n > before) {
        const char *const *text = (const char *const *)(texts->p + before);
        mg_trust *trust;
        mg_error err;
        if (mg_trust_new(&trust, text, 1, &err) != MG_OK) {
            mg_config_fault(r, "%s", err.text);
        }
        mg_trust_free(trust);
    }
}

void mg_config_take_networks(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    size_t faults = r->fault_count;
    mg_buf texts = {0};
    if (t != MG_JSON_FALSE && mg_config_take_list(r, key, t, add_network, &texts) && texts.n == 0 &&
        r->fault_count == faults) {
        mg_config_fault(r, "is empty, allowed: a list of networks as { \"10.0.0.0/8\" }, or false");
    }
    keep_texts(r, key, &texts);
}

void mg_config_take_listen(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    size_t faults = r->fault_count;
    mg_buf endpoints = {0};
    mg_config_endpoints *out = mg_config_field(r, key);
    if (mg_config_take_list(r, key, t, add_endpoint, &endpoints)) {
        out->n = endpoints.n / sizeof *out->items;
        out->items = mg_config_settle(r, &endpoints);
    }
    if (out->n == 0 && r->fault_count == faults) {
        mg_config_fault(r, "is empty, allowed: one address or more, as { \"0.0.0.0:8080\" }");
    }
}
