#include "gate/awaits.h"

#include "gate/scripts.h"
#include "lua/awaits.h"
#include "lua/state.h"

#include <stdio.h>
#include <string.h>

typedef struct checking {
    mg_awaits *awaits;
    char framework[PATH_MAX + sizeof "/moongate/"];
    const char *root;
} checking;

// Specs make mistakes on purpose, to see what comes of them.
static bool is_spec(mg_str name) {
    return mg_str_ends(name, MG_STR("_spec.lua"));
}

static bool is_script(mg_str name) {
    return name.n > 4 && mg_str_ends(name, MG_STR(".lua"));
}

// As the messages of loaded scripts call it: against the project's folder.
static void known_as(const checking *c, mg_str name, char out[PATH_MAX]) {
    size_t n = strlen(c->root);
    if (mg_str_starts(name, mg_str_of(c->root)) && name.n > n && name.p[n] == '/') {
        name = (mg_str){name.p + n + 1, name.n - n - 1};
    }
    snprintf(out, PATH_MAX, "%.*s", (int)name.n, name.p);
}

static int check_all(const checking *c, const mg_snapshot_writer *scripts, mg_buf *out,
                     mg_error *err) {
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < scripts->count; i++) {
        char path[PATH_MAX];
        mg_str name = mg_snapshot_writer_name(scripts, i);
        if (is_script(name) && !is_spec(name) && !mg_str_starts(name, mg_str_of(c->framework))) {
            known_as(c, name, path);
            rc = mg_awaits_read(c->awaits, path, mg_snapshot_writer_text(scripts, i), out, err);
        }
    }
    return rc;
}

int mg_awaits_check(const mg_snapshot_writer *scripts, const char *root, mg_buf *out,
                    mg_error *err) {
    checking c = {.root = root};
    char folder[PATH_MAX];
    int rc = mg_lua_framework(folder, err);
    if (rc == MG_OK) {
        snprintf(c.framework, sizeof c.framework, "%s/moongate/", folder);
        rc = mg_awaits_open(&c.awaits, err);
    }
    if (rc == MG_OK) {
        rc = check_all(&c, scripts, out, err);
    }
    mg_awaits_close(c.awaits);
    return rc;
}

int mg_awaits_check_project(const mg_config *config, mg_buf *out, mg_error *err) {
    mg_snapshot_writer writer = {0};
    mg_scripts scripts;
    mg_scripts_init(&scripts, &writer);
    int rc = mg_scripts_add_project(&scripts, config, err);
    if (rc == MG_OK) {
        mg_scripts_tell(&scripts);
        rc = mg_awaits_check(&writer, config->root, out, err);
    }
    mg_scripts_deinit(&scripts);
    mg_snapshot_writer_deinit(&writer);
    return rc;
}
