#include "config/write.h"

#include "base/json.h"
#include "client/call.h"
#include "config/endpoint.h"

typedef void (*writer)(mg_buf *out, const mg_config_key *key, const void *field);

static void write_text(mg_buf *out, const char *text) {
    mg_json_write_raw(out, mg_str_of(text)); // paths may be any bytes
}

static void write_false(mg_buf *out) {
    mg_buf_append_str(out, MG_STR("false"));
}

static void write_text_or_false(mg_buf *out, const mg_config_key *key, const void *field) {
    const char *text = *(const char *const *)field;
    (void)key;
    if (text == NULL) {
        write_false(out);
    } else {
        write_text(out, text);
    }
}

static void write_file(mg_buf *out, const mg_config_key *key, const void *field) {
    write_text_or_false(out, key, &((const mg_config_file *)field)->path);
}

static void write_bool(mg_buf *out, const mg_config_key *key, const void *field) {
    (void)key;
    mg_buf_append_str(out, *(const bool *)field ? MG_STR("true") : MG_STR("false"));
}

static void write_count(mg_buf *out, const mg_config_key *key, const void *field) {
    (void)key;
    mg_json_write_u64(out, *(const uint64_t *)field);
}

static void write_seconds(mg_buf *out, const mg_config_key *key, const void *field) {
    (void)key;
    (void)mg_json_write_double(out, (double)*(const uint64_t *)field / 1000);
}

static void write_workers(mg_buf *out, const mg_config_key *key, const void *field) {
    (void)key;
    int n = *(const int *)field;
    if (n == MG_CONFIG_WORKERS_AUTO) {
        mg_buf_append_str(out, MG_STR("\"auto\""));
    } else {
        mg_json_write_i64(out, n);
    }
}

static void write_descriptors(mg_buf *out, const mg_config_key *key, const void *field) {
    const mg_config_share *d = field;
    (void)key;
    if (d->count == 0) {
        mg_buf_printf(out, "\"%u%%\"", d->percent);
    } else {
        mg_json_write_u64(out, d->count);
    }
}

static void write_place(mg_buf *out, const char *choices, unsigned place) {
    const char *at = choices;
    for (; place > 0; place--) {
        at = strchr(at, '|') + 1;
    }
    mg_json_write_raw(out, (mg_str){at, strcspn(at, "|")});
}

static void write_choice(mg_buf *out, const mg_config_key *key, const void *field) {
    write_place(out, key->choices, *(const unsigned *)field);
}

static void write_http2(mg_buf *out, const mg_config_key *key, const void *field) {
    unsigned how = *(const unsigned *)field;
    (void)key;
    mg_buf_append_str(out, how == MG_HTTP2_AUTO     ? MG_STR("\"auto\"")
                           : how == MG_HTTP2_ALWAYS ? MG_STR("true")
                                                    : MG_STR("false"));
}

static void write_optional_choice(mg_buf *out, const mg_config_key *key, const void *field) {
    unsigned place = *(const unsigned *)field;
    if (place == 0) {
        write_false(out);
    } else {
        write_place(out, key->choices, place - 1);
    }
}

// Whether it is wanted: all else goes with the certificates (event/tls_store.h).
static void write_tls(mg_buf *out, const mg_config_key *key, const void *field) {
    write_bool(out, key, field);
}

static void write_texts(mg_buf *out, const mg_config_key *key, const void *field) {
    const mg_config_texts *texts = field;
    (void)key;
    mg_buf_append_char(out, '[');
    for (size_t i = 0; i < texts->n; i++) {
        mg_buf_append(out, ",", i > 0);
        write_text(out, texts->items[i]);
    }
    mg_buf_append_char(out, ']');
}

static void write_networks(mg_buf *out, const mg_config_key *key, const void *field) {
    if (((const mg_config_texts *)field)->n > 0) {
        write_texts(out, key, field);
    } else {
        write_false(out);
    }
}

