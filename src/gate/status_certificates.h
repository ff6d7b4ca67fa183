// gate/status_certificates.h: what `moongate status` says of certificates that a directory issues:
// until when they are good, when they are renewed, what went wrong.
#pragma once

#include "base/buf.h"
#include "base/json.h"

// Appends `,"certificates":[...]` of objects that are JSON already; nothing if there are none.
void mg_status_append_certificates(const char *const *states, size_t n, mg_buf *out);

// Reads one of these objects, whose opening bracket has been read, and appends a line for people.
void mg_status_read_certificate(mg_json_reader *r, mg_buf *out);
