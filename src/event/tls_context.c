// What TLS connections share: trust, keys, protocols, sessions.

#include "base/mem.h"
#include "event/tls_inside.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SESSIONS = 256, SESSIONS_OF_HOST = 4 };

typedef struct session {
    mg_link link;
    SSL_SESSION *ssl;
    char *host;
} session;

static int trust(const mg_tls_context *c, const char *ca_file, mg_str text, mg_error *err);
static int load_keys(const mg_tls_context *c, const char *chain_file, const char *key_file,
                     mg_error *err);
static int offer_alpn(mg_tls_context *c, const char *names, mg_error *err);
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *arg);
static int on_session(SSL *ssl, SSL_SESSION *s);
static void forget(mg_tls_context *c, session *s);

int mg_tls_client_new(mg_tls_context **out, const mg_tls_client_options *options, mg_error *err) {
    mg_tls_context *c = mg_tls_context_new(TLS_client_method());
    c->insecure = options->insecure;
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ssl, on_session);
    int rc = options->insecure ? MG_OK : trust(c, options->ca_file, options->ca_text, err);
    if (rc == MG_OK && options->chain_file != NULL) {
        rc = load_keys(c, options->chain_file, options->key_file, err);
    }
    if (rc == MG_OK && options->alpn != NULL) {
        rc = offer_alpn(c, options->alpn, err);
    }
    if (rc == MG_OK && c->alpn_n > 0) {
        SSL_CTX_set_alpn_protos(c->ssl, c->alpn, c->alpn_n);
    }
    if (rc != MG_OK) {
        mg_tls_unref(c);
        return rc;
    }
    *out = c;
    return MG_OK;
}

mg_tls_context *mg_tls_ref(mg_tls_context *c) {
    c->refs++;
    return c;
}

void mg_tls_unref(mg_tls_context *c) {
    if (c == NULL || --c->refs > 0) {
        return;
    }
    while (!mg_link_alone(&c->sessions)) {
        forget(c, MG_OF(c->sessions.next, session, link));
    }
    SSL_CTX_free(c->ssl);
    mg_tls_store_unref(c->store);
    mg_free(c->own_ring);
    mg_free(c->alpn);
    mg_free(c);
}

void mg_tls_session_put(mg_tls_context *c, const char *host, SSL_SESSION *s) {
    session *fresh = mg_malloc(sizeof *fresh);
    fresh->ssl = s;
    fresh->host = mg_strdup(host);
    mg_link_init(&fresh->link);
    mg_link_append(c->sessions.next, &fresh->link);
    c->session_count++;
    session *oldest = MG_OF(c->sessions.prev, session, link);
    int of_host = 0;
    for (mg_link *l = c->sessions.next; l != &c->sessions; l = l->next) {
        session *at = MG_OF(l, session, link);
        if (strcmp(at->host, host) == 0 && ++of_host > SESSIONS_OF_HOST) {
            forget(c, at);
            return;
        }
    }
    if (c->session_count > SESSIONS) {
        forget(c, oldest);
    }
}

// RFC 8446 appendix C.4: a session is used once, so that nobody can link two connections. In
// TLS 1.2 the session stays good, and a resumed one brings no new one.
SSL_SESSION *mg_tls_session_take(mg_tls_context *c, const char *host) {
    SSL_SESSION *taken = NULL;
    mg_link *next;
    for (mg_link *l = c->sessions.next; l != &c->sessions && taken == NULL; l = next) {
        session *s = MG_OF(l, session, link);
        next = l->next;
        if (strcmp(s->host, host) != 0) {
            continue;
        }
        if (SSL_SESSION_is_resumable(s->ssl)) { // OpenSSL takes that back after a fatal alert
            taken = s->ssl;
            SSL_SESSION_up_ref(taken);
        }
        if (taken == NULL || SSL_SESSION_get_protocol_version(taken) >= TLS1_3_VERSION) {
            forget(c, s);
        }
    }
    return taken;
}

mg_tls_context *mg_tls_context_new(const SSL_METHOD *method) {
    mg_tls_context *c = mg_calloc(1, sizeof *c);
    c->refs = 1;
    mg_link_init(&c->sessions);
    c->ssl = SSL_CTX_new(method);
    if (c->ssl == NULL) {
        abort(); // no memory, as in mg_malloc
    }
    SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    return c;
}

