// gate/master_keys.h: certificates, private keys and the keys of session tickets: what the master
// holds of them, and whom it tells.
#pragma once

#include "config/config.h"
#include "event/tls_store.h"

typedef struct mg_master mg_master;
typedef struct mg_place mg_place;

// A memfd for the child that reads certificates, or a negative code.
int mg_keys_begin(mg_master *m, mg_error *err);

// Judges what was read, for a generation of `config`. MG_ECONFIG and a text: it may not be served.
int mg_keys_judge(mg_master *m, const mg_tls_store *fresh, const mg_config *config, mg_error *err);

// `fresh` (taken; it may be NULL) is served from now on. All places are told, if it is another one.
void mg_keys_take(mg_master *m, mg_tls_store *fresh, mg_buf *changes);
void mg_keys_tell(mg_master *m, const mg_place *p); // to a new worker
void mg_keys_rotate(mg_master *m); // of session tickets, when it is time; once a tick
