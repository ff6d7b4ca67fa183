#include "gate/cli.h"

#include "base/suggest.h"

#include <stdio.h>

static const char *const commands[] = {
    [MG_COMMAND_RUN] = "run",          [MG_COMMAND_CHECK] = "check",
    [MG_COMMAND_ROUTES] = "routes",    [MG_COMMAND_TEST] = "test",
    [MG_COMMAND_DEV] = "dev",          [MG_COMMAND_RELOAD] = "reload",
    [MG_COMMAND_STOP] = "stop",        [MG_COMMAND_STATUS] = "status",
    [MG_COMMAND_COLLECT] = "_collect", [MG_COMMAND_WORKER] = "_worker",
    [MG_COMMAND_ACME] = "_acme",       [MG_COMMAND_KEYS] = "_keys",
    [MG_COMMAND_SPEC] = "_spec",       [MG_COMMAND_MIGRATE] = "migrate",
    [MG_COMMAND_TRIAL] = "_trial",     [MG_COMMAND_DOCS] = "docs",
    [MG_COMMAND_NEW] = "new",          [MG_COMMAND_HELP] = "_help",
    [MG_COMMAND_EXPLAIN] = "explain",  [MG_COMMAND_REPL] = "repl",
};

static const char *const later_commands[] = {"prof"};
enum { LATER_COMMANDS = sizeof later_commands / sizeof later_commands[0] };

#define BIT(command) (1u << MG_COMMAND_##command)

typedef struct parsing parsing;

typedef struct option {
    const char *name;
    unsigned commands; // where it is allowed
    bool has_value;
    mg_cli_result (*take)(parsing *p, const char *value);
} option;

struct parsing {
    mg_cli *cli;
    char *const *at; // the next argument
    char *const *end;
    mg_buf *text;
    bool has_conf;
};

static mg_cli_result take_defaults(parsing *p, const char *value);
static mg_cli_result take_connect(parsing *p, const char *value);
static mg_cli_result take_dev(parsing *p, const char *value);
static mg_cli_result take_listen(parsing *p, const char *value);
static mg_cli_result take_workers(parsing *p, const char *value);
static mg_cli_result take_app(parsing *p, const char *value);

static mg_cli_result take_specs(parsing *p, const char *value);
static mg_cli_result take_dry_run(parsing *p, const char *value);
static mg_cli_result take_json(parsing *p, const char *value);
static mg_cli_result take_now(parsing *p, const char *value);
static mg_cli_result take_control(parsing *p, const char *value);
static mg_cli_result take_database(parsing *p, const char *value);
static mg_cli_result take_folder(parsing *p, const char *value);
static mg_cli_result take_status(parsing *p, const char *value);
static mg_cli_result take_tls(parsing *p, const char *value);
static mg_cli_result take_record(parsing *p, const char *value);
static mg_cli_result take_types(parsing *p, const char *value);
static mg_cli_result take_api(parsing *p, const char *value);
static mg_cli_result take_typescript(parsing *p, const char *value);

#define SERVING                                                                                    \
    (BIT(RUN) | BIT(DEV) | BIT(COLLECT) | BIT(TRIAL) | BIT(WORKER) | BIT(ACME) | BIT(KEYS))
#define REMOTE (BIT(RELOAD) | BIT(STOP) | BIT(STATUS) | BIT(REPL))