static void write_endpoints(mg_buf *out, const mg_config_key *key, const void *field) {
    const mg_config_endpoints *endpoints = field;
    (void)key;
    for (size_t i = 0; i < endpoints->n; i++) {
        mg_buf_append_char(out, i == 0 ? '[' : ',');
        mg_endpoint_write(out, &endpoints->items[i]);
    }
    mg_buf_append_char(out, ']');
}

static void write_mode(mg_buf *out, const mg_config_key *key, const void *field) {
    uint32_t mode = *(const uint32_t *)field;
    (void)key;
    if (mode == MG_MODE_ANY) {
        write_false(out);
    } else {
        mg_buf_printf(out, "\"%04o\"", mode);
    }
}

void mg_config_write_database(mg_buf *out, const mg_config_database *d) {
    mg_buf url = {0};
    mg_buf_printf(&url, "%s%s", d->url != NULL ? "" : "sqlite:", d->url != NULL ? d->url : d->path);
    mg_json_write_raw(out, mg_buf_str(&url));
    mg_buf_deinit(&url);
}

static void write_databases(mg_buf *out, const mg_config_key *key, const void *field) {
    const mg_config_databases *d = field;
    (void)key;
    if (d->n == 0) {
        write_false(out);
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        mg_buf_append_char(out, i == 0 ? '{' : ',');
        write_text(out, d->items[i].name);
        mg_buf_append_char(out, ':');
        mg_config_write_database(out, &d->items[i]);
    }
    mg_buf_append_char(out, '}');
}

static void write_cache(mg_buf *out, const mg_config_key *key, const void *field) {
    const mg_config_cache *c = field;
    (void)key;
    if (c->url != NULL) {
        mg_json_write_raw(out, mg_str_of(c->url));
    } else if (c->bytes == 0) {
        write_false(out);
    } else {
        mg_buf_printf(out, "\"memory:%llu\"", (unsigned long long)c->bytes);
    }
}

void mg_config_write(mg_buf *out, const mg_config_key *key, const void *base) {
    static const writer writers[] = {
        [MG_CONFIG_LISTEN] = write_endpoints,
        [MG_CONFIG_ADDRESS] = write_text_or_false,
        [MG_CONFIG_MODE] = write_mode,
        [MG_CONFIG_WORKERS] = write_workers,
        [MG_CONFIG_PATH] = write_text_or_false,
        [MG_CONFIG_OPTIONAL_PATH] = write_text_or_false,
        [MG_CONFIG_OPTIONAL_FILE] = write_file,
        [MG_CONFIG_OPTIONAL_NAME] = write_text_or_false,
        [MG_CONFIG_BOOL] = write_bool,
        [MG_CONFIG_SIZE] = write_count,
        [MG_CONFIG_COUNT] = write_count,
        [MG_CONFIG_SECONDS] = write_seconds,
        [MG_CONFIG_DESCRIPTORS] = write_descriptors,
        [MG_CONFIG_CHOICE] = write_choice,
        [MG_CONFIG_HTTP2] = write_http2,
        [MG_CONFIG_OPTIONAL_CHOICE] = write_optional_choice,
        [MG_CONFIG_TLS] = write_tls,
        [MG_CONFIG_TARGET] = write_text_or_false,
        [MG_CONFIG_OPTIONAL_TARGET] = write_text_or_false,
        [MG_CONFIG_TEXTS] = write_texts,
        [MG_CONFIG_FORWARDED] = write_texts,
        [MG_CONFIG_NETWORKS] = write_networks,
        [MG_CONFIG_DATABASE] = write_databases,
        [MG_CONFIG_NAMESERVERS] = write_text_or_false,
        [MG_CONFIG_REDIS] = write_databases,
        [MG_CONFIG_CACHE] = write_cache,
    };
    writers[key->kind](out, key, (const char *)base + key->offset);
}
