// config/endpoint.h: an endpoint as an item of `listen`, and as the text that is handed on.
#pragma once

#include "config/value.h"

// The keys of an item that is a table; offsets are into mg_endpoint.
extern const mg_config_key mg_endpoint_keys[];
extern const size_t mg_endpoint_key_count;

// Those of its `tls`; offsets are of config/tls.c alone.
extern const mg_config_key mg_tls_keys[];
extern const size_t mg_tls_key_count;

// Reads one item, an address or a table. False and a fault if it is wrong.
bool mg_endpoint_take(mg_config_reading *r, mg_json_token t, mg_endpoint *out);

// All defaults but for the address, which is borrowed.
mg_endpoint mg_endpoint_of(const char *address);

// Appends all that the configuration says of it; the texts of two that want the same are equal.
void mg_endpoint_write(mg_buf *out, const mg_endpoint *e);

// Reads what mg_endpoint_write has written; its texts lie in `a`. MG_ECONFIG: it has not.
int mg_endpoint_read(mg_endpoint *out, mg_arena *a, mg_str text);

// The one with that address, or NULL.
const mg_endpoint *mg_endpoint_find(const mg_config *c, const char *address);
