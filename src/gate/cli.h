// gate/cli.h: the command line: what is wanted, or the text that answers it. Runs and opens
// nothing.
#pragma once

#include "base/buf.h"
#include "base/version.h"
#include "config/config.h"

enum { MG_CLI_LISTEN_MAX = 32, MG_CLI_WRONG_STATUS = 2 };

typedef enum mg_command {
    MG_COMMAND_RUN,
    MG_COMMAND_CHECK,
    MG_COMMAND_ROUTES,
    MG_COMMAND_EXPLAIN,
    MG_COMMAND_TEST,
    MG_COMMAND_DEV,
    MG_COMMAND_RELOAD,
    MG_COMMAND_STOP,
    MG_COMMAND_STATUS,
    MG_COMMAND_REPL,
    MG_COMMAND_MIGRATE,
    MG_COMMAND_DOCS,
    MG_COMMAND_NEW,
    MG_COMMAND_COUNT,
    // what a master starts: not for people
    MG_COMMAND_COLLECT = MG_COMMAND_COUNT, // gate/collect.h
    MG_COMMAND_TRIAL,                      // gate/trial.h
    MG_COMMAND_WORKER,                     // gate/worker.h
    MG_COMMAND_ACME,                       // gate/acme_process.h
    MG_COMMAND_KEYS,                       // gate/keys_process.h
    MG_COMMAND_SPEC,                       // `test` on a snapshot
    MG_COMMAND_HELP,                       // `help NAME`, of what is no command
    MG_COMMAND_ALL,
} mg_command;

// What `new` makes: folders of lua/moongate/template.
typedef enum mg_new_kind { MG_NEW_PLAIN, MG_NEW_API, MG_NEW_TYPESCRIPT } mg_new_kind;

// Borrows argv.
typedef struct mg_cli {
    mg_command command;
    const char *conf;     // the configuration file; conf/moongate.lua unless named
    bool defaults;        // check --defaults
    bool connect;         // check --connect
    bool specs;           // reload --spec
    bool dry_run;         // reload --dry-run
    bool json;            // status --json
    bool now;             // stop --now
    bool status;          // migrate --status
    bool types;           // docs --types
    mg_new_kind kind;     // new --api, --typescript
    const char *folder;   // migrate --folder; NULL: lua/migrations. docs, new: where to
    const char *topic;    // help NAME
    const char *method;   // explain METHOD
    const char *target;   // explain ... PATH
    const char *database; // migrate --database; NULL: the default one
    const char *control;  // reload, stop, status --control; NULL: as the configuration says
    mg_config_overrides overrides; // `listen` points into `listen` below
    const char *listen[MG_CLI_LISTEN_MAX];
    char *const *rest; // test: all that follows it, as it stands
    int rest_count;
} mg_cli;

typedef enum mg_cli_result {
    MG_CLI_GO,    // `cli` says what to do
    MG_CLI_SHOW,  // print the text to stdout and exit with 0
    MG_CLI_WRONG, // print the text to stderr and exit with MG_CLI_WRONG_STATUS
} mg_cli_result;

// Fills `cli` (caller's memory, not to be copied), or appends the text.
mg_cli_result mg_cli_parse(mg_cli *cli, int argc, char *const *argv, mg_buf *text);

// "run", "check", ...
const char *mg_cli_command_name(mg_command command);

// The page of `moongate --help`, and that of one command (gate/cli_help.c).
const char *mg_cli_help(void);
const char *mg_cli_command_help(mg_command command);
