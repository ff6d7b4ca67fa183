#include "config/value.h"

#include "config/acme.h"
#include "config/foreign.h"
#include "config/path.h"
#include "config/upstream_value.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN_BYTES = 60, SHOWN_KEYS = 10 };

// --- faults
// ----------------------------------------------------------------------------------------------------------

void mg_config_fault(mg_config_reading *r, const char *fmt, ...) {
    mg_error e; // formats, and cuts what is too long
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, ap);
    va_end(ap);
    mg_buf_printf(r->faults, "%s: ", r->config->file);
    mg_buf_append_str(r->faults, mg_buf_str(&r->path));
    mg_buf_printf(r->faults, "%s%s\n", r->path.n > 0 ? ": " : "", e.text);
    r->fault_count++;
}

void mg_config_skip(mg_config_reading *r, mg_json_token t) {
    size_t depth = 0;
    for (;; t = mg_json_next(&r->json)) {
        if (t == MG_JSON_ARRAY || t == MG_JSON_OBJECT) {
            depth++;
        } else if (t == MG_JSON_ARRAY_END || t == MG_JSON_OBJECT_END) {
            depth--;
        }
        if (depth == 0 || t == MG_JSON_ERROR || t == MG_JSON_END) {
            return;
        }
    }
}

static void append_shown(mg_buf *out, const mg_json_reader *json, mg_json_token t) {
    switch (t) {
    case MG_JSON_STRING:
        mg_log_append_json_string(
            out, (mg_str){json->text.p, json->text.n < SHOWN_BYTES ? json->text.n : SHOWN_BYTES});
        break;
    case MG_JSON_I64:
        mg_json_write_i64(out, json->i64);
        break;
    case MG_JSON_U64:
        mg_json_write_u64(out, json->u64);
        break;
    case MG_JSON_DOUBLE:
        (void)mg_json_write_double(out, json->number);
        break;
    case MG_JSON_TRUE:
    case MG_JSON_FALSE:
        mg_buf_append_str(out, t == MG_JSON_TRUE ? MG_STR("true") : MG_STR("false"));
        break;
    case MG_JSON_ARRAY:
        mg_buf_append_str(out, MG_STR("a list"));
        break;
    default:
        mg_buf_append_str(out, MG_STR("a table"));
        break;
    }
}

static void suggest_choice(mg_buf *out, const mg_config_key *key, mg_str typed) {
    mg_suggest s;
    mg_suggest_init(&s, typed);
    for (const char *at = key->choices; *at != '\0';) {
        size_t n = strcspn(at, "|");
        mg_config_offer(&s, (mg_str){at, n});
        at += at[n] == '\0' ? n : n + 1;
    }
    mg_suggest_append(&s, out);
}

void mg_config_refuse(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_buf text = {0};
    append_shown(&text, &r->json, t);
    mg_buf_append_str(&text, MG_STR(", allowed: "));
    mg_config_append_allowed(&text, key);
    if (key->kind == MG_CONFIG_SIZE) {
        mg_buf_append_str(&text, MG_STR(" (bytes, or a text as \"64K\", \"16M\", \"1T\")"));
    }
    if ((key->kind == MG_CONFIG_CHOICE || key->kind == MG_CONFIG_OPTIONAL_CHOICE) &&
        t == MG_JSON_STRING) {
        suggest_choice(&text, key, r->json.text);
    }
    mg_config_fault(r, "is %.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
}

// As many as a line can bear.
static void append_keys_of(mg_buf *out, mg_str table, const mg_config_key *keys, size_t count) {
    mg_buf names = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].kind != MG_CONFIG_RESERVED && mg_config_is_in(&keys[i], table)) {
            mg_buf_printf(&names, "%s%s", n++ > 0 ? ", " : "", mg_config_name(&keys[i]));
        }
    }
    if (n > 0 && n <= SHOWN_KEYS) {
        mg_buf_printf(out, ", with %.*s", (int)names.n, names.p);
    }
    mg_buf_deinit(&names);
}