static const option options[] = {
    {"--api", BIT(NEW), false, take_api},
    {"--app", SERVING, true, take_app},
    {"--connect", BIT(CHECK), false, take_connect},
    {"--control", REMOTE, true, take_control},
    {"--database", BIT(MIGRATE), true, take_database},
    {"--defaults", BIT(CHECK), false, take_defaults},
    {"--dev", BIT(COLLECT), false, take_dev},
    {"--dry-run", BIT(RELOAD), false, take_dry_run},
    {"--folder", BIT(MIGRATE), true, take_folder},
    {"--json", BIT(STATUS), false, take_json},
    {"--listen", SERVING, true, take_listen},
    {"--now", BIT(STOP), false, take_now},
    {"--record", SERVING & ~BIT(RUN), true, take_record},
    {"--spec", BIT(RELOAD), false, take_specs},
    {"--status", BIT(MIGRATE), false, take_status},
    {"--tls", SERVING & ~BIT(RUN), false, take_tls},
    {"--types", BIT(DOCS), false, take_types},
    {"--typescript", BIT(NEW), false, take_typescript},
    {"--workers", SERVING & ~BIT(DEV), true, take_workers},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

const char *mg_cli_command_name(mg_command command) {
    return commands[command];
}

// --- texts
// -----------------------------------------------------------------------------------------------------------

static mg_cli_result show(parsing *p, const char *text) {
    mg_buf_append_str(p->text, mg_str_of(text));
    return MG_CLI_SHOW;
}

static mg_cli_result show_version(parsing *p) {
    return show(p, "moongate " MG_VERSION "\n");
}

static mg_cli_result wrong(parsing *p, const mg_suggest *s, const char *help, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// One line: what is wrong, what was probably meant, where to read on. `help` is a command's name or
// "".
static mg_cli_result wrong(parsing *p, const mg_suggest *s, const char *help, const char *fmt,
                           ...) {
    mg_error e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof e.text, fmt, ap);
    va_end(ap);
    mg_buf_printf(p->text, "moongate: %s", e.text);
    if (s != NULL) {
        mg_suggest_append(s, p->text);
    }
    mg_buf_printf(p->text, "; see moongate %s%s--help\n", help, *help == '\0' ? "" : " ");
    return MG_CLI_WRONG;
}

static mg_cli_result wrong_here(parsing *p, const char *what, const char *subject) {
    return wrong(p, NULL, commands[p->cli->command], "%s: %s", subject, what);
}

// --- commands
// --------------------------------------------------------------------------------------------------------

static bool find_command(const char *name, mg_command *out) {
    for (int i = 0; i < MG_COMMAND_ALL; i++) {
        if (strcmp(commands[i], name) == 0) {
            *out = (mg_command)i;
            return true;
        }
    }
    return false;
}

static mg_cli_result no_command(parsing *p, const char *name) {
    for (size_t i = 0; i < LATER_COMMANDS; i++) {
        if (strcmp(later_commands[i], name) == 0) {
            return wrong(p, NULL, "", "%s: this command is not in this version", name);
        }
    }
    mg_suggest s;
    mg_suggest_init(&s, mg_str_of(name));
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        mg_suggest_offer(&s, mg_str_of(commands[i]));
    }
    mg_suggest_offer(&s, MG_STR("help"));
    return wrong(p, &s, "", "%s: no such command", name);
}

static mg_cli_result no_option(parsing *p, mg_str name) {
    mg_suggest s;
    mg_suggest_init(&s, name);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].commands & (1u << p->cli->command)) {
            mg_suggest_offer(&s, mg_str_of(options[i].name));
        }
    }
    mg_suggest_offer(&s, MG_STR("--help"));
    return wrong(p, &s, commands[p->cli->command], "%.*s: %s has no such option", (int)name.n,
                 name.p, commands[p->cli->command]);
}

// --- options
// ---------------------------------------------------------------------------------------------------------

static mg_cli_result take_defaults(parsing *p, const char *value) {
    (void)value;
    p->cli->defaults = true;
    return MG_CLI_GO;
}

static mg_cli_result take_connect(parsing *p, const char *value) {
    (void)value;
    p->cli->connect = true;
    return MG_CLI_GO;
}

static mg_cli_result take_dev(parsing *p, const char *value) {
    (void)value;
    p->cli->overrides.dev = true;
    return MG_CLI_GO;
}

static mg_cli_result take_specs(parsing *p, const char *value) {
    (void)value;
    p->cli->specs = true;
    return MG_CLI_GO;
}

static mg_cli_result take_dry_run(parsing *p, const char *value) {
    (void)value;
    p->cli->dry_run = true;
    return MG_CLI_GO;
}

static mg_cli_result take_json(parsing *p, const char *value) {
    (void)value;
    p->cli->json = true;
    return MG_CLI_GO;
}

static mg_cli_result take_now(parsing *p, const char *value) {
    (void)value;
    p->cli->now = true;
    return MG_CLI_GO;
}

static mg_cli_result take_control(parsing *p, const char *value) {
    if (*value == '\0') {
        return wrong_here(p, "the path is empty", "--control");
    }
    p->cli->control = value;
    return MG_CLI_GO;
}

