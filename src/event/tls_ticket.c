// Session tickets (RFC 5077, RFC 8446 section 4.6.1): sealed with the keys of a ring, good for the
// name that they were given out for.

#include "base/mem.h"
#include "event/tls_inside.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static EVP_CIPHER *cipher; // one for the process, kept until it ends

static void fetch_cipher(void) {
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

static bool set_mac(EVP_MAC_CTX *mac, const mg_ticket_key *key) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac,
                                          sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static const mg_ticket_ring *ring_of(SSL *ssl) {
    const struct mg_tls_stream *t = SSL_get_app_data(ssl);
    return t->context->own_ring != NULL ? t->context->own_ring : t->context->ring;
}

static int seal(const mg_ticket_ring *ring, unsigned char *name, unsigned char *iv,
                EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac) {
    const mg_ticket_key *key = mg_ticket_ring_sealing(ring);
    if (key == NULL) {
        return 0; // no ticket
    }
    memcpy(name, key->name, sizeof key->name);
    bool good = RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) == 1 &&
                EVP_EncryptInit_ex2(c, cipher, key->aes, iv, NULL) == 1 && set_mac(mac, key);
    return good ? 1 : -1;
}

static int unseal(const mg_ticket_ring *ring, const unsigned char *name, const unsigned char *iv,
                  EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac) {
    bool renew = false;
    const mg_ticket_key *key = mg_ticket_ring_find(ring, name, &renew);
    if (key == NULL) {
        return 0;
    }
    if (!set_mac(mac, key) || EVP_DecryptInit_ex2(c, cipher, key->aes, iv, NULL) != 1) {
        return -1;
    }
    return renew ? 2 : 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
                     EVP_MAC_CTX *mac, int sealing) {
    const mg_ticket_ring *ring = ring_of(ssl);
    return sealing ? seal(ring, name, iv, c, mac) : unseal(ring, name, iv, c, mac);
}

// --- what it is good for ---

static mg_str asked(SSL *ssl) {
    const struct mg_tls_stream *t = SSL_get_app_data(ssl);
    return t->asked != NULL ? mg_str_of(t->asked) : (mg_str){0};
}

static int on_given(SSL *ssl, void *arg) {
    mg_str name = asked(ssl);
    (void)arg;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), name.p, name.n);
}

// RFC 6066 section 3: not under another name, in no version. Nor longer than the certificate of the
// client is good.
static bool is_good(SSL *ssl, SSL_SESSION *session) {
    void *data = NULL;
    size_t n = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &n) != 1 ||
        !mg_str_eq(asked(ssl), (mg_str){data, n})) {
        return false;
    }
    const X509 *client = SSL_SESSION_get0_peer(session);
    return client == NULL || mg_tls_not_after(client) >= (int64_t)time(NULL);
}

// In TLS 1.3 a ticket is for one connection, which brings the next one.
static SSL_TICKET_RETURN use(const SSL_SESSION *session, SSL_TICKET_STATUS status) {
    bool renew = status == SSL_TICKET_SUCCESS_RENEW ||
                 SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
    return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

static SSL_TICKET_RETURN on_shown(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                  size_t key_name_n, SSL_TICKET_STATUS status, void *arg) {
    (void)key_name;
    (void)key_name_n;
    (void)arg;
    switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW:
        return is_good(ssl, session) ? use(session, status) : SSL_TICKET_RETURN_IGNORE_RENEW;
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    default:
        return SSL_TICKET_RETURN_ABORT;
    }
}

static int take_own_keys(mg_tls_context *c, mg_str text, mg_error *err) {
    c->own_ring = mg_calloc(1, sizeof *c->own_ring);
    if (text.n > 0) {
        return mg_ticket_keys_read(c->own_ring, text, "ticket_keys", err);
    }
    int rc = mg_ticket_ring_begin(c->own_ring);
    return rc == MG_OK ? rc : mg_error_set(err, rc, "ticket_keys: there is no randomness");
}

int mg_tls_set_tickets(mg_tls_context *c, const mg_tls_section *section, const mg_ticket_ring *ring,
                       mg_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_cipher);
    // The other side keeps the state: no cache of ours is needed.
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c->ssl, MG_TLS_TICKET_S);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, on_ticket);
    SSL_CTX_set_session_ticket_cb(c->ssl, on_given, on_shown, NULL);
    c->ring = ring;
    return section->ticket_keys.n > 0 || ring == NULL ? take_own_keys(c, section->ticket_keys, err)
                                                      : MG_OK;
}
