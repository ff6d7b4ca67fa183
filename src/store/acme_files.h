// store/acme_files.h: what an ACME client keeps of one directory, in a folder of its own: the
// account's key, certificates with their keys, notes. Keys never leave these functions.
//
//   _account.pem   the account's key        NAME.pem    a certificate with its key
//   _account.json  a note about it          NAME.next   the key of the order under way
//                                           NAME.json   a note about it
//
// All block, and are for a process that serves nobody. Files are 0600, folders 0700; whatever is
// written is there as a whole or not at all, also after a power cut. `place` is the folder,
// absolute; names are those of domains, or "_account". Faults name the file.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

// The right to ask for certificates in this folder, which is made if need be: a lock of this
// process until it ends. MG_EAGAIN: another process has it. Again is good.
int mg_acme_lease(const char *folder, mg_error *err);

// Appends; nothing if there is none.
void mg_acme_note(const char *place, const char *name, mg_buf *out);
int mg_acme_set_note(const char *place, const char *name, mg_str text, mg_error *err);

// The account's public half and its thumbprint (event/tls_acme.h); its key is made if there is
// none.
int mg_acme_account(const char *place, mg_buf *jwk, mg_buf *thumbprint, mg_error *err);

// A JWS of the account.
int mg_acme_account_sign(const char *place, mg_str head, mg_str payload, mg_buf *out,
                         mg_error *err);

// A request for a certificate, of the key of the order under way, which is made if there is none.
int mg_acme_order_request(const char *place, const char *domain, mg_buf *out, mg_error *err);

// Keeps what was issued (PEM) with that key, whose order is over. MG_ECONFIG: it does not fit the
// key, or is for another name.
int mg_acme_keep(const char *place, const char *domain, mg_str chain, mg_error *err);

// In seconds since 1970. `id` is appended: see mg_acme_renewal_id; nothing if there is none. False:
// no certificate is kept that can be served.
bool mg_acme_kept(const char *place, const char *domain, int64_t *not_before, int64_t *not_after,
                  mg_buf *id);
