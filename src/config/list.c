#include "config/path.h"
#include "config/value.h"

#define AN_ADDRESS "allowed: an address as \"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\""

// Reads one item; NULL and a fault if it is wrong.
typedef const char *(*take_item)(mg_config_reading *r, mg_json_token t);

// Reads the rest of an object of which `t` was the first token. True if a key is `name`.
static bool rest_has_key(mg_config_reading *r, mg_json_token t, mg_str name) {
    bool found = false;
    for (; t == MG_JSON_KEY; t = mg_json_next(&r->json)) {
        found = found || mg_str_eq(r->json.text, name);
        mg_config_skip(r, mg_json_next(&r->json));
    }
    return found;
}

static const char *listen_item(mg_config_reading *r, mg_json_token t) {
    mg_error err;
    if (t == MG_JSON_STRING) {
        mg_arena *a = &r->config->arena;
        const char *text = mg_config_address(a, r->config->root, r->json.text, &err);
        if (text == NULL) {
            mg_config_fault(r, "%s", err.text);
        }
        return text;
    }
    if (t == MG_JSON_OBJECT && rest_has_key(r, mg_json_next(&r->json), MG_STR("tls"))) {
        mg_config_fault(r, "TLS listeners are not supported yet; terminate TLS in front");
        return NULL;
    }
    if (t != MG_JSON_OBJECT) {
        mg_config_skip(r, t);
    }
    mg_config_fault(r, "is no text, " AN_ADDRESS);
    return NULL;
}

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

static void add_item(mg_config_reading *r, mg_buf *texts, mg_json_token t, take_item take) {
    const char *text = take(r, t);
    if (text != NULL && is_listed(texts, text)) {
        mg_config_fault(r, "\"%s\" is listed twice, allowed: once", text);
    } else if (text != NULL) {
        mg_buf_append(texts, &text, sizeof text);
    }
}

// A copy of the buffer's content in the arena.
static void *settle(mg_config_reading *r, mg_buf *b) {
    void *p = mg_arena_alloc(&r->config->arena, b->n);
    if (b->n > 0) {
        memcpy(p, b->p, b->n);
    }
    mg_buf_deinit(b);
    return p;
}

// True once the list has begun or is known to be empty: an empty Lua table comes as an empty
// object.
static bool begin_list(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (t == MG_JSON_OBJECT) {
        mg_json_token next = mg_json_next(&r->json);
        if (next != MG_JSON_OBJECT_END) {
            mg_config_refuse(r, key, t);
            (void)rest_has_key(r, next, MG_STR(""));
        }
        return next == MG_JSON_OBJECT_END;
    }
    if (t != MG_JSON_ARRAY) {
        mg_config_refuse(r, key, t);
    }
    return t == MG_JSON_ARRAY;
}

static void keep_list(mg_config_reading *r, const mg_config_key *key, mg_buf *texts) {
    mg_config_texts *out = (mg_config_texts *)(void *)((char *)r->config + key->offset);
    out->n = texts->n / sizeof *out->items;
    out->items = settle(r, texts);
}

static void take_list(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                      take_item take) {
    if (!begin_list(r, key, t)) {
        return;
    }
    mg_buf texts = {0};
    mg_json_token item = t == MG_JSON_ARRAY ? mg_json_next(&r->json) : MG_JSON_ARRAY_END;
    for (size_t i = 1; item != MG_JSON_ARRAY_END && item != MG_JSON_ERROR; i++) {
        size_t before = r->path.n;
        mg_buf_printf(&r->path, "[%zu]", i);
        add_item(r, &texts, item, take);
        r->path.n = before;
        item = mg_json_next(&r->json);
    }
    keep_list(r, key, &texts);
}

// A text alone is a list of one.
void mg_config_take_forwarded(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (t != MG_JSON_STRING) {
        take_list(r, key, t, text_item);
        return;
    }
    mg_buf texts = {0};
    add_item(r, &texts, t, text_item);
    keep_list(r, key, &texts);
}

void mg_config_take_texts(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    take_list(r, key, t, text_item);
}

void mg_config_take_listen(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    size_t faults = r->fault_count;
    take_list(r, key, t, listen_item);
    if (r->config->listen.n == 0 && r->fault_count == faults) {
        mg_config_fault(r, "is empty, allowed: one address or more, as { \"0.0.0.0:8080\" }");
    }
}
