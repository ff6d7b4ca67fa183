#include "config/config.h"

#include "client/rules.h"
#include "config/path.h"
#include "config/suggest.h"
#include "config/value.h"
#include "http/forwarded.h"

#include <errno.h>
#include <unistd.h>

static void take_table(mg_config_reading *r);

static void take_value(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    switch (key->kind) {
    case MG_CONFIG_LISTEN:
        mg_config_take_listen(r, key, t);
        break;
    case MG_CONFIG_TEXTS:
        mg_config_take_texts(r, key, t);
        break;
    case MG_CONFIG_FORWARDED:
        mg_config_take_forwarded(r, key, t);
        break;
    case MG_CONFIG_DATABASE:
        mg_config_take_database(r, key, t);
        break;
    case MG_CONFIG_NAMESERVERS:
        mg_config_take_nameservers(r, key, t);
        break;
    case MG_CONFIG_CACHE:
        mg_config_take_cache(r, key, t);
        break;
    default:
        mg_config_take(r, key, t);
        break;
    }
}

// --- defaults
// --------------------------------------------------------------------------------------------------------

static void take_default(mg_config_reading *r, const mg_config_key *key) {
    mg_json_reader_init(&r->json, mg_str_of(key->fallback), &r->decoded, 0);
    take_value(r, key, mg_json_next(&r->json));
}

static void take_defaults(mg_config_reading *r) {
    for (size_t i = 0; i < mg_config_key_count; i++) {
        if (mg_config_keys[i].fallback != NULL) {
            take_default(r, &mg_config_keys[i]);
        }
    }
}

// --- the file's values
// -----------------------------------------------------------------------------------------------

static mg_str table_of(mg_str path) {
    while (path.n > 0 && path.p[path.n - 1] != '.') {
        path.n--;
    }
    return (mg_str){path.p, path.n > 0 ? path.n - 1 : 0};
}