void mg_config_refuse_table(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                            const mg_config_key *keys, size_t count) {
    mg_buf text = {0};
    append_shown(&text, &r->json, t);
    mg_buf_append_str(&text, MG_STR(", allowed: "));
    mg_config_append_allowed(&text, key);
    append_keys_of(&text, mg_str_of(key->path), keys, count);
    mg_config_fault(r, "is %.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
}

void mg_config_fault_unknown(mg_config_reading *r, const mg_config_key *keys, size_t count,
                             mg_str table, mg_str typed) {
    mg_suggest s;
    mg_suggest_init(&s, typed);
    mg_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        if (keys[i].kind != MG_CONFIG_RESERVED && mg_config_is_in(&keys[i], table)) {
            mg_buf_printf(&text, "%s%s", text.n > 0 ? ", " : "", mg_config_name(&keys[i]));
            mg_config_offer(&s, mg_str_of(mg_config_name(&keys[i])));
        }
    }
    mg_suggest_append(&s, &text);
    mg_config_fault(r, "is no known key, allowed: %.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
}

// --- single values
// ---------------------------------------------------------------------------------------------------

void *mg_config_field(const mg_config_reading *r, const mg_config_key *key) {
    return (char *)(r->into != NULL ? r->into : r->config) + key->offset;
}

static bool is_within(const mg_config_key *key, uint64_t v) {
    return v >= key->min && v <= key->max;
}

static bool whole_number(const mg_json_reader *json, mg_json_token t, uint64_t *out) {
    if (t == MG_JSON_U64) {
        *out = json->u64;
        return true;
    }
    if (t == MG_JSON_I64 && json->i64 >= 0) {
        *out = (uint64_t)json->i64;
        return true;
    }
    return false;
}

static bool take_bool(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    *(bool *)mg_config_field(r, key) = t == MG_JSON_TRUE;
    return t == MG_JSON_TRUE || t == MG_JSON_FALSE;
}

static bool take_size(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    uint64_t v;
    bool good =
        t == MG_JSON_STRING ? mg_str_to_size(r->json.text, &v) : whole_number(&r->json, t, &v);
    if (!good || !is_within(key, v)) {
        return false;
    }
    *(uint64_t *)mg_config_field(r, key) = v;
    return true;
}

static bool take_count(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    uint64_t v;
    if (!whole_number(&r->json, t, &v) || !is_within(key, v)) {
        return false;
    }
    *(uint64_t *)mg_config_field(r, key) = v;
    return true;
}

static bool take_seconds(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    double seconds = -1;
    if (t == MG_JSON_DOUBLE) {
        seconds = r->json.number;
    } else if (t == MG_JSON_I64) {
        seconds = (double)r->json.i64;
    }
    if (seconds * 1000 < (double)key->min || seconds * 1000 > (double)key->max) {
        return false;
    }
    *(uint64_t *)mg_config_field(r, key) = (uint64_t)llround(seconds * 1000);
    return true;
}

static bool take_share(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    double v = t == MG_JSON_DOUBLE ? r->json.number : t == MG_JSON_I64 ? (double)r->json.i64 : -1;
    *(double *)mg_config_field(r, key) = v;
    return v * 1000 >= (double)key->min && v * 1000 <= (double)key->max;
}

static bool take_workers(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    (void)key;
    uint64_t v;
    if (t == MG_JSON_STRING && mg_str_eq(r->json.text, MG_STR("auto"))) {
        r->config->workers = MG_CONFIG_WORKERS_AUTO;
        return true;
    }
    if (!whole_number(&r->json, t, &v) || v > MG_CONFIG_WORKERS_MAX) {
        return false;
    }
    r->config->workers = (int)v;
    return true;
}

static bool take_descriptors(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    uint64_t v;
    if (t == MG_JSON_STRING) {
        mg_str s = r->json.text;
        if (s.n == 0 || s.p[s.n - 1] != '%' || !mg_str_to_u64((mg_str){s.p, s.n - 1}, 100, &v) ||
            v == 0) {
            return false;
        }
        r->config->limits.descriptors.count = 0;
        r->config->limits.descriptors.percent = (unsigned)v;
        return true;
    }
    if (!whole_number(&r->json, t, &v) || !is_within(key, v)) {
        return false;
    }
    r->config->limits.descriptors.count = v;
    return true;
}

static bool take_choice(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (t != MG_JSON_STRING) {
        return false;
    }
    unsigned place = 0;
    for (const char *at = key->choices; *at != '\0'; place++) {
        size_t n = strcspn(at, "|");
        if (mg_str_eq((mg_str){at, n}, r->json.text)) {
            *(unsigned *)mg_config_field(r, key) = place;
            return true;
        }
        at += at[n] == '\0' ? n : n + 1;
    }
    return false;
}

// false is the place before the first.
static bool take_optional_choice(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    unsigned *place = mg_config_field(r, key);
    if (t == MG_JSON_FALSE) {
        *place = 0;
        return true;
    }
    if (!take_choice(r, key, t)) {
        return false;
    }
    ++*place;
    return true;
}

static bool is_path(const mg_json_reader *json, mg_json_token t) {
    return t == MG_JSON_STRING && json->text.n > 0 && memchr(json->text.p, 0, json->text.n) == NULL;
}

static bool take_path(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (!is_path(&r->json, t)) {
        return false;
    }
    *(const char **)mg_config_field(r, key) =
        mg_config_absolute(&r->config->arena, r->config->root, r->json.text);
    return true;
}

static bool take_optional_path(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    if (t == MG_JSON_FALSE) {
        *(const char **)mg_config_field(r, key) = NULL;
        return true;
    }
    return take_path(r, key, t);
}

static bool take_optional_name(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **name = mg_config_field(r, key);
    *name = is_path(&r->json, t) ? mg_arena_copy(&r->config->arena, r->json.text) : NULL;
    return *name != NULL || t == MG_JSON_FALSE;
}

static bool take_optional_text(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **text = mg_config_field(r, key);
    *text = is_path(&r->json, t) ? mg_arena_copy(&r->config->arena, r->json.text) : NULL;
    return *text != NULL || t == MG_JSON_FALSE;
}

static bool take_address(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_error err;
    if (t != MG_JSON_STRING) {
        return false;
    }
    const char *text = mg_config_address(&r->config->arena, r->config->root, r->json.text, &err);
    *(const char **)mg_config_field(r, key) = text;
    if (text == NULL) {
        mg_config_fault(r, "%s", err.text);
    }
    return true;
}

// A number in Lua would be a decimal one: 0660 is 660 there.
static bool take_mode(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    uint32_t *mode = mg_config_field(r, key);
    mg_str digits = r->json.text;
    *mode = MG_MODE_ANY;
    if (t != MG_JSON_STRING || digits.n < 3 || digits.n > 4) {
        return t == MG_JSON_FALSE;
    }
    uint32_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '7') {
            return false;
        }
        v = v * 8 + (uint32_t)(digits.p[i] - '0');
    }
    *mode = v;
    return is_within(key, v);
}