static mg_cli_result take_listen(parsing *p, const char *value) {
    mg_config_overrides *o = &p->cli->overrides;
    if (o->listen_count == MG_CLI_LISTEN_MAX) {
        return wrong_here(p, "32 addresses are the most", "--listen");
    }
    p->cli->listen[o->listen_count++] = value;
    o->listen = p->cli->listen;
    return MG_CLI_GO;
}

static mg_cli_result take_database(parsing *p, const char *value) {
    if (*value == '\0') {
        return wrong_here(p, "the name is empty", "--database");
    }
    p->cli->database = value;
    return MG_CLI_GO;
}

static mg_cli_result take_folder(parsing *p, const char *value) {
    if (*value == '\0') {
        return wrong_here(p, "the path is empty", "--folder");
    }
    p->cli->folder = value;
    return MG_CLI_GO;
}

static mg_cli_result take_status(parsing *p, const char *value) {
    (void)value;
    p->cli->status = true;
    return MG_CLI_GO;
}

static mg_cli_result take_tls(parsing *p, const char *value) {
    (void)value;
    p->cli->overrides.tls = true;
    return MG_CLI_GO;
}

static mg_cli_result take_record(parsing *p, const char *value) {
    if (*value == '\0') {
        return wrong_here(p, "the path is empty", "--record");
    }
    p->cli->overrides.record = value;
    return MG_CLI_GO;
}

static mg_cli_result take_types(parsing *p, const char *value) {
    (void)value;
    p->cli->types = true;
    return MG_CLI_GO;
}

static mg_cli_result take_kind(parsing *p, mg_new_kind kind) {
    if (p->cli->kind != MG_NEW_PLAIN && p->cli->kind != kind) {
        return wrong_here(p, "--api and --typescript are two kinds of projects", "new");
    }
    p->cli->kind = kind;
    return MG_CLI_GO;
}

static mg_cli_result take_api(parsing *p, const char *value) {
    (void)value;
    return take_kind(p, MG_NEW_API);
}

static mg_cli_result take_typescript(parsing *p, const char *value) {
    (void)value;
    return take_kind(p, MG_NEW_TYPESCRIPT);
}

static mg_cli_result take_workers(parsing *p, const char *value) {
    mg_config_overrides *o = &p->cli->overrides;
    uint64_t n;
    o->has_workers = true;
    o->workers = MG_CONFIG_WORKERS_AUTO;
    if (strcmp(value, "auto") == 0) {
        return MG_CLI_GO;
    }
    if (!mg_str_to_u64(mg_str_of(value), MG_CONFIG_WORKERS_MAX, &n)) {
        return wrong_here(p, "allowed are \"auto\" and 0 to 256", "--workers");
    }
    o->workers = (int)n;
    return MG_CLI_GO;
}

static mg_cli_result take_app(parsing *p, const char *value) {
    if (*value == '\0') {
        return wrong_here(p, "the path is empty", "--app");
    }
    p->cli->overrides.app = value;
    return MG_CLI_GO;
}

static const option *find_option(mg_command command, mg_str name) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if ((options[i].commands & (1u << command)) &&
            mg_str_eq(mg_str_of(options[i].name), name)) {
            return &options[i];
        }
    }
    return NULL;
}

// "--name value", "--name=value" or "--name".
static mg_cli_result take_option(parsing *p, const char *argument) {
    mg_str name = {argument, strcspn(argument, "=")};
    const char *value = argument[name.n] == '=' ? argument + name.n + 1 : NULL;
    const option *o = find_option(p->cli->command, name);
    if (o == NULL) {
        return no_option(p, name);
    }
    if (!o->has_value && value != NULL) {
        return wrong_here(p, "takes no value", o->name);
    }
    if (o->has_value && value == NULL) {
        if (p->at == p->end) {
            return wrong_here(p, "needs a value", o->name);
        }
        value = *p->at++;
    }
    return o->take(p, value);
}

// Those that are told of a folder instead of a configuration.
static bool makes_folder(mg_command command) {
    return command == MG_COMMAND_DOCS || command == MG_COMMAND_NEW;
}

static mg_cli_result take_folder_alone(parsing *p, const char *argument) {
    if (p->cli->folder != NULL) {
        return wrong_here(p, "one folder is enough", argument);
    }
    p->cli->folder = argument;
    return MG_CLI_GO;
}

