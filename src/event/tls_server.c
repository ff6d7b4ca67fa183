// What the TLS connections of one endpoint share: certificates by name, who may be a client,
// tickets, protocols.

#include "base/crypto.h"
#include "base/mem.h"
#include "event/tls_challenge.h"
#include "event/tls_inside.h"
#include "event/tls_pair.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

// Forward secrecy and authenticated encryption alone. AES with 128 bits comes first: nobody breaks
// it, and it costs less. A client whose list begins with ChaCha20 has no AES in hardware.
#define CIPHERS_1_2                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS      "X25519:P-256:P-384"

static struct mg_tls_stream *stream_of(SSL *ssl) {
    return SSL_get_app_data(ssl);
}

// --- certificates ---

static const char *cannot_serve(const mg_tls_context *c, uint32_t id, mg_error *err) {
    mg_tls_about about;
    mg_str file;
    mg_buf name = {0};
    mg_tls_store_about(c->store, id, &about, &file);
    mg_buf_append_str(&name, file);
    mg_buf_append_char(&name, '\0');
    mg_tls_fault(err, "a certificate that can be served", name.p);
    mg_buf_deinit(&name);
    return err->text;
}

static int set_standard(const mg_tls_context *c, mg_error *err) {
    mg_tls_choice choice;
    mg_tls_store_default(c->store, c->source, &choice);
    for (uint32_t i = 0; i < choice.n; i++) {
        const mg_tls_pair *p = mg_tls_store_pair(c->store, choice.ids[i]);
        if (p == NULL || SSL_CTX_use_cert_and_key(c->ssl, p->leaf, p->key, p->issuers, 1) != 1) {
            cannot_serve(c, choice.ids[i], err);
            return MG_ECONFIG;
        }
    }
    return choice.n > 0 ? MG_OK : mg_error_set(err, MG_ECONFIG, "there is no certificate");
}

static bool same_choice(const mg_tls_choice *a, const mg_tls_choice *b) {
    return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof *a->ids) == 0;
}

// The certificates for the name that was asked for, or the standard ones.
static bool choose(const struct mg_tls_stream *t, mg_tls_choice *out) {
    const mg_tls_context *c = t->context;
    if (t->asked != NULL && mg_tls_store_find(c->store, c->source, mg_str_of(t->asked), out)) {
        return true;
    }
    mg_tls_store_default(c->store, c->source, out);
    return false;
}

static int use(SSL *ssl, const mg_tls_pair *p) {
    return p != NULL && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->issuers, 1) == 1;
}

// What the context has is what every connection begins with. Not called when a session is resumed.
static int on_certificate(SSL *ssl, void *arg) {
    const struct mg_tls_stream *t = stream_of(ssl);
    mg_tls_choice choice, standard;
    (void)arg;
    if (t->proves) {
        SSL_certs_clear(ssl);
        return use(ssl, mg_challenge_pair(*t->context->challenge, t->asked));
    }
    if (t->asked == NULL || !choose(t, &choice)) {
        return 1;
    }
    mg_tls_store_default(t->context->store, t->context->source, &standard);
    if (same_choice(&choice, &standard)) {
        return 1;
    }
    SSL_certs_clear(ssl);
    for (uint32_t i = 0; i < choice.n; i++) {
        if (use(ssl, mg_tls_store_pair(t->context->store, choice.ids[i])) == 0) {
            return 0;
        }
    }
    return 1;
}

// --- the name that is asked for ---

// RFC 6066 section 3: a list, in which only one kind of name was ever defined.
static mg_str name_in(const unsigned char *p, size_t n) {
    enum { BEFORE = 5 }; // length of the list, kind, length of the name
    if (n < BEFORE || p[2] != TLSEXT_NAMETYPE_host_name) {
        return (mg_str){0};
    }
    size_t length = (size_t)p[3] << 8 | p[4];
    if (length > n - BEFORE || length > MG_TLS_NAME_MAX) {
        return (mg_str){0}; // OpenSSL refuses it a little later
    }
    const char *name = (const char *)p + BEFORE;
    return (mg_str){name, length > 0 && name[length - 1] == '.' ? length - 1 : length};
}

// RFC 8737 section 3: it offers that protocol and no other, and asks for the name in question.
static bool is_directory(SSL *ssl, const struct mg_tls_stream *t) {
    static const unsigned char wanted[] = "\x00\x0b\x0a" MG_TLS_PROVING;
    const unsigned char *p;
    size_t n;
    return t->context->challenge != NULL && t->asked != NULL &&
           mg_challenge_pair(*t->context->challenge, t->asked) != NULL &&
           SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
                                     &n) == 1 &&
           n == sizeof wanted - 1 && memcmp(p, wanted, n) == 0;
}

// It shows no certificate of its own and comes only once.
static void prepare_proof(SSL *ssl) {
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(ssl, 0);
}

