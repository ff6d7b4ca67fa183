#include "config/table.h"

typedef struct walk {
    mg_config_reading *r;
    const mg_config_table *table;
    size_t prefix; // bytes of the path above it
} walk;

static size_t take_keys(const walk *w);

// In a reading of its own: the one at hand goes on in the middle of a text.
void mg_config_take_defaults(const mg_config_reading *r, const mg_config_table *t) {
    mg_config_reading own = {.config = r->config, .into = r->into, .faults = r->faults};
    for (size_t i = 0; i < t->count; i++) {
        const mg_config_key *key = &t->keys[i];
        if (key->fallback != NULL) {
            mg_json_reader_init(&own.json, mg_str_of(key->fallback), &own.decoded, 0);
            mg_config_take(&own, key, mg_json_next(&own.json));
        }
    }
    mg_buf_deinit(&own.path);
    mg_buf_deinit(&own.decoded);
}

static mg_str path_below(const walk *w) {
    return (mg_str){w->r->path.p + w->prefix, w->r->path.n - w->prefix};
}

static const mg_config_key *find(const walk *w) {
    for (size_t i = 0; i < w->table->count; i++) {
        if (mg_str_eq(mg_str_of(w->table->keys[i].path), path_below(w))) {
            return &w->table->keys[i];
        }
    }
    return NULL;
}

static void fault_unknown(const walk *w) {
    mg_str path = path_below(w);
    mg_str table = path;
    while (table.n > 0 && table.p[table.n - 1] != '.') {
        table.n--;
    }
    mg_str name = {path.p + table.n, path.n - table.n};
    table.n -= table.n > 0;
    mg_config_fault_unknown(w->r, w->table->keys, w->table->count, table, name);
}

// A table inside; one that may be absent sets its switch.
static void take_inner(const walk *w, const mg_config_key *key, mg_json_token t) {
    mg_config_reading *r = w->r;
    bool may_be_off = key->kind == MG_CONFIG_OPTIONAL_TABLE;
    if (t == MG_JSON_OBJECT) {
        if (may_be_off) {
            *(bool *)mg_config_field(r, key) = true;
        }
        take_keys(w);
    } else if (!may_be_off || t != MG_JSON_FALSE) {
        mg_config_refuse_table(r, key, t, w->table->keys, w->table->count);
        mg_config_skip(r, t);
    }
}

// The path stands at the key, the reader before its value.
static void take_key(const walk *w) {
    mg_config_reading *r = w->r;
    const mg_config_key *key = find(w);
    if (key == NULL) {
        fault_unknown(w);
    } else if (key->kind == MG_CONFIG_RESERVED) {
        mg_config_fault(r, "is not available in this version%s%s", key->about != NULL ? ": " : "",
                        key->about != NULL ? key->about : "");
    }
    mg_json_token t = mg_json_next(&r->json);
    if (key == NULL || key->kind == MG_CONFIG_RESERVED) {
        mg_config_skip(r, t);
    } else if (key->kind == MG_CONFIG_TABLE || key->kind == MG_CONFIG_OPTIONAL_TABLE) {
        take_inner(w, key, t);
    } else {
        mg_config_take(r, key, t);
    }
}

// Its opening bracket has been read.
static size_t take_keys(const walk *w) {
    mg_config_reading *r = w->r;
    size_t n = 0;
    for (; mg_json_next(&r->json) == MG_JSON_KEY; n++) {
        size_t before = r->path.n;
        if (before > 0) {
            mg_buf_append_char(&r->path, '.');
        }
        mg_buf_append_str(&r->path, r->json.text);
        take_key(w);
        r->path.n = before;
    }
    return n;
}

size_t mg_config_take_table(mg_config_reading *r, const mg_config_table *t) {
    return take_keys(&(walk){r, t, r->path.n > 0 ? r->path.n + 1 : 0});
}