// As SSL_CTX_load_verify_file: every certificate and revocation list of the text, at least one.
bool mg_tls_trust_text(const mg_tls_context *c, mg_str text) {
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
    BIO *bio = text.n <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
    STACK_OF(X509_INFO) *all = bio != NULL ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    bool found = false;
    for (int i = 0; i < sk_X509_INFO_num(all); i++) { // of NULL: -1
        const X509_INFO *info = sk_X509_INFO_value(all, i);
        found |= info->x509 != NULL && X509_STORE_add_cert(store, info->x509) == 1;
        found |= info->crl != NULL && X509_STORE_add_crl(store, info->crl) == 1;
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(bio);
    return found;
}

static int trust(const mg_tls_context *c, const char *ca_file, mg_str text, mg_error *err) {
    ERR_clear_error();
    if (ca_file == NULL) {
        return SSL_CTX_set_default_verify_paths(c->ssl) == 1
                   ? MG_OK
                   : mg_tls_fault(err, "the system's certificates", "the store");
    }
    if (text.n > 0) {
        return mg_tls_trust_text(c, text)
                   ? MG_OK
                   : mg_tls_fault(err, "trusted certificates in PEM form", ca_file);
    }
    struct stat st;
    if (stat(ca_file, &st) != 0) {
        return mg_error_set(err, -errno, "%s: %s", ca_file, mg_strerror(-errno));
    }
    int good = S_ISDIR(st.st_mode) ? SSL_CTX_load_verify_dir(c->ssl, ca_file)
                                   : SSL_CTX_load_verify_file(c->ssl, ca_file);
    return good == 1 ? MG_OK : mg_tls_fault(err, "trusted certificates in PEM form", ca_file);
}

static int load_keys(const mg_tls_context *c, const char *chain_file, const char *key_file,
                     mg_error *err) {
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(c->ssl, mg_tls_no_password);
    if (SSL_CTX_use_certificate_chain_file(c->ssl, chain_file) != 1) {
        return mg_tls_fault(err, "a certificate chain in PEM form", chain_file);
    }
    if (SSL_CTX_use_PrivateKey_file(c->ssl, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ssl) != 1) {
        return mg_tls_fault(err, "the certificate's private key in PEM form, without a password",
                            key_file);
    }
    return MG_OK;
}

static int offer_alpn(mg_tls_context *c, const char *names, mg_error *err) {
    mg_str rest = mg_str_of(names);
    mg_str name;
    mg_buf wire = {0};
    while (mg_str_next_item(&rest, &name)) {
        if (name.n > UINT8_MAX || wire.n + 1 + name.n > UINT16_MAX) {
            mg_buf_deinit(&wire);
            return mg_error_set(err, MG_ECONFIG, "ALPN \"%.40s...\": a name has at most 255 bytes",
                                name.p);
        }
        mg_buf_append_char(&wire, (char)name.n);
        mg_buf_append_str(&wire, name);
    }
    c->alpn = (uint8_t *)wire.p;
    c->alpn_n = (unsigned)wire.n;
    return MG_OK;
}

// RFC 7301 section 3.2: a client that offers protocols, but none of ours, is refused.
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *arg) {
    (void)arg;
    const struct mg_tls_stream *t = SSL_get_app_data(ssl);
    const mg_tls_context *c = t->context;
    unsigned char *chosen = NULL;
    if (t->proves) {
        *out = (const unsigned char *)MG_TLS_PROVING;
        *out_n = sizeof MG_TLS_PROVING - 1;
        return SSL_TLSEXT_ERR_OK;
    }
    int rc = SSL_select_next_proto(&chosen, out_n, c->alpn, c->alpn_n, in, in_n);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int mg_tls_set_alpn(mg_tls_context *c, const char *names, mg_error *err) {
    int rc = names != NULL ? offer_alpn(c, names, err) : MG_OK;
    if (c->alpn_n > 0) {
        SSL_CTX_set_alpn_select_cb(c->ssl, choose_alpn, NULL);
    }
    return rc;
}

static int on_session(SSL *ssl, SSL_SESSION *s) {
    const struct mg_tls_stream *t = SSL_get_app_data(ssl);
    mg_tls_session_put(t->context, t->host, s);
    return 1;
}

static void forget(mg_tls_context *c, session *s) {
    mg_link_remove(&s->link);
    c->session_count--;
    SSL_SESSION_free(s->ssl);
    mg_free(s->host);
    mg_free(s);
}
