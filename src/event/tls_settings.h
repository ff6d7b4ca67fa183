// event/tls_settings.h: what an operator wants of TLS at one address. Plain data; texts are
// borrowed.
#pragma once

#include "base/str.h"

#include <stdbool.h>

typedef struct mg_tls_files {
    const char *cert; // PEM: the certificate, then those of its issuers
    const char *key;  // PEM, without a password
} mg_tls_files;

typedef enum mg_tls_minimum { MG_TLS_1_2, MG_TLS_1_3 } mg_tls_minimum;

// Whether a client has to show a certificate. Whoever shows one has to show a good one.
typedef enum mg_tls_client_auth {
    MG_TLS_CLIENT_NONE,
    MG_TLS_CLIENT_REQUEST,
    MG_TLS_CLIENT_REQUIRE,
} mg_tls_client_auth;

// How a directory is shown whose a name is (RFC 8555 section 8, RFC 8737).
typedef enum mg_acme_kind { MG_ACME_HTTP, MG_ACME_TLS } mg_acme_kind;

// Certificates that a directory of RFC 8555 issues, one for each domain.
typedef struct mg_tls_acme {
    bool on;          // else nothing of this counts
    mg_texts domains; // in lower case
    const char *directory;
    const char *email;    // NULL: none is told
    const char *ca;       // PEM: who vouches for the directory itself; NULL: the system's
    const char *key_id;   // of an account that its owner knows already; NULL: none
    const char *hmac_key; // likewise, in base64url
    const char *folder;   // where all of them are kept
    const char *place;    // below it: what this directory has issued, NAME.pem with its key in it
    unsigned challenge;   // mg_acme_kind
} mg_tls_acme;

typedef struct mg_tls_settings {
    const mg_tls_files *files; // the first is for clients that name no server
    size_t file_count;
    const char *folder;      // NAME.pem with NAME.key; NULL: none
    mg_str throwaway;        // certificate and key in one PEM text, in their place; empty: none
    const char *client_ca;   // PEM: who may issue certificates of clients; NULL: nobody
    const char *ticket_keys; // mg_ticket_keys_read; NULL: the server's own ring
    mg_tls_acme acme;
    unsigned minimum; // mg_tls_minimum
    unsigned client;  // mg_tls_client_auth
} mg_tls_settings;
