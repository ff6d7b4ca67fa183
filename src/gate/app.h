// gate/app.h: how the app that a configuration names is loaded.
#pragma once

#include "config/config.h"
#include "lua/lua_app.h"

// Sets what the configuration says, borrowed, and leaves the rest.
void mg_app_options(const mg_config *c, mg_lua_app_options *out);

// MG_ECONFIG with "file: app: what" if the script cannot be read.
int mg_app_check(const mg_config *c, mg_error *err);
