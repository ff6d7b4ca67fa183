#include "config/part.h"

#include "base/stamp.h"
#include "config/write.h"

#include <assert.h>

static size_t size_of(mg_config_kind kind) {
    static const size_t sizes[] = {
        [MG_CONFIG_LISTEN] = sizeof(mg_config_endpoints),
        [MG_CONFIG_WORKERS] = sizeof(int),
        [MG_CONFIG_PATH] = sizeof(const char *),
        [MG_CONFIG_OPTIONAL_PATH] = sizeof(const char *),
        [MG_CONFIG_OPTIONAL_FILE] = sizeof(mg_config_file),
        [MG_CONFIG_OPTIONAL_NAME] = sizeof(const char *),
        [MG_CONFIG_BOOL] = sizeof(bool),
        [MG_CONFIG_SIZE] = sizeof(uint64_t),
        [MG_CONFIG_COUNT] = sizeof(uint64_t),
        [MG_CONFIG_SECONDS] = sizeof(uint64_t),
        [MG_CONFIG_DESCRIPTORS] = sizeof(mg_config_share),
        [MG_CONFIG_CHOICE] = sizeof(unsigned),
        [MG_CONFIG_HTTP2] = sizeof(unsigned),
        [MG_CONFIG_TARGET] = sizeof(const char *),
        [MG_CONFIG_OPTIONAL_TARGET] = sizeof(const char *),
        [MG_CONFIG_TEXTS] = sizeof(mg_config_texts),
        [MG_CONFIG_FORWARDED] = sizeof(mg_config_texts),
        [MG_CONFIG_DATABASE] = sizeof(mg_config_databases),
        [MG_CONFIG_NAMESERVERS] = sizeof(const char *),
        [MG_CONFIG_REDIS] = sizeof(mg_config_redis),
        [MG_CONFIG_CACHE] = sizeof(mg_config_cache),
    };
    return sizes[kind];
}

// What lies in it, and not only where. A folder is known by its last change.
static void append_content(mg_buf *out, const mg_config_file *f) {
    mg_buf_printf(out, "%zu:", f->text.n);
    mg_buf_append_str(out, f->text);
    if (f->path != NULL && f->text.n == 0) {
        mg_stamp stamp = mg_stamp_of(f->path);
        mg_buf_append(out, (const char *)&stamp, sizeof stamp);
    }
}

static void take(mg_config *out, const mg_config *c, const mg_config_key *key, mg_buf *signature) {
    const char *from = (const char *)c + key->offset;
    memcpy((char *)out + key->offset, from, size_of(key->kind));
    mg_buf_printf(signature, "%s=", key->path);
    mg_config_write(signature, key, c);
    if (key->kind == MG_CONFIG_OPTIONAL_FILE) {
        append_content(signature, (const mg_config_file *)(const void *)from);
    }
    mg_buf_append_char(signature, '\n');
}

void mg_config_part(mg_config *out, const mg_config *c, const char *const *names,
                    mg_buf *signature) {
    *out = (mg_config){.file = c->file, .root = c->root};
    for (; *names != NULL; names++) {
        const mg_config_key *named = mg_config_find(mg_str_of(*names));
        assert(named != NULL);
        for (size_t i = 0; i < mg_config_key_count; i++) {
            const mg_config_key *key = &mg_config_keys[i];
            if (key == named ? key->fallback != NULL
                             : mg_config_is_in(key, mg_str_of(named->path))) {
                take(out, c, key, signature);
            }
        }
    }
}
