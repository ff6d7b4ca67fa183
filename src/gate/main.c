// The program: reads the command line and the configuration, then does what was asked.

#include "base/mem.h"
#include "config/check.h"
#include "config/options.h"
#include "config/path.h"
#include "config/streams.h"
#include "event/process.h"
#include "gate/acme_process.h"
#include "gate/app.h"
#include "gate/awaits.h"
#include "gate/certificates.h"
#include "gate/cli.h"
#include "gate/collect.h"
#include "gate/control_client.h"
#include "gate/control_path.h"
#include "gate/docs.h"
#include "gate/keys_process.h"
#include "gate/master.h"
#include "gate/migrate.h"
#include "gate/new.h"
#include "gate/reach.h"
#include "gate/repl.h"
#include "gate/retest.h"
#include "gate/trial.h"
#include "gate/worker.h"
#include "lua/depth.h"
#include "lua/read_config.h"
#include "testkit/run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

// What a script computes for so long while it loads, where it only declares, has no end.
enum { CHECK_LOAD_MS = 5000 };

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

// What is done with an app that has been loaded.
typedef struct looking {
    const mg_cli *cli;
    mg_config *config;
} looking;

// In the process that loads the app.
static int look_at(void *arg, mg_lua_app *app, mg_error *err) {
    const looking *l = arg;
    mg_buf text = {0};
    mg_buf streams = {0};
    mg_lua_app_print_streams(app, &streams);
    int rc = mg_config_join_streams(l->config, mg_buf_str(&streams), err);
    mg_buf_deinit(&streams);
    if (l->cli->command == MG_COMMAND_EXPLAIN) {
        mg_lua_app_explain(app, l->cli->method, l->cli->target, l->config->limits.body, &text);
    } else if (l->cli->command == MG_COMMAND_ROUTES) {
        mg_lua_app_print_routes(app, &text);
    }
    print(&text, stdout);
    return rc;
}

// Forgotten awaits fail the check: what is told is certain, and a line can say that it is meant.
static int check_awaits(const mg_config *config, mg_error *err) {
    mg_buf awaits = {0};
    int rc = mg_awaits_check_project(config, &awaits, err);
    if (rc == MG_OK && awaits.n > 0) {
        rc = mg_error_set(err, MG_ELUA,
                          "%s: awaits are forgotten in the lines above; one that is meant so ends "
                          "in -- moongate: not awaited",
                          config->file);
    }
    print(&awaits, stderr);
    return rc;
}

// Loads the app without serving it; prints what is asked of it, or that all is well.
static int load_only(const mg_cli *cli, mg_config *config) {
    mg_lua_app_options options = {.root = NULL};
    mg_buf said = {0};
    mg_buf doubts = {0}; // lines
    mg_error err;
    looking look = {cli, config};
    bool check = cli->command == MG_COMMAND_CHECK;
    int rc = mg_config_check(config, &err);
    if (rc == MG_OK) {
        rc = mg_app_check(config, &err);
    }
    if (rc == MG_OK && check) {
        rc = mg_certificates_check(config, &doubts, &err);
    }
    if (rc == MG_OK) {
        mg_app_options(config, &options);
        options.load_cpu_ms = CHECK_LOAD_MS;
        rc = mg_trial(&options, look_at, &look, &said, &err);
    }
    if (rc == MG_OK && check) {
        rc = check_awaits(config, &err);
    }
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n", err.text);
    } else if (check) {
        const char *doubt = mg_config_doubt(config, mg_config_workers(config));
        printf("%s and %s are good\n", cli->conf, config->app);
        if (doubt != NULL) {
            fprintf(stderr, "%s: warning: %s\n", cli->conf, doubt);
        }
    }
    print(&doubts, stderr);
    print(&said, stderr);
    return rc == MG_OK ? 0 : 1;
}

// The socket that the configuration implies. A server whose configuration is broken by now can
// still be told to stop with --control, or where the default place is used.
static int speak(const mg_cli *cli) {
    char path[256];
    mg_config config;
    mg_error err;
    const char *configured = cli->control;
    int rc = MG_OK;
    config = (mg_config){0};
    if (configured == NULL) {
        mg_buf json = {0};
        mg_buf faults = {0};
        if (mg_read_config(cli->conf, &json, &err) == MG_OK &&
            mg_config_init(&config, cli->conf, mg_buf_str(&json), &faults) == MG_OK) {
            configured = config.control;
        }
        mg_buf_deinit(&json);
        mg_buf_deinit(&faults);
    }
    rc = mg_control_path(cli->conf, configured, false, path, sizeof path, &err);
    if (rc != MG_OK) {
        fprintf(stderr, "moongate: %s\n", err.text);
    }
    int status = 1;
    if (rc == MG_OK) {
        bool repl = cli->command == MG_COMMAND_REPL;
        status = repl ? mg_repl_main(cli, path) : mg_control_command(cli, path);
    }
    mg_config_deinit(&config);
    return status;
}

static int work(const mg_cli *cli) {
    mg_worker_options o = {.conf = cli->conf, .overrides = &cli->overrides};
    return mg_worker_main(&o);
}

// What the configuration names, behind its own check.
static int connect_to_all(const mg_config *config) {
    mg_buf lines = {0};
    size_t failed = mg_reach_all(config, &lines);
    print(&lines, stdout);
    return failed == 0 ? 0 : 1;
}

