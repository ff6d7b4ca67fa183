// event/tls_store.h: certificates and private keys of all endpoints in one sealed memory.
//
// A process that may read the files fills it, and it is handed on as a descriptor: who serves has
// never opened a key, and loads one when it is first asked for. An mg_tls_store belongs to one
// thread and is counted.
#pragma once

#include "base/snapshot.h"
#include "event/tls_settings.h"

#include <stdint.h>

typedef struct mg_tls_store mg_tls_store;
struct mg_tls_pair;
struct mg_tls_about;

// --- filling (event/tls_collect.c) ---

typedef struct mg_tls_wanted {
    const char *address; // of the endpoint: by this it is found
    const char *where;   // as faults begin: "conf/moongate.lua: listen[1].tls"
    const mg_tls_settings *settings;
} mg_tls_wanted;

// Reads and checks all files and writes them into the empty memfd `fd`, which is sealed. What has
// not changed since `before` (NULL: nothing) is not read again. Appends lines about what is
// doubtful. MG_ECONFIG and a text that names the file.
int mg_tls_store_write(int fd, const mg_tls_wanted *wanted, size_t n, const mg_tls_store *before,
                       mg_buf *warnings, mg_error *err);

// --- reading ---

// `fd` is taken, also if this fails: MG_ESYNTAX and a text.
int mg_tls_store_open(mg_tls_store **out, int fd, mg_error *err);
mg_tls_store *mg_tls_store_ref(mg_tls_store *s);
void mg_tls_store_unref(mg_tls_store *s);   // accepts NULL
int mg_tls_store_fd(const mg_tls_store *s); // borrowed; -1 once it is hidden

// Closes the descriptor, so that nothing in this process can open the memory a second time.
void mg_tls_store_hide(mg_tls_store *s);

bool mg_tls_store_same(const mg_tls_store *a, const mg_tls_store *b); // NULL: an empty one

typedef struct mg_tls_section {
    uint32_t source;          // whose certificates
    uint32_t minimum, client; // as in mg_tls_settings
    mg_str client_ca;         // PEM; empty: nobody
    mg_str ticket_keys;       // empty: none
} mg_tls_section;

// What an endpoint wants. Texts lie in the store. False: it is not there.
bool mg_tls_store_section(const mg_tls_store *s, const char *address, mg_tls_section *out);

// Certificates for one name, one for each kind of key.
enum { MG_TLS_KINDS = 4 };
typedef struct mg_tls_choice {
    uint32_t n;
    uint32_t ids[MG_TLS_KINDS];
} mg_tls_choice;

// For a name in lower case: exactly, else by a wildcard. False: no certificate covers it.
bool mg_tls_store_find(const mg_tls_store *s, uint32_t source, mg_str name, mg_tls_choice *out);
void mg_tls_store_default(const mg_tls_store *s, uint32_t source, mg_tls_choice *out);

// Loads it unless it is loaded. Lent until the next call. NULL: it cannot be read any more.
const struct mg_tls_pair *mg_tls_store_pair(mg_tls_store *s, uint32_t id);
enum { MG_TLS_LOADED = 1024 }; // at most; the one that has not been asked for longest goes

size_t mg_tls_store_count(const mg_tls_store *s); // of certificates: ids are below

// `*file`: where it came from.
void mg_tls_store_about(const mg_tls_store *s, uint32_t id, struct mg_tls_about *out, mg_str *file);

// --- the calendar (event/tls_judge.c) ---

// The certificate that ends first: when, in seconds since 1970, and its file. Looks at all of them.
// 0: there is none.
int64_t mg_tls_first_end(const mg_tls_store *s, mg_str *file);

enum { MG_TLS_SOON_DAYS = 14 };

// Lines, each with its line end.
typedef struct mg_tls_verdict {
    mg_buf faults;   // what must not begin to be served
    mg_buf errors;   // the same, but served already, or from the start on
    mg_buf warnings; // what will be one soon
} mg_tls_verdict;

// Judges dates and chains. What `before` (NULL: nothing) serves too is no fault, nor is anything if
// `starts`. `now_s`: seconds since 1970.
void mg_tls_judge(const mg_tls_store *s, const mg_tls_store *before, bool starts, int64_t now_s,
                  mg_tls_verdict *out);
void mg_tls_verdict_deinit(mg_tls_verdict *v);
