// snapshots.h: snapshots as a master's child collects them, made of texts.
#pragma once

#include "app_folder.h"
#include "base/snapshot.h"
#include "gate/generation.h"
#include "gate/scripts.h"
#include "lua/state.h"

#define SNAPSHOT_CONF "/srv/conf/moongate.lua"

// A project below /srv: its configuration as JSON, lua/app.lua, and the framework.
static inline mg_snapshot *snapshot_of(const char *json, const char *app) {
    mg_snapshot_writer w = {0};
    mg_snapshot *s = NULL;
    mg_error err;
    mg_scripts scripts;
    char framework[PATH_MAX];
    int fd = mg_snapshot_memfd();
    assert_int_equal(mg_lua_framework(framework, &err), MG_OK);
    mg_scripts_init(&scripts, &w);
    assert_int_equal(mg_scripts_add(&scripts, framework), 0);
    mg_scripts_deinit(&scripts);
    mg_snapshot_add(&w, MG_STR(MG_SNAPSHOT_FRAMEWORK), mg_str_of(framework));
    mg_snapshot_add(&w, MG_STR(MG_SNAPSHOT_CONFIG), mg_str_of(json));
    mg_snapshot_add(&w, MG_STR(MG_SNAPSHOT_ROOT), MG_STR("/srv"));
    mg_snapshot_add(&w, MG_STR("/srv/lua/app.lua"), mg_str_of(app));
    assert_int_equal(mg_snapshot_write(&w, fd), 0);
    mg_snapshot_writer_deinit(&w);
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_OK);
    return s;
}

// An app with one route, and `more` before it is returned.
#define APP(more)                                                                                  \
    "local moongate = require('moongate')\n"                                                       \
    "local app = moongate.app()\n" more "\n"                                                       \
    "app:get('/', function() return 'hello' end)\n"                                                \
    "return app\n"