static int load(const mg_cli *cli) {
    mg_config config;
    int status = read_config(cli, &config) ? load_only(cli, &config) : 1;
    if (status == 0 && cli->connect) {
        status = connect_to_all(&config);
    }
    mg_config_deinit(&config);
    return status;
}

static int migrate(const mg_cli *cli) {
    mg_config config;
    int status = read_config(cli, &config) ? mg_migrate_main(cli, &config) : 1;
    mg_config_deinit(&config);
    return status;
}

// Brings the database up to date first: who develops wants what was just written to be there. A
// process of its own does it, as that may become another user.
static int dev(const mg_cli *cli, int argc, char *const *argv) {
    mg_config config;
    bool good = read_config(cli, &config);
    if (good && mg_migrate_has_folder(&config)) {
        pid_t pid = fork();
        int status = 1;
        if (pid == 0) {
            exit(mg_migrate_main(cli, &config));
        }
        good = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
    }
    mg_config_deinit(&config);
    return good ? mg_master_run(cli, argc, argv) : 1;
}

static int obey(const mg_cli *cli, int argc, char *const *argv) {
    if (cli->command >= MG_COMMAND_COUNT) {
        mg_process_close_input(); // scripts that read it would wait for a terminal
    }
    switch (cli->command) {
    case MG_COMMAND_RUN:
        return mg_master_run(cli, argc, argv);
    case MG_COMMAND_DEV:
        return dev(cli, argc, argv);
    case MG_COMMAND_RELOAD:
    case MG_COMMAND_STOP:
    case MG_COMMAND_STATUS:
    case MG_COMMAND_REPL:
        return speak(cli);
    case MG_COMMAND_COLLECT:
        return mg_collect_main(cli);
    case MG_COMMAND_TRIAL:
        return mg_trial_main(cli);
    case MG_COMMAND_ACME:
        return mg_acme_main(cli);
    case MG_COMMAND_KEYS:
        return mg_keys_main(cli);
    case MG_COMMAND_WORKER:
        return work(cli);
    case MG_COMMAND_MIGRATE:
        return migrate(cli);
    case MG_COMMAND_NEW:
        return mg_new_main(cli);
    case MG_COMMAND_DOCS:
        return mg_docs_main(cli);
    case MG_COMMAND_HELP:
        return mg_docs_show(cli->topic);
    case MG_COMMAND_TEST:
        return mg_retest_wanted(cli->rest_count, cli->rest)
                   ? mg_retest_main(cli->rest_count, cli->rest)
                   : mg_spec_run(cli->rest_count, cli->rest);
    case MG_COMMAND_SPEC:
        return mg_spec_run_snapshot(cli->rest_count, cli->rest);
    default:
        return cli->defaults ? print_defaults() : load(cli);
    }
}

// The same arguments with `conf` as the configuration, for the processes that are started with
// them.
static char **arguments_with(mg_arena *a, const mg_cli *cli, const char *conf, int *argc,
                             char *const *argv) {
    char **out = mg_arena_alloc(a, ((size_t)*argc + 2) * sizeof *out);
    int n = 0;
    bool named = false;
    for (int i = 0; i < *argc; i++) {
        bool here = argv[i] == cli->conf;
        named = named || here;
        out[n++] = here ? (char *)(uintptr_t)conf : argv[i];
    }
    if (!named) {
        out[n++] = (char *)(uintptr_t)conf;
    }
    out[n] = NULL;
    *argc = n;
    return out;
}

// What the shell calls this folder may be a link that leads elsewhere by the next reload.
static bool is_entered_by_links(mg_arena *a) {
    char real[PATH_MAX];
    return getcwd(real, sizeof real) != NULL && strcmp(mg_config_here(a), real) != 0;
}

static int start(mg_cli *cli, int argc, char *const *argv) {
    mg_arena arena = {0};
    bool serves = cli->command == MG_COMMAND_RUN || cli->command == MG_COMMAND_DEV;
    if (serves && cli->conf[0] != '/' && is_entered_by_links(&arena)) {
        const char *conf = mg_config_named(&arena, cli->conf);
        argv = arguments_with(&arena, cli, conf, &argc, argv);
        cli->conf = conf;
    }
    int status = obey(cli, argc, argv);
    mg_arena_deinit(&arena);
    return status;
}

#ifdef __SANITIZE_ADDRESS__
// What ends at once has no leaks that count, and each look for some takes longer than what most
// commands do: tests start thousands of them.
static bool ends_at_once = true;

__attribute__((visibility("default"))) int __lsan_is_turned_off(void) {
    return ends_at_once;
}

static void note_command(mg_command command) {
    ends_at_once = command != MG_COMMAND_RUN && command != MG_COMMAND_DEV &&
                   command != MG_COMMAND_WORKER && command != MG_COMMAND_ACME &&
                   command != MG_COMMAND_TEST;
}
#else
static void note_command(mg_command command) {
    (void)command;
}
#endif

int main(int argc, char **argv) {
    mg_cli cli;
    mg_buf text = {0};
    mg_mem_begin();
    mg_process_seal();
    mg_depth_make_room();
    switch (mg_cli_parse(&cli, argc, argv, &text)) {
    case MG_CLI_GO:
        note_command(cli.command);
        return start(&cli, argc, argv);
    case MG_CLI_SHOW:
        print(&text, stdout);
        return 0;
    default:
        print(&text, stderr);
        return MG_CLI_WRONG_STATUS;
    }
}
