// The program: reads the command line and the configuration, then does what was asked.

#include "gate/app.h"
#include "gate/cli.h"
#include "gate/spec.h"
#include "gate/worker.h"
#include "http/forwarded.h"
#include "lua/read_config.h"

#include <stdio.h>

// Prints what was gathered and releases it.
static void print(mg_buf *text, FILE *out) {
    if (text->n > 0) {
        fwrite(text->p, 1, text->n, out);
    }
    mg_buf_deinit(text);
}

// Reads the configuration that `cli` names, with the command line's overrides. False: the faults
// were printed.
static bool read_config(const mg_cli *cli, mg_config *config) {
    mg_buf json = {0};
    mg_buf faults = {0};
    mg_error err;
    *config = (mg_config){0};
    int rc = mg_read_config(cli->conf, &json, &err);
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        rc = mg_config_init(config, cli->conf, mg_buf_str(&json), &faults);
        if (rc == MG_OK) {
            rc = mg_config_override(config, &cli->overrides, &faults);
        }
    }
    mg_buf_deinit(&json);
    print(&faults, stderr);
    return rc == MG_OK;
}

static int print_defaults(void) {
    mg_buf text = {0};
    mg_config_print_defaults(&text);
    print(&text, stdout);
    return 0;
}

// Loads the app without serving it; prints the routes, or that all is well.
static int load_only(const mg_cli *cli, const mg_config *config) {
    mg_loop *loop;
    mg_lua_app *app = NULL;
    mg_error err;
    mg_trust *trust = NULL;
    if (mg_loop_new(&loop, &(mg_loop_options){0}) != MG_OK) {
        return 1;
    }
    int rc = mg_trust_new(&trust, config->trusted_proxies.items, config->trusted_proxies.n, &err);
    if (rc != MG_OK) {
        fprintf(stderr, "%s: trusted_proxies: %s\n", cli->conf, err.text);
    } else if ((rc = mg_app_of_config(&app, loop, config, &err)) != MG_OK) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        mg_buf text = {0};
        if (cli->command == MG_COMMAND_ROUTES) {
            mg_lua_app_print_routes(app, &text);
        } else {
            mg_buf_printf(&text, "%s and %s are good\n", cli->conf, config->app);
        }
        print(&text, stdout);
    }
    mg_lua_app_free(app);
    mg_trust_free(trust);
    mg_loop_free(loop);
    return rc == MG_OK ? 0 : 1;
}

static int obey(const mg_cli *cli) {
    if (cli->command == MG_COMMAND_TEST) {
        return mg_spec_run(cli->rest_count, cli->rest);
    }
    if (cli->command == MG_COMMAND_CHECK && cli->defaults) {
        return print_defaults();
    }
    mg_config config;
    int status = 1;
    if (read_config(cli, &config)) {
        status = cli->command == MG_COMMAND_RUN ? mg_worker_run(&config) : load_only(cli, &config);
    }
    mg_config_deinit(&config);
    return status;
}

int main(int argc, char **argv) {
    mg_cli cli;
    mg_buf text = {0};
    switch (mg_cli_parse(&cli, argc, argv, &text)) {
    case MG_CLI_GO:
        return obey(&cli);
    case MG_CLI_SHOW:
        print(&text, stdout);
        return 0;
    default:
        print(&text, stderr);
        return MG_CLI_WRONG_STATUS;
    }
}
