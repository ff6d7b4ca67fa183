#include "config/config.h"

#include "config/endpoint.h"
#include "config/path.h"
#include "config/table.h"

// --- the file's values
// -----------------------------------------------------------------------------------------------

static void take_json(mg_config_reading *r, mg_str text) {
    mg_json_reader_init(&r->json, text, &r->decoded, 0);
    mg_json_token t = mg_json_next(&r->json);
    if (t == MG_JSON_OBJECT) {
        mg_config_take_table(r, &(mg_config_table){mg_config_keys, mg_config_key_count});
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
    mg_config_take_defaults(&r, &(mg_config_table){mg_config_keys, mg_config_key_count});
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

static void secure_all(mg_config *c) {
    mg_endpoint *items = mg_arena_alloc(&c->arena, c->listen.n * sizeof *items);
    for (size_t i = 0; i < c->listen.n; i++) {
        items[i] = c->listen.items[i];
        items[i].secure |= strncmp(items[i].address, "unix:", 5) != 0;
    }
    c->listen.items = items;
}

int mg_config_override(mg_config *c, const mg_config_overrides *o, mg_buf *faults) {
    int rc = MG_OK;
    const char *here = mg_config_here(&c->arena);
    if (o->listen_count > 0) {
        mg_endpoint *items = mg_arena_alloc(&c->arena, o->listen_count * sizeof *items);
        for (size_t i = 0; i < o->listen_count; i++) {
            mg_error err;
            items[i] =
                mg_endpoint_of(mg_config_address(&c->arena, here, mg_str_of(o->listen[i]), &err));
            if (items[i].address == NULL) {
                mg_buf_printf(faults, "--listen: %s\n", err.text);
                rc = MG_ECONFIG;
            }
        }
        c->listen = (mg_config_endpoints){items, rc == MG_OK ? o->listen_count : 0};
    }
    if (o->app != NULL) {
        c->app = mg_config_absolute(&c->arena, here, mg_str_of(o->app));
    }
    c->log.people = o->dev;
    if (o->has_workers) {
        c->workers = o->workers;
    }
    if (o->tls) {
        secure_all(c);
    }
    return rc;
}
