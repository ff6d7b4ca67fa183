// event/tls_store_inside.h: how the memory of a store is laid out: names of its snapshot. For
// event/tls_store.c, tls_collect.c and tls_judge.c alone.
#pragma once

#include "base/stamp.h"
#include "event/tls_pair.h"
#include "event/tls_store.h"

// A certificate, by its number:
#define MG_TLS_AT_CERT  "c/%06u/cert"  // PEM
#define MG_TLS_AT_KEY   "c/%06u/key"   // PEM
#define MG_TLS_AT_NAMES "c/%06u/names" // each with a NUL behind it
#define MG_TLS_AT_ABOUT "c/%06u/about" // mg_tls_about, then the file's name
// And the numbers: of all certificates; by files (cert NUL key: mg_tls_read); by fingerprint.
#define MG_TLS_AT_COUNT "count"
#define MG_TLS_AT_FILES "f/"
#define MG_TLS_AT_PRINT "p/"
// Certificates of one source, as choices: by name, and for who names nobody.
#define MG_TLS_AT_NAME    "n/%06u/"
#define MG_TLS_AT_DEFAULT "d/%06u"
// An endpoint, by its address: mg_tls_wishes, PEM, keys.
#define MG_TLS_AT_ENDPOINT  "e/"
#define MG_TLS_AT_CLIENT_CA "a/"
#define MG_TLS_AT_TICKETS   "t/"

typedef struct mg_tls_wishes {
    uint32_t source, minimum, client;
} mg_tls_wishes;

typedef struct mg_tls_read {
    uint64_t id;        // without a gap behind it: texts are compared
    mg_stamp cert, key; // as they were
} mg_tls_read;

enum { MG_TLS_PLACE = 32 }; // bytes that a name above takes, if it is none that a text ends

mg_str mg_tls_place(char out[MG_TLS_PLACE], const char *format, uint32_t number);

// A value of fixed size. False: it is not there.
bool mg_tls_fixed(const mg_snapshot *s, mg_str name, void *out, size_t n);
bool mg_tls_named(const mg_snapshot *s, const char *prefix, mg_str name, void *out, size_t n);

const mg_snapshot *mg_tls_store_snapshot(const mg_tls_store *s);