static bool take_target(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **target = mg_config_field(r, key);
    if (t == MG_JSON_FALSE && key->kind == MG_CONFIG_OPTIONAL_TARGET) {
        *target = NULL;
        return true;
    }
    if (t == MG_JSON_STRING && mg_str_eq(r->json.text, MG_STR("stderr"))) {
        *target = "stderr";
        return true;
    }
    if (t == MG_JSON_STRING && mg_str_eq(r->json.text, MG_STR("stdout"))) {
        *target = "stdout";
        return true;
    }
    return take_path(r, key, t);
}

// Lists and free tables, which add faults of their own. False: it is none.
static bool take_many(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    static void (*const takers[])(mg_config_reading *, const mg_config_key *, mg_json_token) = {
        [MG_CONFIG_LISTEN] = mg_config_take_listen,
        [MG_CONFIG_TEXTS] = mg_config_take_texts,
        [MG_CONFIG_FORWARDED] = mg_config_take_forwarded,
        [MG_CONFIG_NETWORKS] = mg_config_take_networks,
        [MG_CONFIG_DATABASE] = mg_config_take_database,
        [MG_CONFIG_NAMESERVERS] = mg_config_take_nameservers,
        [MG_CONFIG_REDIS] = mg_config_take_redis,
        [MG_CONFIG_CACHE] = mg_config_take_cache,
        [MG_CONFIG_UPSTREAMS] = mg_config_take_upstreams,
        [MG_CONFIG_SERVERS] = mg_config_take_servers,
        [MG_CONFIG_SPLIT] = mg_config_take_split,
        [MG_CONFIG_TLS] = mg_config_take_tls,
        [MG_CONFIG_CERTIFICATES] = mg_config_take_certificates,
        [MG_CONFIG_DOMAINS] = mg_config_take_domains,
    };
    if (key->kind >= sizeof takers / sizeof *takers || takers[key->kind] == NULL) {
        return false;
    }
    takers[key->kind](r, key, t);
    return true;
}

void mg_config_take(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    static bool (*const takers[])(mg_config_reading *, const mg_config_key *, mg_json_token) = {
        [MG_CONFIG_ADDRESS] = take_address,
        [MG_CONFIG_MODE] = take_mode,
        [MG_CONFIG_WORKERS] = take_workers,
        [MG_CONFIG_PATH] = take_path,
        [MG_CONFIG_OPTIONAL_PATH] = take_optional_path,
        [MG_CONFIG_OPTIONAL_FILE] = take_optional_path, // which the struct begins with
        [MG_CONFIG_OPTIONAL_NAME] = take_optional_name,
        [MG_CONFIG_BOOL] = take_bool,
        [MG_CONFIG_SIZE] = take_size,
        [MG_CONFIG_COUNT] = take_count,
        [MG_CONFIG_SECONDS] = take_seconds,
        [MG_CONFIG_DESCRIPTORS] = take_descriptors,
        [MG_CONFIG_CHOICE] = take_choice,
        [MG_CONFIG_OPTIONAL_CHOICE] = take_optional_choice,
        [MG_CONFIG_TARGET] = take_target,
        [MG_CONFIG_OPTIONAL_TARGET] = take_target,
        [MG_CONFIG_DIRECTORY] = mg_config_take_directory,
        [MG_CONFIG_SHARE] = take_share,
        [MG_CONFIG_OPTIONAL_TEXT] = take_optional_text,
        [MG_CONFIG_SERVER_URL] = mg_config_take_server_url,
        [MG_CONFIG_HASH] = mg_config_take_hash,
        [MG_CONFIG_STICKY] = mg_config_take_sticky,
        [MG_CONFIG_STATUSES] = mg_config_take_statuses,
        [MG_CONFIG_RETRY_ON] = mg_config_take_retry_on,
        [MG_CONFIG_HOST] = mg_config_take_host,
        [MG_CONFIG_HTTP2] = mg_config_take_http2,
        [MG_CONFIG_SERVICE] = mg_config_take_service,
        [MG_CONFIG_PROXY_PROTOCOL] = mg_config_take_proxy_protocol,
    };
    if (!take_many(r, key, t) && !takers[key->kind](r, key, t)) {
        mg_config_refuse(r, key, t);
        mg_config_skip(r, t);
    }
}
