// gate/acme_wishes.h: which certificates a configuration wants of directories, as JSON.
#pragma once

#include "config/config.h"

// Appends a list of { domain, place, folder, directory, challenge, email, ca, key_id, hmac_key };
// each certificate once. "[]": none is wanted.
void mg_acme_wishes(const mg_config *c, mg_buf *out);
