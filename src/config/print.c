#include "config/endpoint.h"

static void append_key(mg_buf *out, const mg_config_key *key, const char *indent) {
    mg_buf_printf(out, "%s-- %s (", indent, key->about);
    mg_config_append_allowed(out, key);
    mg_buf_printf(out, ").\n%s%s = ", indent, mg_config_name(key));
    mg_config_append_default(out, key);
    mg_buf_append_str(out, MG_STR(",\n"));
}

// What an item of `listen` may say.
static void append_items(mg_buf *out) {
    mg_buf_append_str(out, MG_STR("  -- An item may be a table instead of an address:\n"));
    for (size_t i = 0; i < mg_endpoint_key_count; i++) {
        const mg_config_key *key = &mg_endpoint_keys[i];
        if (key->kind == MG_CONFIG_RESERVED) {
            continue;
        }
        mg_buf_printf(out, "  --   %s = %s  %s (", key->path,
                      key->fallback != NULL ? key->fallback : "...", key->about);
        mg_config_append_allowed(out, key);
        mg_buf_append_str(out, MG_STR(").\n"));
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
               "\"16M\", \"1G\".\n"
               "return {\n"));
    for (size_t i = 0; i < mg_config_key_count; i++) {
        const mg_config_key *key = &mg_config_keys[i];
        if (key->kind == MG_CONFIG_TABLE) {
            append_table(out, key);
        } else if (key->fallback != NULL && mg_config_is_in(key, MG_STR(""))) {
            if (key->kind == MG_CONFIG_LISTEN) {
                append_items(out);
            }
            append_key(out, key, "  ");
        }
    }
    mg_buf_append_str(out, MG_STR("}\n"));
}
