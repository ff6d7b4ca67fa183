#include "config/endpoint.h"

#include "config/path.h"
#include "config/table.h"
#include "config/write.h"

#define AN_ITEM                                                                                    \
    "allowed: an address as \"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\", or a table "     \
    "as { address = \"unix:run/x.sock\", mode = \"0660\" }"

#define AT(field) offsetof(mg_endpoint, field)

const mg_config_key mg_endpoint_keys[] = {
    {"address", MG_CONFIG_ADDRESS, AT(address), NULL, 0, 0, NULL, "Where"},
    {"app", MG_CONFIG_CHOICE, AT(app), "\"main\"", 0, 0, "main", "Who answers there"},
    {"mode", MG_CONFIG_MODE, AT(mode), "false", 0, 0777, NULL,
     "Of a Unix socket; false: as the umask says"},
    {"tls", MG_CONFIG_TLS, AT(secure), "false", 0, 0, NULL, "TLS"},
    {"http2", MG_CONFIG_BOOL, AT(http2), "false", 0, 0, NULL,
     "HTTP/2 too: by ALPN; without TLS by prior knowledge"},
    {"stream", MG_CONFIG_BOOL, AT(stream), "false", 0, 0, NULL,
     "No HTTP: what app:stream(address, fn) speaks"},
    {"proxy_protocol", MG_CONFIG_NETWORKS, AT(proxies), "false", 0, 0, NULL,
     "Who speaks the PROXY protocol; nobody else is let in"},
};
const size_t mg_endpoint_key_count = sizeof mg_endpoint_keys / sizeof mg_endpoint_keys[0];

mg_endpoint mg_endpoint_of(const char *address) {
    return (mg_endpoint){.address = address, .app = MG_APP_MAIN, .mode = MG_MODE_ANY};
}

// --- reading ---

static void check(mg_config_reading *r, const mg_endpoint *e) {
    if (e->address == NULL) {
        mg_config_fault(r, "has no address, " AN_ITEM);
    } else if (e->mode != MG_MODE_ANY && strncmp(e->address, "unix:", 5) != 0) {
        mg_config_fault(r, "mode: \"%s\" is no Unix socket, allowed: no mode", e->address);
    } else if (e->stream && (e->http2 || e->app != MG_APP_MAIN)) {
        mg_config_fault(r, "stream: \"%s\" speaks no HTTP, allowed: neither http2 nor app",
                        e->address);
    }
}

bool mg_endpoint_take(mg_config_reading *r, mg_json_token t, mg_endpoint *out) {
    size_t faults = r->fault_count;
    void *before = r->into;
    *out = mg_endpoint_of(NULL);
    r->into = out;
    if (t == MG_JSON_STRING) {
        mg_config_take(r, &mg_endpoint_keys[0], t);
    } else if (t == MG_JSON_OBJECT) {
        mg_config_take_table(r, &(mg_config_table){mg_endpoint_keys, mg_endpoint_key_count});
    } else {
        mg_config_skip(r, t);
        mg_config_fault(r, "is neither a text nor a table, " AN_ITEM);
    }
    r->into = before;
    if (r->fault_count == faults) {
        check(r, out);
    }
    return r->fault_count == faults;
}

// --- as text ---

void mg_endpoint_write(mg_buf *out, const mg_endpoint *e) {
    char before = '{';
    for (size_t i = 0; i < mg_endpoint_key_count; i++) {
        const mg_config_key *key = &mg_endpoint_keys[i];
        mg_buf_printf(out, "%c\"%s\":", before, key->path);
        mg_config_write(out, key, e);
        before = ',';
    }
    mg_buf_append_char(out, '}');
}

int mg_endpoint_read(mg_endpoint *out, mg_arena *a, mg_str text) {
    mg_buf faults = {0};
    mg_config c = {.arena = *a, .file = "endpoint", .root = "/"};
    mg_config_reading r = {.config = &c, .faults = &faults, .handed_on = true};
    mg_json_reader_init(&r.json, text, &r.decoded, 0);
    r.json.any_bytes = true; // a path may be any
    bool good =
        mg_endpoint_take(&r, mg_json_next(&r.json), out) && mg_json_next(&r.json) == MG_JSON_END;
    *a = c.arena;
    mg_buf_deinit(&r.path);
    mg_buf_deinit(&r.decoded);
    mg_buf_deinit(&faults);
    return good ? MG_OK : MG_ECONFIG;
}

const mg_endpoint *mg_endpoint_find(const mg_config *c, const char *address) {
    for (size_t i = 0; i < c->listen.n; i++) {
        if (strcmp(c->listen.items[i].address, address) == 0) {
            return &c->listen.items[i];
        }
    }
    return NULL;
}