// Before a session is looked at: it must be of the same name.
static int on_hello(SSL *ssl, int *alert, void *arg) {
    struct mg_tls_stream *t = stream_of(ssl);
    const unsigned char *p;
    size_t n;
    (void)alert;
    (void)arg;
    if (t->asked == NULL && SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) == 1) {
        mg_str name = name_in(p, n);
        t->asked = name.n > 0 ? mg_strndup(name.p, name.n) : NULL;
        for (char *at = t->asked; at != NULL && *at != '\0'; at++) {
            *at = mg_lower(*at);
        }
    }
    t->proves = is_directory(ssl, t);
    if (t->proves) {
        prepare_proof(ssl);
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static bool covers(mg_tls_store *store, const mg_tls_choice *choice, const char *host) {
    for (uint32_t i = 0; i < choice->n; i++) {
        const mg_tls_pair *p = mg_tls_store_pair(store, choice->ids[i]);
        if (p != NULL &&
            (X509_check_host(p->leaf, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1 ||
             X509_check_ip_asc(p->leaf, host, 0) == 1)) {
            return true;
        }
    }
    return false;
}

static bool have_one(const mg_tls_choice *a, const mg_tls_choice *b) {
    for (uint32_t i = 0; i < a->n; i++) {
        for (uint32_t j = 0; j < b->n; j++) {
            if (a->ids[i] == b->ids[j]) {
                return true;
            }
        }
    }
    return false;
}

bool mg_tls_has_authority(const mg_stream *s, mg_str host) {
    const struct mg_tls_stream *t = s->u.tls;
    const mg_tls_context *c = t->context;
    char name[MG_TLS_NAME_MAX + 1];
    mg_tls_choice own, other;
    if (host.n == 0 || host.n > MG_TLS_NAME_MAX) {
        return true;
    }
    for (size_t i = 0; i < host.n; i++) {
        name[i] = mg_lower(host.p[i]);
    }
    size_t n = name[host.n - 1] == '.' ? host.n - 1 : host.n;
    name[n] = '\0';
    if (t->asked != NULL && strcmp(t->asked, name) == 0) {
        return true;
    }
    bool named = choose(t, &own);
    if (!mg_tls_store_find(c->store, c->source, (mg_str){name, n}, &other)) {
        return !named;
    }
    return have_one(&own, &other) || covers(c->store, &own, name);
}

// --- clients' certificates ---

static int trust_clients(const mg_tls_context *c, const mg_tls_section *section, mg_error *err) {
    if (section->client == MG_TLS_CLIENT_NONE) {
        return MG_OK;
    }
    STACK_OF(X509) *all = mg_tls_certificates(section->client_ca);
    if (all == NULL || !mg_tls_trust_text(c, section->client_ca)) {
        sk_X509_pop_free(all, X509_free);
        return mg_tls_fault(err, "certificates in PEM form", "client_ca");
    }
    for (int i = 0; i < sk_X509_num(all); i++) {
        SSL_CTX_add_client_CA(c->ssl, sk_X509_value(all, i));
    }
    sk_X509_pop_free(all, X509_free);
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (section->client == MG_TLS_CLIENT_REQUIRE) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(c->ssl, mode, NULL);
    return MG_OK;
}

// Sessions are good where the same is asked of clients: whose certificate was believed elsewhere is
// not believed here.
static void set_session_context(const mg_tls_context *c, const mg_tls_section *section) {
    unsigned char digest[MG_DIGEST_MAX];
    mg_buf text = {0};
    mg_buf_printf(&text, "%u:", section->client);
    if (section->client != 0) {
        mg_buf_append_str(&text, section->client_ca);
    }
    size_t n = mg_digest(MG_SHA256, mg_buf_str(&text), digest);
    SSL_CTX_set_session_id_context(c->ssl, digest, (unsigned)n);
    mg_buf_deinit(&text);
}

// --- the context ---

static int set_protocols(const mg_tls_context *c, const mg_tls_section *section, mg_error *err) {
    SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_max_early_data(c->ssl, 0);
    if (SSL_CTX_set_min_proto_version(
            c->ssl, section->minimum == MG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c->ssl, CIPHERS_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(c->ssl, CIPHERS_1_3) != 1 ||
        SSL_CTX_set1_groups_list(c->ssl, GROUPS) != 1) {
        return mg_tls_fault(err, "its ciphers", "OpenSSL");
    }
    return MG_OK;
}

static int fill(mg_tls_context *c, const mg_tls_server_options *o, mg_error *err) {
    mg_tls_section section;
    if (!mg_tls_store_section(o->store, o->address, &section)) {
        return mg_error_set(err, MG_ECONFIG, "%s: no certificates have been read for it",
                            o->address);
    }
    c->store = mg_tls_store_ref(o->store);
    c->challenge = o->challenge;
    c->source = section.source;
    int rc = set_protocols(c, &section, err);
    rc = rc == MG_OK ? set_standard(c, err) : rc;
    rc = rc == MG_OK ? trust_clients(c, &section, err) : rc;
    rc = rc == MG_OK ? mg_tls_set_alpn(c, o->alpn, err) : rc;
    rc = rc == MG_OK ? mg_tls_set_tickets(c, &section, o->ring, err) : rc;
    set_session_context(c, &section);
    SSL_CTX_set_cert_cb(c->ssl, on_certificate, NULL);
    SSL_CTX_set_client_hello_cb(c->ssl, on_hello, NULL);
    return rc;
}

int mg_tls_server_new(mg_tls_context **out, const mg_tls_server_options *o, mg_error *err) {
    mg_tls_context *c = mg_tls_context_new(TLS_server_method());
    int rc = fill(c, o, err);
    if (rc != MG_OK) {
        mg_tls_unref(c);
        return rc;
    }
    *out = c;
    return MG_OK;
}

// What is under way keeps its SSL_CTX; names are looked up in the new store.
int mg_tls_server_renew(mg_tls_context *c, const mg_tls_server_options *o, mg_error *err) {
    mg_tls_context *fresh;
    int rc = mg_tls_server_new(&fresh, o, err);
    if (rc == MG_OK) {
        mg_tls_context old = *c;
        c->ssl = fresh->ssl;
        c->store = fresh->store;
        c->source = fresh->source;
        c->alpn = fresh->alpn;
        c->alpn_n = fresh->alpn_n;
        c->ring = fresh->ring;
        c->challenge = fresh->challenge;
        c->own_ring = fresh->own_ring;
        fresh->ssl = old.ssl;
        fresh->store = old.store;
        fresh->alpn = old.alpn;
        fresh->own_ring = old.own_ring;
        mg_tls_unref(fresh);
    }
    return rc;
}
