// Whom a TLS stream talks to, and the words for why it will not.

#include "event/tls_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static bool is_ip(const char *host);
static int on_verify(int good, X509_STORE_CTX *store);
static void tell_mismatch(struct mg_tls_stream *t, const X509 *certificate);
static void tell_refusal(struct mg_tls_stream *t, X509_STORE_CTX *store, int error);
static void append_names(mg_buf *out, const X509 *certificate);
static void append_name(mg_buf *out, int type, const ASN1_STRING *value);
static void append_common_name(mg_buf *out, const X509 *certificate);
static void append_printable(mg_buf *out, const unsigned char *p, int n);

int mg_tls_expect_host(struct mg_tls_stream *t) {
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    int good;
    if (is_ip(t->host)) {
        good = X509_VERIFY_PARAM_set1_ip_asc(param, t->host);
    } else {
        // RFC 9525: the subject's common name is no name of a host. One that begins with a dot
        // would stand for every host below it.
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        good = t->host[0] != '\0' && t->host[0] != '.' &&
               SSL_set_tlsext_host_name(t->ssl, t->host) == 1 &&
               X509_VERIFY_PARAM_set1_host(param, t->host, 0) == 1;
    }
    if (!t->context->insecure) {
        SSL_set_verify(t->ssl, SSL_VERIFY_PEER, on_verify);
    }
    ERR_clear_error();
    return good ? MG_OK : -EINVAL;
}

int mg_tls_explain(const struct mg_tls_stream *t, mg_error *err) {
    if (t->reason.n > 0) {
        ERR_clear_error();
        return mg_error_set(err, -EKEYREJECTED, "%.*s", (int)t->reason.n, t->reason.p);
    }
    const char *peer = t->host != NULL ? t->host : "the client";
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const char *words = ERR_reason_error_string(code);
    if (reason > SSL_AD_REASON_OFFSET) {
        const char *alert = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
        mg_error_set(err, 0, "%s refuses the TLS handshake: %s", peer, alert);
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
        mg_error_set(err, 0, "%s does not speak TLS here (%s)", peer, words);
    } else {
        mg_error_set(err, 0, "the TLS handshake with %s failed: %s", peer,
                     words == NULL ? "no reason given" : words);
    }
    ERR_clear_error();
    return -EPROTO;
}

static bool is_ip(const char *host) {
    struct in6_addr ip;
    return inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
}

// Called for each certificate of the chain; the first refusal ends the handshake.
static int on_verify(int good, X509_STORE_CTX *store) {
    if (good) {
        return 1;
    }
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct mg_tls_stream *t = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(store);
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        tell_mismatch(t, X509_STORE_CTX_get0_cert(store));
    } else {
        tell_refusal(t, store, error);
    }
    return 0;
}

static void tell_mismatch(struct mg_tls_stream *t, const X509 *certificate) {
    mg_buf *out = &t->reason;
    mg_buf_clear(out);
    mg_buf_append_str(out, MG_STR("the certificate is for "));
    size_t before = out->n;
    append_names(out, certificate);
    if (out->n == before) {
        mg_buf_append_str(out, MG_STR("no name (its subject, "));
        append_common_name(out, certificate);
        mg_buf_append_str(out, MG_STR(", does not count)"));
    }
    mg_buf_printf(out, ", not for %s", t->host);
}

static void tell_refusal(struct mg_tls_stream *t, X509_STORE_CTX *store, int error) {
    bool issuer = X509_STORE_CTX_get_error_depth(store) > 0;
    mg_buf_clear(&t->reason);
    mg_buf_printf(&t->reason, "the certificate of %s%s is not accepted: %s",
                  issuer ? "an issuer above " : "", t->host, X509_verify_cert_error_string(error));
}

static void append_names(mg_buf *out, const X509 *certificate) {
    enum { SHOWN = 5 };
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int shown = 0;
    int left = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { // of NULL: -1
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_DNS && type != GEN_IPADD) {
            continue;
        }
        if (shown == SHOWN) {
            left++;
            continue;
        }
        mg_buf_append_str(out, shown++ > 0 ? MG_STR(", ") : (mg_str){0});
        append_name(out, type, value);
    }
    if (left > 0) {
        mg_buf_printf(out, " and %d more", left);
    }
    GENERAL_NAMES_free(names);
}

static void append_name(mg_buf *out, int type, const ASN1_STRING *value) {
    const unsigned char *p = ASN1_STRING_get0_data(value);
    int n = ASN1_STRING_length(value);
    char ip[INET6_ADDRSTRLEN];
    if (type == GEN_DNS) {
        append_printable(out, p, n);
    } else if ((n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof ip)) {
        mg_buf_append_str(out, mg_str_of(ip));
    }
}

static void append_common_name(mg_buf *out, const X509 *certificate) {
    char name[128];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                      sizeof name);
    if (n > 0) {
        append_printable(out, (const unsigned char *)name, (int)strlen(name));
    } else {
        mg_buf_append_str(out, MG_STR("nobody"));
    }
}

// The text reaches logs and terminals.
static void append_printable(mg_buf *out, const unsigned char *p, int n) {
    enum { LONGEST = 100 };
    for (int i = 0; i < n && i < LONGEST; i++) {
        mg_buf_append_char(out, p[i] > 0x20 && p[i] < 0x7f ? (char)p[i] : '?');
    }
}