static void fault_unknown(mg_config_reading *r) {
    mg_str table = table_of(mg_buf_str(&r->path));
    size_t skip = table.n > 0 ? table.n + 1 : 0;
    mg_suggest s;
    mg_suggest_init(&s, (mg_str){r->path.p + skip, r->path.n - skip});
    mg_buf text = {0};
    for (size_t i = 0; i < mg_config_key_count; i++) {
        const mg_config_key *key = &mg_config_keys[i];
        if (key->kind != MG_CONFIG_RESERVED && mg_config_is_in(key, table)) {
            mg_buf_printf(&text, "%s%s", text.n > 0 ? ", " : "", mg_config_name(key));
            mg_suggest_offer(&s, mg_str_of(mg_config_name(key)));
        }
    }
    mg_suggest_append(&s, &text);
    mg_config_fault(r, "is no known key, allowed: %.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
}

// The path stands at the key, the reader before its value.
static void take_key(mg_config_reading *r) {
    const mg_config_key *key = mg_config_find(mg_buf_str(&r->path));
    mg_json_token t = mg_json_next(&r->json);
    if (key == NULL) {
        fault_unknown(r);
        mg_config_skip(r, t);
    } else if (key->kind == MG_CONFIG_RESERVED) {
        mg_config_fault(r, "is not available in this version");
        mg_config_skip(r, t);
    } else if (key->kind != MG_CONFIG_TABLE) {
        take_value(r, key, t);
    } else if (t == MG_JSON_OBJECT) {
        take_table(r);
    } else {
        mg_config_refuse(r, key, t);
        mg_config_skip(r, t);
    }
}

// Its opening bracket has been read.
static void take_table(mg_config_reading *r) {
    while (mg_json_next(&r->json) == MG_JSON_KEY) {
        size_t before = r->path.n;
        if (before > 0) {
            mg_buf_append_char(&r->path, '.');
        }
        mg_buf_append_str(&r->path, r->json.text);
        take_key(r);
        r->path.n = before;
    }
}

static void take_json(mg_config_reading *r, mg_str text) {
    mg_json_reader_init(&r->json, text, &r->decoded, 0);
    mg_json_token t = mg_json_next(&r->json);
    if (t == MG_JSON_OBJECT) {
        take_table(r);
        t = mg_json_next(&r->json);
    }
    if (t != MG_JSON_END) {
        r->path.n = 0;
        mg_config_fault(r, "must be a table: %s",
                        t == MG_JSON_ERROR ? r->json.error : "it is something else");
    }
}

int mg_config_init(mg_config *c, const char *file, mg_str json, mg_buf *faults) {
    return mg_config_init_below(c, file, (mg_str){0}, json, faults);
}

int mg_config_init_below(mg_config *c, const char *file, mg_str root, mg_str json, mg_buf *faults) {
    *c = (mg_config){0};
    c->file = mg_arena_copy(&c->arena, mg_str_of(file));
    c->root = root.n > 0 ? mg_arena_copy(&c->arena, root) : mg_config_root(&c->arena, file);
    mg_config_reading r = {.config = c, .faults = faults};
    take_defaults(&r);
    take_json(&r, json);
    mg_buf_deinit(&r.path);
    mg_buf_deinit(&r.decoded);
    return r.fault_count == 0 ? MG_OK : MG_ECONFIG;
}

void mg_config_deinit(mg_config *c) {
    mg_arena_deinit(&c->arena);
}

// --- what comes above and goes below
// ---------------------------------------------------------------------------------

int mg_config_override(mg_config *c, const mg_config_overrides *o, mg_buf *faults) {
    int rc = MG_OK;
    const char *here = mg_config_here(&c->arena);
    if (o->listen_count > 0) {
        const char **items = mg_arena_alloc(&c->arena, o->listen_count * sizeof *items);
        for (size_t i = 0; i < o->listen_count; i++) {
            mg_error err;
            items[i] = mg_config_address(&c->arena, here, mg_str_of(o->listen[i]), &err);
            if (items[i] == NULL) {
                mg_buf_printf(faults, "--listen: %s\n", err.text);
                rc = MG_ECONFIG;
            }
        }
        c->listen = (mg_config_texts){items, rc == MG_OK ? o->listen_count : 0};
    }
    if (o->app != NULL) {
        c->app = mg_config_absolute(&c->arena, here, mg_str_of(o->app));
    }
    if (o->has_workers) {
        c->workers = o->workers;
    }
    return rc;
}

int mg_config_trust(const mg_config *c, mg_trust **out, mg_error *err) {
    mg_error fault;
    int rc = mg_trust_new(out, c->trusted_proxies.items, c->trusted_proxies.n, &fault);
    if (rc != MG_OK) {
        return mg_error_set(err, MG_ECONFIG, "%s: trusted_proxies: %s", c->file, fault.text);
    }
    rc = mg_trust_heed(*out, c->forwarded.items, c->forwarded.n, &fault);
    if (rc != MG_OK) {
        mg_trust_free(*out);
        *out = NULL;
        return mg_error_set(err, MG_ECONFIG, "%s: forwarded: %s", c->file, fault.text);
    }
    return MG_OK;
}

static int check_trust(const mg_config *c, mg_error *err) {
    mg_trust *trust = NULL;
    int rc = mg_config_trust(c, &trust, err);
    mg_trust_free(trust);
    return rc;
}

// One that is not there would be told at the first call over TLS only. Whoever evaluates the
// configuration may see less than those who serve: only what is certain counts.
static int check_ca(const mg_config *c, mg_error *err) {
    if (c->http.ca.path == NULL || access(c->http.ca.path, F_OK) == 0 || errno != ENOENT) {
        return MG_OK;
    }
    return mg_error_set(err, MG_ECONFIG, "%s: http.ca: %s: %s", c->file, c->http.ca.path,
                        strerror(errno));
}

static void append_rules(mg_buf *out, mg_rules_list list, const mg_config_texts *texts) {
    for (size_t i = 0; i < texts->n; i++) {
        mg_rules_append(out, list, mg_str_of(texts->items[i]));
    }
}

void mg_config_append_rules(const mg_config *c, mg_buf *out) {
    append_rules(out, MG_RULES_DENY, &c->http.deny);
    append_rules(out, MG_RULES_ALLOW, &c->http.allow);
}

static int check_rules(const mg_config *c, mg_error *err) {
    mg_buf text = {0};
    mg_rules *rules;
    mg_error fault;
    mg_config_append_rules(c, &text);
    int rc = mg_rules_new(&rules, mg_buf_str(&text), &fault);
    mg_rules_free(rules);
    mg_buf_deinit(&text);
    return rc == MG_OK ? rc
                       : mg_error_set(err, MG_ECONFIG, "%s: http.deny, http.allow: %s", c->file,
                                      fault.text);
}

int mg_config_check(const mg_config *c, mg_error *err) {
    int rc = check_trust(c, err);
    rc = rc == MG_OK ? check_rules(c, err) : rc;
    return rc == MG_OK ? check_ca(c, err) : rc;
}

const char *mg_config_doubt(const mg_config *c, uint32_t workers) {
    for (size_t i = 0; workers > 1 && i < c->databases.n; i++) {
        if (strcmp(c->databases.items[i].path, ":memory:") == 0) {
            return "database: each worker has a \"sqlite::memory:\" of its own, with other rows, "
                   "which ends with it: a file is shared, or set workers = 1";
        }
    }
    return NULL;
}

uint32_t mg_config_workers(const mg_config *c) {
    long n = c->workers == MG_CONFIG_WORKERS_AUTO ? sysconf(_SC_NPROCESSORS_ONLN) : c->workers;
    return n < 1 ? 1 : (n < MG_CONFIG_WORKERS_MAX ? (uint32_t)n : MG_CONFIG_WORKERS_MAX);
}

uint32_t mg_config_descriptors(const mg_config *c, uint64_t descriptors) {
    uint64_t n = c->limits.descriptors.count;
    if (n == 0) {
        n = descriptors / 100 * c->limits.descriptors.percent +
            descriptors % 100 * c->limits.descriptors.percent / 100;
    }
    n = n < descriptors ? n : descriptors;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

// The schema's bounds make every narrowing here exact.
void mg_config_server_options(const mg_config *c, mg_server_options *out) {
    *out = (mg_server_options){
        .request_line_bytes = (uint32_t)c->limits.request_line,
        .header_bytes = (uint32_t)c->limits.header_bytes,
        .header_fields = (uint32_t)c->limits.header_fields,
        .chunk_extension_bytes = (uint32_t)c->limits.chunk_extensions,
        .trailer_bytes = (uint32_t)c->limits.trailers,
        .body_bytes = c->limits.body,
        .body_rate = (uint32_t)c->limits.body_rate,
        .answer_rate = (uint32_t)c->limits.answer_rate,
        .output_bytes = c->limits.output,
        .discard_bytes = (uint32_t)c->limits.discard,
        .pipeline_bytes = (uint32_t)c->limits.pipeline,
        .requests_per_connection = (uint32_t)c->limits.requests_per_connection,
        .form_parts = (uint32_t)c->limits.form_parts,
        .form_fields = (uint32_t)c->limits.form_fields,
        .header_ms = (uint32_t)c->timeouts.header_ms,
        .body_grace_ms = (uint32_t)c->timeouts.body_grace_ms,
        .send_ms = (uint32_t)c->timeouts.send_ms,
        .handler_ms = (uint32_t)c->timeouts.handler_ms,
        .idle_ms = (uint32_t)c->timeouts.idle_ms,
        .half_close_ms = (uint32_t)c->timeouts.half_close_ms,
        .linger_ms = (uint32_t)c->timeouts.linger_ms,
    };
}

int mg_config_server_options_of_json(const char *json, mg_server_options *out, mg_error *err) {
    mg_config c;
    mg_buf faults = {0};
    int rc = mg_config_init(&c, "options", mg_str_of(json), &faults);
    if (rc == MG_OK) {
        mg_config_server_options(&c, out);
    } else {
        mg_error_set(err, rc, "%.*s", (int)faults.n, faults.p);
    }
    mg_config_deinit(&c);
    mg_buf_deinit(&faults);
    return rc;
}