// explain's method and path, which stand before the configuration.
static bool take_request(parsing *p, const char *argument) {
    const char **place = p->cli->method == NULL ? &p->cli->method : &p->cli->target;
    bool wanted = p->cli->command == MG_COMMAND_EXPLAIN && *place == NULL;
    *place = wanted ? argument : *place;
    return wanted;
}

static mg_cli_result take_conf(parsing *p, const char *argument) {
    if (makes_folder(p->cli->command)) {
        return take_folder_alone(p, argument);
    }
    if (take_request(p, argument)) {
        return MG_CLI_GO;
    }
    if (p->has_conf) {
        return wrong_here(p, "one configuration file is enough", argument);
    }
    p->has_conf = true;
    p->cli->conf = argument;
    return MG_CLI_GO;
}

// What a command cannot do without.
static mg_cli_result check_arguments(parsing *p) {
    const mg_cli *cli = p->cli;
    if (makes_folder(cli->command) && cli->folder == NULL && !cli->types) {
        return wrong_here(p, "a folder is wanted", commands[cli->command]);
    }
    if (cli->command != MG_COMMAND_EXPLAIN) {
        return MG_CLI_GO;
    }
    if (cli->target == NULL) {
        return wrong_here(p, "a method and a path are wanted, as GET /users/7", "explain");
    }
    if (!mg_str_is_token(mg_str_of(cli->method))) {
        return wrong_here(p, "a method such as GET is wanted", cli->method);
    }
    if (cli->target[0] != '/' && strstr(cli->target, "://") == NULL) {
        return wrong_here(p, "a path that begins with / is wanted, or a URL", cli->target);
    }
    return MG_CLI_GO;
}

static bool is_help(const char *argument) {
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static bool asks_for_help(const parsing *p) {
    for (char *const *at = p->at; at < p->end; at++) {
        if (is_help(*at)) {
            return true;
        }
    }
    return false;
}

static mg_cli_result take_arguments(parsing *p) {
    if (asks_for_help(p)) {
        return show(p, mg_cli_command_help(p->cli->command));
    }
    if (p->cli->command == MG_COMMAND_TEST || p->cli->command == MG_COMMAND_SPEC) {
        p->cli->rest = p->at;
        p->cli->rest_count = (int)(p->end - p->at);
        return MG_CLI_GO;
    }
    mg_cli_result result = MG_CLI_GO;
    while (result == MG_CLI_GO && p->at < p->end) {
        const char *argument = *p->at++;
        result = argument[0] == '-' ? take_option(p, argument) : take_conf(p, argument);
    }
    return result == MG_CLI_GO ? check_arguments(p) : result;
}

// --- the whole
// -------------------------------------------------------------------------------------------------------

static mg_cli_result take_help(parsing *p) {
    if (p->at == p->end) {
        return show(p, mg_cli_help());
    }
    mg_command command;
    if (find_command(*p->at, &command)) {
        return show(p, mg_cli_command_help(command));
    }
    p->cli->command = MG_COMMAND_HELP;
    p->cli->topic = *p->at;
    return MG_CLI_GO;
}

mg_cli_result mg_cli_parse(mg_cli *cli, int argc, char *const *argv, mg_buf *text) {
    *cli = (mg_cli){.conf = "conf/moongate.lua"};
    parsing p = {.cli = cli, .at = argv + 1, .end = argv + argc, .text = text};
    if (argc < 2) {
        show(&p, mg_cli_help());
        return MG_CLI_WRONG;
    }
    const char *first = *p.at++;
    if (is_help(first) || strcmp(first, "help") == 0) {
        return take_help(&p);
    }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        return show_version(&p);
    }
    if (first[0] == '-') {
        mg_suggest s;
        mg_suggest_init(&s, mg_str_of(first));
        mg_suggest_offer(&s, MG_STR("--help"));
        mg_suggest_offer(&s, MG_STR("--version"));
        return wrong(&p, &s, "", "%s: no such option", first);
    }
    if (!find_command(first, &cli->command)) {
        return no_command(&p, first);
    }
    cli->overrides.dev = cli->command == MG_COMMAND_DEV;
    return take_arguments(&p);
}
