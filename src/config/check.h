// config/check.h: what the schema cannot judge of a configuration.
#pragma once

#include "config/config.h"

// Addresses of trusted proxies, files that must be there. MG_ECONFIG and the first fault.
int mg_config_check(const mg_config *c, mg_error *err);

// What will work, but hardly as it is meant, with that many workers; NULL: nothing.
const char *mg_config_doubt(const mg_config *c, uint32_t workers);
