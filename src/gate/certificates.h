// gate/certificates.h: certificates and private keys on their way from files to those who serve.
//
// Only what starts with the master's rights reads them: the child that collects a generation, and
// `check`. Workers, and the scripts in them, get the store (event/tls_store.h).
#pragma once

#include "config/config.h"

struct mg_tls_store;
struct mg_tls_verdict;

// Whether any endpoint speaks TLS.
bool mg_certificates_wanted(const mg_config *c);

// Writes all that the endpoints of `c` name into the empty memfd `fd` and sees to it that each
// endpoint could be served with it. `throwaway`: what those without certificates of their own get.
// `before`: see mg_tls_store_write. Appends doubts, a line each. MG_ECONFIG and a text that names
// the file.
int mg_certificates_write(int fd, const mg_config *c, mg_str throwaway,
                          const struct mg_tls_store *before, mg_buf *doubts, mg_error *err);

// All of it for `check`: faults are those of a reload that would bring everything in.
int mg_certificates_check(const mg_config *c, mg_buf *doubts, mg_error *err);
