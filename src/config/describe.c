#include "config/describe.h"

#include "base/json.h"
#include "config/endpoint.h"
#include "config/upstream.h"
#include "config/write.h"

// Texts of this room, which are UTF-8.
static void append_member(mg_buf *out, const char *name, mg_str text) {
    mg_buf_printf(out, "\"%s\":", name);
    mg_json_write_replaced(out, text);
}

static void append_setting(mg_buf *out, const char *before, const mg_config_key *key) {
    mg_buf text = {0};
    mg_buf_printf(&text, "%s%s", before, key->path);
    mg_buf_append_str(out, out->p[out->n - 1] == '[' ? MG_STR("{") : MG_STR(",{"));
    append_member(out, "path", mg_buf_str(&text));
    if (key->fallback != NULL) {
        mg_buf_clear(&text);
        mg_config_append_default(&text, key);
        mg_buf_append_char(out, ',');
        append_member(out, "default", mg_buf_str(&text));
    }
    if (key->kind != MG_CONFIG_TABLE && key->kind != MG_CONFIG_OPTIONAL_TABLE) {
        mg_buf_clear(&text);
        mg_config_append_allowed(&text, key);
        mg_buf_append_char(out, ',');
        append_member(out, "allowed", mg_buf_str(&text));
    }
    mg_buf_append_char(out, ',');
    append_member(out, "about", mg_str_of(key->about));
    mg_buf_append_char(out, '}');
    mg_buf_deinit(&text);
}

static void append_all(mg_buf *out, const char *before, const mg_config_key *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (keys[i].kind != MG_CONFIG_RESERVED) {
            append_setting(out, before, &keys[i]);
        }
        if (keys[i].kind == MG_CONFIG_LISTEN) {
            append_all(out, "listen[].", mg_endpoint_keys, mg_endpoint_key_count);
        } else if (keys[i].kind == MG_CONFIG_UPSTREAMS) {
            append_all(out, "upstreams.*.", mg_upstream_table.keys, mg_upstream_table.count);
        } else if (keys[i].kind == MG_CONFIG_TLS) {
            append_all(out, "listen[].tls.", mg_tls_keys, mg_tls_key_count);
        } else if (keys[i].kind == MG_CONFIG_SERVERS) {
            append_all(out, "upstreams.*.servers[].", mg_upstream_server_table.keys,
                       mg_upstream_server_table.count);
        }
    }
}

void mg_config_describe(mg_buf *out) {
    mg_buf_append_char(out, '[');
    append_all(out, "", mg_config_keys, mg_config_key_count);
    mg_buf_append_char(out, ']');
}
