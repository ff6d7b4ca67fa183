// config/streams.h: addresses at which the app speaks another protocol than HTTP (app:stream),
// joined to those of `listen`. What `listen` says of such an address (stream = true) holds for it.
#pragma once

#include "config/config.h"

// `lines` are mg_lua_app_print_streams's. MG_ECONFIG: `listen` has HTTP there, or a stream at which
// nobody speaks.
int mg_config_join_streams(mg_config *c, mg_str lines, mg_error *err);

// Those that the app of `before` had: it is not known which this one's are.
void mg_config_keep_streams(mg_config *c, const mg_config *before);
