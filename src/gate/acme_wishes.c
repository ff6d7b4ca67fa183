#include "gate/acme_wishes.h"

#include "base/json.h"

#include <string.h>

static void add(mg_buf *out, const char *name, const char *value) {
    if (value != NULL) {
        mg_buf_printf(out, ",\"%s\":", name);
        mg_json_write_replaced(out, mg_str_of(value));
    }
}

static void add_wish(mg_buf *out, const mg_tls_acme *a, const char *domain) {
    static const char *const kinds[] = {[MG_ACME_HTTP] = "http-01", [MG_ACME_TLS] = "tls-alpn-01"};
    mg_buf_append_str(out, out->p[out->n - 1] == '[' ? MG_STR("{") : MG_STR(",{"));
    mg_buf_append_str(out, MG_STR("\"domain\":"));
    mg_json_write_replaced(out, mg_str_of(domain));
    add(out, "challenge", kinds[a->challenge]);
    add(out, "directory", a->directory);
    add(out, "folder", a->folder);
    add(out, "place", a->place);
    add(out, "email", a->email);
    add(out, "ca", a->ca);
    add(out, "key_id", a->key_id);
    add(out, "hmac_key", a->hmac_key);
    mg_buf_append_char(out, '}');
}

static const mg_tls_acme *acme_of(const mg_endpoint *e) {
    return e->settings != NULL && e->settings->acme.on ? &e->settings->acme : NULL;
}

// Of an endpoint before the n-th.
static bool is_wished_before(const mg_config *c, size_t n, const char *place, const char *domain) {
    for (size_t i = 0; i < n; i++) {
        const mg_tls_acme *a = acme_of(&c->listen.items[i]);
        for (size_t j = 0; a != NULL && strcmp(a->place, place) == 0 && j < a->domains.n; j++) {
            if (strcmp(a->domains.items[j], domain) == 0) {
                return true;
            }
        }
    }
    return false;
}

void mg_acme_wishes(const mg_config *c, mg_buf *out) {
    mg_buf_append_char(out, '[');
    for (size_t i = 0; i < c->listen.n; i++) {
        const mg_tls_acme *a = acme_of(&c->listen.items[i]);
        for (size_t j = 0; a != NULL && j < a->domains.n; j++) {
            if (!is_wished_before(c, i, a->place, a->domains.items[j])) {
                add_wish(out, a, a->domains.items[j]);
            }
        }
    }
    mg_buf_append_char(out, ']');
}
