#include "config/endpoint.h"
#include "config/upstream.h"

enum { LINE_BYTES = 100 };

static void append_key(mg_buf *out, const mg_config_key *key, const char *indent) {
    mg_buf_printf(out, "%s-- %s (", indent, key->about);
    mg_config_append_allowed(out, key);
    mg_buf_printf(out, ").\n%s%s = ", indent, mg_config_name(key));
    mg_config_append_default(out, key);
    mg_buf_append_str(out, MG_STR(",\n"));
}

// What may be said stands in a line of its own where it would not fit.
static void append_item(mg_buf *out, const mg_config_key *key) {
    size_t begin = out->n;
    mg_buf allowed = {0};
    mg_config_append_allowed(&allowed, key);
    mg_buf_printf(out, "  --   %s = ", key->path);
    if (key->fallback != NULL) {
        mg_config_append_default(out, key);
    } else {
        mg_buf_append_str(out, MG_STR("..."));
    }
    mg_buf_printf(out, "  %s", key->about);
    bool fits = out->n - begin + allowed.n + sizeof " ()" <= LINE_BYTES;
    mg_buf_printf(out, "%s(%.*s).\n", fits ? " " : "\n  --     ", (int)allowed.n, allowed.p);
    mg_buf_deinit(&allowed);
}

// What a table inside a list or under a free name may say.
static void append_items(mg_buf *out, const char *intro, const mg_config_table *t) {
    mg_buf_printf(out, "  -- %s:\n", intro);
    for (size_t i = 0; i < t->count; i++) {
        const mg_config_key *key = &t->keys[i];
        if (key->kind == MG_CONFIG_TABLE || key->kind == MG_CONFIG_OPTIONAL_TABLE) {
            mg_buf_printf(out, "  --   %s = { ... }  %s.\n", key->path, key->about);
        } else if (key->kind != MG_CONFIG_RESERVED) {
            append_item(out, key);
        }
    }
}

static void append_what_may_be_inside(mg_buf *out, mg_config_kind kind) {
    if (kind == MG_CONFIG_LISTEN) {
        append_items(out, "An item may be a table instead of an address",
                     &(mg_config_table){mg_endpoint_keys, mg_endpoint_key_count});
        append_items(out, "Its tls", &(mg_config_table){mg_tls_keys, mg_tls_key_count});
    } else if (kind == MG_CONFIG_UPSTREAMS) {
        append_items(out, "An upstream may be a table instead of a list of URLs",
                     &mg_upstream_table);
        append_items(out, "A server may be a table instead of a URL", &mg_upstream_server_table);
    }
}

static void append_table(mg_buf *out, const mg_config_key *table) {
    mg_buf_printf(out, "\n  -- %s.\n  %s = {\n", table->about, table->path);
    for (size_t i = 0; i < mg_config_key_count; i++) {
        if (mg_config_is_in(&mg_config_keys[i], mg_str_of(table->path))) {
            append_key(out, &mg_config_keys[i], "    ");
        }
    }
    mg_buf_append_str(out, MG_STR("  },\n"));
}

void mg_config_print_defaults(mg_buf *out) {
    mg_buf_append_str(
        out,
        MG_STR("-- Every setting of Moongate and its default. A file needs only what differs.\n"
               "-- Paths begin at the folder above conf/. Sizes are bytes, or texts as \"64K\", "
               "\"16M\", \"1T\".\n"
               "return {\n"));
    for (size_t i = 0; i < mg_config_key_count; i++) {
        const mg_config_key *key = &mg_config_keys[i];
        if (key->kind == MG_CONFIG_TABLE) {
            append_table(out, key);
        } else if (key->fallback != NULL && mg_config_is_in(key, MG_STR(""))) {
            append_what_may_be_inside(out, key->kind);
            append_key(out, key, "  ");
        }
    }
    mg_buf_append_str(out, MG_STR("}\n"));
}
