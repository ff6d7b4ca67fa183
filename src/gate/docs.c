#include "gate/docs.h"

#include "base/json.h"
#include "config/describe.h"
#include "lua/docs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static void append_commands(mg_buf *out) {
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        mg_buf_append_str(out, i > 0 ? MG_STR(",{\"name\":") : MG_STR("{\"name\":"));
        mg_json_write_replaced(out, mg_str_of(mg_cli_command_name((mg_command)i)));
        mg_buf_append_str(out, MG_STR(",\"page\":"));
        mg_json_write_replaced(out, mg_str_of(mg_cli_command_help((mg_command)i)));
        mg_buf_append_char(out, '}');
    }
}

// What C knows of the surface.
static void append_facts(mg_buf *out) {
    mg_buf_append_str(out, MG_STR("{\"version\":\"" MG_VERSION "\",\"settings\":"));
    mg_config_describe(out);
    mg_buf_append_str(out, MG_STR(",\"commands\":["));
    append_commands(out);
    mg_buf_append_str(out, MG_STR("]}"));
}

int mg_docs_show(const char *name) {
    mg_buf facts = {0};
    mg_buf text = {0};
    mg_error err;
    append_facts(&facts);
    int rc = mg_docs_help(name, mg_buf_str(&facts), &text, &err);
    if (rc == MG_OK) {
        fwrite(text.p, 1, text.n, stdout);
    } else {
        fprintf(stderr, "moongate: %s; see moongate help\n", err.text);
    }
    mg_buf_deinit(&facts);
    mg_buf_deinit(&text);
    return rc == MG_OK ? 0 : 1;
}

static int make_folders(const char *folder, mg_error *err) {
    static const char *const below[] = {"", "/markdown", "/html", "/man"};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s%s", folder, below[i]);
        if (n >= (int)sizeof path) {
            return mg_error_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
        }
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return mg_error_set(err, -errno, "%s: %s", path, mg_strerror(-errno));
        }
    }
    return MG_OK;
}

static int show_types(void) {
    mg_buf text = {0};
    mg_error err;
    int rc = mg_docs_types(&text, &err);
    if (rc == MG_OK) {
        fwrite(text.p, 1, text.n, stdout);
    } else {
        fprintf(stderr, "moongate: %s\n", err.text);
    }
    mg_buf_deinit(&text);
    return rc == MG_OK ? 0 : 1;
}

int mg_docs_main(const mg_cli *cli) {
    if (cli->types) {
        return show_types();
    }
    mg_buf facts = {0};
    mg_error err;
    append_facts(&facts);
    int rc = make_folders(cli->folder, &err);
    if (rc == MG_OK) {
        rc = mg_docs_write(cli->folder, mg_buf_str(&facts), &err);
    }
    if (rc == MG_OK) {
        printf("%s/html/index.html, %s/markdown and %s/man are written\n", cli->folder, cli->folder,
               cli->folder);
    } else {
        fprintf(stderr, "moongate: %s\n", err.text);
    }
    mg_buf_deinit(&facts);
    return rc == MG_OK ? 0 : 1;
}
