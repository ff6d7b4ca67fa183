// `acme` of an endpoint's tls: certificates that a directory issues.

#include "config/acme.h"

#include "config/path.h"
#include "http/uri.h"

#include <stdio.h>

enum { DOMAINS_MOST = 1000, DOMAIN_BYTES = 253, LABEL_BYTES = 63, PLACE_BYTES = 100 };

// --- names ---

static bool is_label_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// Of letters, digits and hyphens (RFC 5890 section 2.3.1).
static bool is_label(mg_str s) {
    bool good = s.n > 0 && s.n <= LABEL_BYTES && s.p[0] != '-' && s.p[s.n - 1] != '-';
    for (size_t i = 0; good && i < s.n; i++) {
        good = is_label_char(s.p[i]);
    }
    return good;
}

static bool is_number(mg_str label) {
    size_t digits = 0;
    while (digits < label.n && label.p[digits] >= '0' && label.p[digits] <= '9') {
        digits++;
    }
    return digits == label.n;
}

// No address, whose last label would be a number.
static bool is_domain(mg_str s) {
    mg_str label = {0};
    bool good = s.n > 0 && s.n <= DOMAIN_BYTES;
    while (good && s.n > 0) {
        const char *dot = memchr(s.p, '.', s.n);
        label = (mg_str){s.p, dot != NULL ? (size_t)(dot - s.p) : s.n};
        good = is_label(label) && (dot == NULL || label.n + 1 < s.n);
        mg_str_skip(&s, dot != NULL ? label.n + 1 : label.n);
    }
    return good && !is_number(label);
}

static bool is_listed(const mg_buf *domains, const char *name) {
    const char *const *items = (const char *const *)(const void *)domains->p;
    for (size_t i = 0; i < domains->n / sizeof *items; i++) {
        if (strcmp(items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_domain(mg_config_reading *r, mg_buf *domains, mg_json_token t) {
    static const char *const allowed = "allowed: a name as \"www.example.com\"";
    if (t != MG_JSON_STRING) {
        mg_config_skip(r, t);
        mg_config_fault(r, "is no text, %s", allowed);
        return;
    }
    char *name = mg_arena_copy(&r->config->arena, r->json.text);
    for (char *at = name; *at != '\0'; at++) {
        *at = mg_lower(*at);
    }
    if (name[0] == '*') {
        mg_config_fault(r,
                        "\"%s\" needs a challenge in the DNS, which is not in this version, "
                        "allowed: each name by itself",
                        name);
    } else if (!is_domain((mg_str){name, r->json.text.n})) {
        mg_config_fault(r, "is \"%s\", %s", name, allowed);
    } else if (is_listed(domains, name)) {
        mg_config_fault(r, "\"%s\" is listed twice, allowed: once", name);
    } else if (domains->n / sizeof name >= DOMAINS_MOST) {
        mg_config_fault(r, "is one too many, allowed: %d names", DOMAINS_MOST);
    } else {
        mg_buf_append(domains, &name, sizeof name);
    }
}

void mg_config_take_domains(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_buf names = {0};
    if (mg_config_take_list(r, key, t, add_domain, &names)) {
        mg_texts *out = mg_config_field(r, key);
        out->n = names.n / sizeof *out->items;
        out->items = mg_config_settle(r, &names);
    }
    mg_buf_deinit(&names);
}

// --- the directory ---

bool mg_config_take_directory(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_uri uri;
    const char *why;
    if (t != MG_JSON_STRING || mg_uri_parse(r->json.text, &r->config->arena, &uri, &why) != MG_OK ||
        !uri.tls) {
        return false;
    }
    *(const char **)mg_config_field(r, key) = mg_arena_copy(&r->config->arena, r->json.text);
    return true;
}

// Another directory issues other certificates to other accounts: each has a folder.
static const char *folder_of(mg_config_reading *r, const mg_tls_acme *a) {
    mg_buf path = {0};
    const char *place = a->directory + strlen("https://");
    mg_buf_printf(&path, "%s/", a->folder);
    for (size_t i = 0; i < PLACE_BYTES && place[i] != '\0'; i++) {
        char c = mg_lower(place[i]);
        mg_buf_append_char(&path, is_label_char(c) || c == '.' ? c : '-');
    }
    const char *folder = mg_arena_copy(&r->config->arena, mg_buf_str(&path));
    mg_buf_deinit(&path);
    return folder;
}

void mg_config_finish_acme(mg_config_reading *r, mg_tls_acme *a) {
    if (a->domains.n == 0) {
        mg_config_fault(r, "acme has no domains, allowed: { domains = { \"www.example.com\" } }");
    } else if ((a->key_id == NULL) != (a->hmac_key == NULL)) {
        mg_config_fault(r, "acme has %s without %s, allowed: both, as the directory's owner says",
                        a->key_id != NULL ? "key_id" : "hmac_key",
                        a->key_id != NULL ? "hmac_key" : "key_id");
    }
    a->place = folder_of(r, a);
}
