// `tls` of an item of `listen`.

#include "config/acme.h"
#include "config/endpoint.h"
#include "config/path.h"
#include "config/table.h"

// As it is read; the files of `cert` and `key` become the only ones.
typedef struct item {
    mg_tls_settings settings; // first: what lives on
    mg_tls_files files;
} item;

#define AT(field) offsetof(item, field)

const mg_config_key mg_tls_keys[] = {
    {"cert", MG_CONFIG_PATH, AT(files.cert), NULL, 0, 0, NULL, "The certificate and its issuers"},
    {"key", MG_CONFIG_PATH, AT(files.key), NULL, 0, 0, NULL, "Its private key"},
    {"certificates", MG_CONFIG_CERTIFICATES, AT(settings), NULL, 0, 0, NULL,
     "NAME.pem with NAME.key"},
    {"acme", MG_CONFIG_OPTIONAL_TABLE, AT(settings.acme.on), NULL, 0, 0, NULL,
     "A directory issues them (RFC 8555), whose terms are agreed to by this"},
    {"acme.domains", MG_CONFIG_DOMAINS, AT(settings.acme.domains), NULL, 0, 0, NULL,
     "Names, each with a certificate of its own"},
    {"acme.directory", MG_CONFIG_DIRECTORY, AT(settings.acme.directory),
     "\"https://acme-v02.api.letsencrypt.org/directory\"", 0, 0, NULL, "Whom to ask"},
    {"acme.challenge", MG_CONFIG_CHOICE, AT(settings.acme.challenge), "\"http-01\"", 0, 0,
     "http-01|tls-alpn-01", "What it looks at: port 80 of the name, or port 443"},
    {"acme.email", MG_CONFIG_OPTIONAL_TEXT, AT(settings.acme.email), "false", 0, 0, NULL,
     "Where it may write to"},
    {"acme.ca", MG_CONFIG_OPTIONAL_PATH, AT(settings.acme.ca), "false", 0, 0, NULL,
     "Who vouches for the directory itself; false: the system's"},
    {"acme.key_id", MG_CONFIG_OPTIONAL_TEXT, AT(settings.acme.key_id), "false", 0, 0, NULL,
     "Of an account that the directory's owner has made already"},
    {"acme.hmac_key", MG_CONFIG_OPTIONAL_TEXT, AT(settings.acme.hmac_key), "false", 0, 0, NULL,
     "Its key, in base64url"},
    {"acme.folder", MG_CONFIG_PATH, AT(settings.acme.folder), "\"var/acme\"", 0, 0, NULL,
     "Where accounts and certificates are kept"},
    {"minimum", MG_CONFIG_CHOICE, AT(settings.minimum), "\"1.2\"", 0, 0, "1.2|1.3",
     "The oldest version of TLS"},
    {"client", MG_CONFIG_OPTIONAL_CHOICE, AT(settings.client), "false", 0, 0, "request|require",
     "Whether clients show a certificate"},
    {"client_ca", MG_CONFIG_OPTIONAL_PATH, AT(settings.client_ca), "false", 0, 0, NULL,
     "Who issues those"},
    {"ticket_keys", MG_CONFIG_OPTIONAL_PATH, AT(settings.ticket_keys), "false", 0, 0, NULL,
     "Keys of session tickets that a fleet shares"},
};
const size_t mg_tls_key_count = sizeof mg_tls_keys / sizeof mg_tls_keys[0];

static const mg_config_key pair_keys[] = {
    {"cert", MG_CONFIG_PATH, offsetof(mg_tls_files, cert), NULL, 0, 0, NULL, ""},
    {"key", MG_CONFIG_PATH, offsetof(mg_tls_files, key), NULL, 0, 0, NULL, ""},
};

static const char *const a_pair = "allowed: { cert = \"site.pem\", key = \"site.key\" }";

static bool is_whole(mg_config_reading *r, const mg_tls_files *f) {
    if (f->cert == NULL || f->key == NULL) {
        mg_config_fault(r, "has no %s, %s", f->cert == NULL ? "cert" : "key", a_pair);
    }
    return f->cert != NULL && f->key != NULL;
}

static void take_into(mg_config_reading *r, const mg_config_table *t, void *into) {
    void *before = r->into;
    r->into = into;
    mg_config_take_table(r, t);
    r->into = before;
}

static void add_pair(mg_config_reading *r, mg_buf *items, mg_json_token t) {
    mg_tls_files f = {0};
    size_t faults = r->fault_count;
    if (t != MG_JSON_OBJECT) {
        mg_config_skip(r, t);
        mg_config_fault(r, "is no table, %s", a_pair);
        return;
    }
    take_into(r, &(mg_config_table){pair_keys, sizeof pair_keys / sizeof *pair_keys}, &f);
    if (r->fault_count == faults && is_whole(r, &f)) {
        mg_buf_append(items, &f, sizeof f);
    }
}

void mg_config_take_certificates(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_tls_settings *s = mg_config_field(r, key);
    mg_buf items = {0};
    size_t faults = r->fault_count;
    if (t == MG_JSON_STRING) {
        s->folder = mg_config_absolute(&r->config->arena, r->config->root, r->json.text);
    } else if (mg_config_take_list(r, key, t, add_pair, &items)) {
        s->file_count = items.n / sizeof *s->files;
        s->files = mg_config_settle(r, &items);
        if (s->file_count == 0 && r->fault_count == faults) {
            mg_config_fault(r, "is empty, allowed: one certificate or more");
        }
    }
    mg_buf_deinit(&items);
}

static void check(mg_config_reading *r, item *x) {
    mg_tls_settings *s = &x->settings;
    bool single = x->files.cert != NULL || x->files.key != NULL;
    bool several = s->folder != NULL || s->file_count > 0;
    if (single + several + s->acme.on > 1) {
        mg_config_fault(r, "has more than one of cert with key, certificates, and acme, allowed: "
                           "one of them");
    } else if (!single && !several && !s->acme.on) {
        mg_config_fault(r, "has no certificate, allowed: cert with key, certificates, or acme");
    } else if (s->acme.on) {
        mg_config_finish_acme(r, &s->acme);
    } else if (single && is_whole(r, &x->files)) {
        s->files = &x->files;
        s->file_count = 1;
    }
    if (s->client != MG_TLS_CLIENT_NONE && s->client_ca == NULL) {
        mg_config_fault(r, "client needs client_ca: who issues the certificates of clients");
    }
}

static void take_table(mg_config_reading *r, mg_endpoint *e) {
    size_t faults = r->fault_count;
    item *x = mg_arena_alloc(&r->config->arena, sizeof *x);
    *x = (item){.settings = {0}};
    const mg_config_table table = {mg_tls_keys, mg_tls_key_count};
    mg_config_take_defaults(&(mg_config_reading){.config = r->config, .into = x}, &table);
    take_into(r, &table, x);
    if (r->fault_count == faults) {
        check(r, x);
    }
    e->secure = true;
    e->settings = &x->settings;
}

void mg_config_take_tls(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_endpoint *e = r->into;
    if (t == MG_JSON_OBJECT) {
        take_table(r, e);
    } else if (t == MG_JSON_FALSE || (t == MG_JSON_TRUE && r->handed_on)) {
        e->secure = t == MG_JSON_TRUE;
    } else {
        mg_config_refuse(r, key, t);
        mg_config_skip(r, t);
    }
}
