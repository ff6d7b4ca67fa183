// gate/app.h: loads the app that a configuration names.
#pragma once

#include "gate/config.h"
#include "lua/lua_app.h"

// As mg_lua_app_new; MG_ECONFIG with "file: app: what" if the script cannot be read.
int mg_app_of_config(mg_lua_app **out, mg_loop *loop, const mg_config *config, mg_error *err);
