#include "gate/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 80 };

static mg_cli cli;
static mg_buf text;

static int forget_text(void **state) {
    (void)state;
    mg_buf_deinit(&text);
    return 0;
}

// `arguments` is a NULL-ended list behind the program's name.
static mg_cli_result parse(const char *const *arguments) {
    static char *argv[ARGUMENTS_MAX];
    int argc = 0;
    argv[argc++] = (char *)(uintptr_t) "moongate";
    for (; *arguments != NULL; arguments++) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    mg_buf_clear(&text);
    mg_cli_result result = mg_cli_parse(&cli, argc, argv, &text);
    mg_buf_append_char(&text, '\0');
    return result;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})
#define WRONG(expected, ...)                                                                       \
    do {                                                                                           \
        assert_int_equal(PARSE(__VA_ARGS__), MG_CLI_WRONG);                                        \
        assert_string_equal(text.p, expected "\n");                                                \
    } while (0)

static void run_alone_has_defaults(void **state) {
    (void)state;
    assert_int_equal(PARSE("run"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_RUN);
    assert_string_equal(cli.conf, "conf/moongate.lua");
    assert_int_equal(cli.overrides.listen_count, 0);
    assert_null(cli.overrides.app);
    assert_false(cli.overrides.has_workers);
    assert_string_equal(text.p, "");
}

static void run_takes_options_in_any_order_and_form(void **state) {
    (void)state;
    assert_int_equal(PARSE("run", "--listen", ":1", "my.lua", "--listen=unix:x", "--workers=4",
                           "--app", "a=b.lua"),
                     MG_CLI_GO);
    assert_string_equal(cli.conf, "my.lua");
    assert_int_equal(cli.overrides.listen_count, 2);
    assert_string_equal(cli.overrides.listen[0], ":1");
    assert_string_equal(cli.overrides.listen[1], "unix:x");
    assert_true(cli.overrides.has_workers);
    assert_int_equal(cli.overrides.workers, 4);
    assert_string_equal(cli.overrides.app, "a=b.lua");
    assert_int_equal(PARSE("run", "--workers", "auto"), MG_CLI_GO);
    assert_int_equal(cli.overrides.workers, MG_CONFIG_WORKERS_AUTO);
}

static void check_and_routes_take_a_file(void **state) {
    (void)state;
    assert_int_equal(PARSE("check", "x.lua"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_CHECK);
    assert_string_equal(cli.conf, "x.lua");
    assert_false(cli.defaults);
    assert_int_equal(PARSE("check", "--connect"), MG_CLI_GO);
    assert_true(cli.connect);
    assert_int_equal(PARSE("check", "--defaults"), MG_CLI_GO);
    assert_true(cli.defaults);
    assert_int_equal(PARSE("routes", "y.lua"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_ROUTES);
    assert_string_equal(cli.conf, "y.lua");
}

static void test_passes_its_arguments_on(void **state) {
    (void)state;
    assert_int_equal(PARSE("test", "spec/a_spec.lua", "--filter=x", "-v"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_TEST);
    assert_int_equal(cli.rest_count, 3);
    assert_string_equal(cli.rest[0], "spec/a_spec.lua");
    assert_string_equal(cli.rest[2], "-v");
    assert_int_equal(PARSE("test"), MG_CLI_GO);
    assert_int_equal(cli.rest_count, 0);
}

static void explain_wants_a_request(void **state) {
    (void)state;
    assert_int_equal(PARSE("explain", "GET", "/users/7"), MG_CLI_GO);
    assert_string_equal(cli.method, "GET");
    assert_string_equal(cli.target, "/users/7");
    assert_string_equal(cli.conf, "conf/moongate.lua");
    assert_int_equal(PARSE("explain", "GET", "http://a/b", "my.lua"), MG_CLI_GO);
    assert_string_equal(cli.conf, "my.lua");
    WRONG("moongate: explain: a method and a path are wanted, as GET /users/7; see moongate "
          "explain --help",
          "explain", "/users/7");
    WRONG("moongate: users: a path that begins with / is wanted, or a URL; see moongate explain "
          "--help",
          "explain", "GET", "users");
    WRONG("moongate: G T: a method such as GET is wanted; see moongate explain --help", "explain",
          "G T", "/");
}

static void dev_serves_with_a_few_options_of_run(void **state) {
    (void)state;
    assert_int_equal(PARSE("dev", "--listen", ":1", "--app=a.lua", "my.lua"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_DEV);
    assert_string_equal(cli.conf, "my.lua");
    assert_string_equal(cli.overrides.listen[0], ":1");
    assert_string_equal(cli.overrides.app, "a.lua");
    WRONG("moongate: --workers: dev has no such option; see moongate dev --help", "dev",
          "--workers=2");
}

static void workers_may_be_none(void **state) {
    (void)state;
    assert_int_equal(PARSE("run", "--workers=0"), MG_CLI_GO);
    assert_true(cli.overrides.has_workers);
    assert_int_equal(cli.overrides.workers, 0);
}

static void reload_takes_its_options(void **state) {
    (void)state;
    assert_int_equal(PARSE("reload"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_RELOAD);
    assert_string_equal(cli.conf, "conf/moongate.lua");
    assert_false(cli.specs || cli.dry_run || cli.now || cli.json);
    assert_null(cli.control);
    assert_int_equal(PARSE("reload", "--spec", "x.lua", "--dry-run"), MG_CLI_GO);
    assert_true(cli.specs && cli.dry_run);
    assert_false(cli.now || cli.json);
    assert_string_equal(cli.conf, "x.lua");
}

static void stop_and_status_take_theirs(void **state) {
    (void)state;
    assert_int_equal(PARSE("stop", "--now"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_STOP);
    assert_true(cli.now);
    assert_int_equal(PARSE("stop"), MG_CLI_GO);
    assert_false(cli.now);
    assert_int_equal(PARSE("status", "--json"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_STATUS);
    assert_true(cli.json);
    WRONG("moongate: --jsn: status has no such option (did you mean \"--json\"?); see moongate "
          "status --help",
          "status", "--jsn");
    WRONG("moongate: --dry-run: stop has no such option; see moongate stop --help", "stop",
          "--dry-run");
    WRONG("moongate: --now: takes no value; see moongate stop --help", "stop", "--now=1");
}

static void who_speaks_to_a_server_may_name_its_socket(void **state) {
    (void)state;
    static const char *const names[] = {"reload", "stop", "status"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(PARSE(names[i], "--control", "/x.sock"), MG_CLI_GO);
        assert_string_equal(cli.control, "/x.sock");
        assert_int_equal(PARSE(names[i], "--control=y.sock", "my.lua"), MG_CLI_GO);
        assert_string_equal(cli.control, "y.sock");
        assert_string_equal(cli.conf, "my.lua");
        assert_int_equal(PARSE(names[i], "--control"), MG_CLI_WRONG);
        assert_int_equal(PARSE(names[i], "--listen=:1"), MG_CLI_WRONG);
    }
    WRONG("moongate: --control: the path is empty; see moongate stop --help", "stop", "--control=");
    WRONG("moongate: --control: run has no such option; see moongate run --help", "run",
          "--control=/x");
}

static void a_masters_children_take_what_it_was_given(void **state) {
    (void)state;
    static const struct {
        const char *name;
        mg_command command;
    } children[] = {{"_collect", MG_COMMAND_COLLECT},
                    {"_trial", MG_COMMAND_TRIAL},
                    {"_worker", MG_COMMAND_WORKER},
                    {"_acme", MG_COMMAND_ACME},
                    {"_keys", MG_COMMAND_KEYS}};
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        assert_int_equal(
            PARSE(children[i].name, "my.lua", "--listen=:1", "--workers", "3", "--app=a.lua"),
            MG_CLI_GO);
        assert_int_equal(cli.command, children[i].command);
        assert_string_equal(cli.conf, "my.lua");
        assert_string_equal(cli.overrides.listen[0], ":1");
        assert_int_equal(cli.overrides.workers, 3);
        assert_string_equal(cli.overrides.app, "a.lua");
    }
    assert_int_equal(PARSE("_spec", "spec/", "-v"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_SPEC);
    assert_int_equal(cli.rest_count, 2);
    assert_string_equal(cli.rest[0], "spec/");
}

static void a_masters_children_are_not_for_people(void **state) {
    (void)state;
    static const char *const names[] = {" _collect", " _trial", " _worker",
                                        " _acme",    " _keys",  " _spec"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int c = 0; c < MG_COMMAND_COUNT; c++) {
            assert_null(strstr(mg_cli_command_help((mg_command)c), names[i]));
        }
        assert_null(strstr(mg_cli_help(), names[i]));
        assert_int_equal(PARSE("help", names[i] + 1), MG_CLI_SHOW);
        assert_string_equal(text.p, mg_cli_help());
    }
    WRONG("moongate: _colect: no such command; see moongate --help", "_colect");
    WRONG("moongate: _workr: no such command; see moongate --help", "_workr");
}

static void each_command_is_in_the_overview(void **state) {
    (void)state;
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        char line[24];
        snprintf(line, sizeof line, "\n  %-7s  ", mg_cli_command_name((mg_command)i));
        assert_non_null(strstr(mg_cli_help(), line));
    }
}

// Words that begin with "--", up to what ends them.
static void has_no_option_that_is_refused(mg_command command) {
    const char *name = mg_cli_command_name(command);
    for (const char *at = mg_cli_command_help(command); (at = strstr(at, "  --")) != NULL;) {
        char option[24];
        at += 2;
        snprintf(option, sizeof option, "%.*s", (int)strcspn(at, " ,=\n"), at);
        PARSE(name, option);
        if (strstr(text.p, "has no such option") != NULL) {
            fail_msg("%s %s: told of in its help, but not known", name, option);
        }
    }
}

static void options_told_of_in_help_exist(void **state) {
    (void)state;
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        has_no_option_that_is_refused((mg_command)i);
    }
}

static void runs_page_tells_of_signals_and_processes(void **state) {
    (void)state;
    static const char *const words[] = {"SIGHUP",  "SIGTERM", "SIGINT",   "SIGQUIT",
                                        "SIGUSR1", "master",  "debuggers"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_non_null(strstr(mg_cli_command_help(MG_COMMAND_RUN), words[i]));
    }
}

static void version_is_one_line(void **state) {
    (void)state;
    assert_int_equal(PARSE("--version"), MG_CLI_SHOW);
    assert_string_equal(text.p, "moongate " MG_VERSION "\n");
}

static void help_comes_in_every_form(void **state) {
    (void)state;
    assert_int_equal(PARSE("--help"), MG_CLI_SHOW);
    assert_string_equal(text.p, mg_cli_help());
    assert_int_equal(PARSE("-h"), MG_CLI_SHOW);
    assert_int_equal(PARSE("help"), MG_CLI_SHOW);
    assert_string_equal(text.p, mg_cli_help());
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        const char *name = mg_cli_command_name((mg_command)i);
        assert_int_equal(PARSE(name, "--help"), MG_CLI_SHOW);
        assert_string_equal(text.p, mg_cli_command_help((mg_command)i));
        assert_int_equal(PARSE(name, "--whatever", "-h"), MG_CLI_SHOW);
        assert_string_equal(text.p, mg_cli_command_help((mg_command)i));
        assert_int_equal(PARSE("help", name), MG_CLI_SHOW);
        assert_string_equal(text.p, mg_cli_command_help((mg_command)i));
    }
}

static void no_command_shows_the_help_as_an_error(void **state) {
    (void)state;
    assert_int_equal(parse((const char *const[]){NULL}), MG_CLI_WRONG);
    assert_string_equal(text.p, mg_cli_help());
}

static void unknown_commands_bring_a_suggestion(void **state) {
    (void)state;
    WRONG("moongate: relaod: no such command (did you mean \"reload\"?); see moongate --help",
          "relaod");
    WRONG("moongate: rnu: no such command (did you mean \"run\"?); see moongate --help", "rnu");
    WRONG("moongate: chekc: no such command (did you mean \"check\"?); see moongate --help",
          "chekc");
    WRONG("moongate: zzzzz: no such command; see moongate --help", "zzzzz");
    WRONG("moongate: : no such command; see moongate --help", "");
    WRONG("moongate: --hlep: no such option (did you mean \"--help\"?); see moongate --help",
          "--hlep");
}

static void migrate_takes_a_folder_a_database_and_status(void **state) {
    (void)state;
    assert_int_equal(PARSE("migrate"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_MIGRATE);
    assert_false(cli.status);
    assert_null(cli.folder);
    assert_null(cli.database);
    assert_int_equal(
        PARSE("migrate", "my.lua", "--status", "--folder", "db/sql", "--database=logs"), MG_CLI_GO);
    assert_string_equal(cli.conf, "my.lua");
    assert_true(cli.status);
    assert_string_equal(cli.folder, "db/sql");
    assert_string_equal(cli.database, "logs");
    WRONG("moongate: --folder: the path is empty; see moongate migrate --help", "migrate",
          "--folder=");
    WRONG("moongate: --database: the name is empty; see moongate migrate --help", "migrate",
          "--database", "");
}

static void commands_of_later_versions_say_so(void **state) {
    (void)state;
    WRONG("moongate: prof: this command is not in this version; see moongate --help", "prof");
}

static void what_is_no_command_is_looked_up_in_the_reference(void **state) {
    (void)state;
    assert_int_equal(PARSE("help", "ctx:json"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_HELP);
    assert_string_equal(cli.topic, "ctx:json");
}

static void docs_and_new_want_one_folder(void **state) {
    (void)state;
    assert_int_equal(PARSE("docs", "build/docs"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_DOCS);
    assert_string_equal(cli.folder, "build/docs");
    assert_int_equal(PARSE("new", "shop"), MG_CLI_GO);
    assert_int_equal(cli.command, MG_COMMAND_NEW);
    assert_string_equal(cli.folder, "shop");
    assert_int_equal(PARSE("docs", "--types"), MG_CLI_GO);
    assert_true(cli.types);
    assert_int_equal(PARSE("new", "shop", "--api"), MG_CLI_GO);
    assert_int_equal(cli.kind, MG_NEW_API);
    assert_int_equal(PARSE("new", "--typescript", "shop"), MG_CLI_GO);
    assert_int_equal(cli.kind, MG_NEW_TYPESCRIPT);
    WRONG(
        "moongate: new: --api and --typescript are two kinds of projects; see moongate new --help",
        "new", "shop", "--api", "--typescript");
    WRONG("moongate: docs: a folder is wanted; see moongate docs --help", "docs");
    WRONG("moongate: new: a folder is wanted; see moongate new --help", "new");
    WRONG("moongate: b: one folder is enough; see moongate docs --help", "docs", "a", "b");
}

static void unknown_options_bring_a_suggestion(void **state) {
    (void)state;
    WRONG("moongate: --lisen: run has no such option (did you mean \"--listen\"?); see moongate "
          "run --help",
          "run", "--lisen=:1");
    WRONG("moongate: --defaults: run has no such option; see moongate run --help", "run",
          "--defaults");
    WRONG("moongate: -x: check has no such option; see moongate check --help", "check", "-x");
}

static void wrong_values_say_what_is_allowed(void **state) {
    (void)state;
    WRONG("moongate: --workers: allowed are \"auto\" and 0 to 256; see moongate run --help", "run",
          "--workers", "257");
    WRONG("moongate: --listen: needs a value; see moongate run --help", "run", "--listen");
    WRONG("moongate: --app: the path is empty; see moongate run --help", "run", "--app=");
    WRONG("moongate: --defaults: takes no value; see moongate check --help", "check",
          "--defaults=1");
    WRONG("moongate: b.lua: one configuration file is enough; see moongate run --help", "run",
          "a.lua", "b.lua");
}

static void too_many_addresses_are_refused(void **state) {
    (void)state;
    const char *arguments[MG_CLI_LISTEN_MAX + 3] = {"run"};
    for (size_t i = 1; i <= MG_CLI_LISTEN_MAX; i++) {
        arguments[i] = "--listen=:1";
    }
    assert_int_equal(parse(arguments), MG_CLI_GO);
    assert_int_equal(cli.overrides.listen_count, MG_CLI_LISTEN_MAX);
    arguments[MG_CLI_LISTEN_MAX + 1] = "--listen=:1";
    assert_int_equal(parse(arguments), MG_CLI_WRONG);
}

static void fits_80_columns(const char *page) {
    while (*page != '\0') {
        size_t n = strcspn(page, "\n");
        if (n > 80) {
            fail_msg("too long: %.*s", (int)n, page);
        }
        assert_int_equal(page[n], '\n');
        page += n + 1;
    }
}

static void help_fits_80_columns_and_shows_an_example(void **state) {
    (void)state;
    fits_80_columns(mg_cli_help());
    for (int i = 0; i < MG_COMMAND_COUNT; i++) {
        const char *page = mg_cli_command_help((mg_command)i);
        fits_80_columns(page);
        assert_non_null(strstr(page, "\nExample:\n"));
        assert_non_null(strstr(page, "\nNext: "));
    }
}

int main(void) {
#define T(test) cmocka_unit_test_teardown(test, forget_text)
    const struct CMUnitTest tests[] = {
        T(run_alone_has_defaults),
        T(run_takes_options_in_any_order_and_form),
        T(check_and_routes_take_a_file),
        T(test_passes_its_arguments_on),
        T(explain_wants_a_request),
        T(dev_serves_with_a_few_options_of_run),
        T(workers_may_be_none),
        T(reload_takes_its_options),
        T(stop_and_status_take_theirs),
        T(who_speaks_to_a_server_may_name_its_socket),
        T(a_masters_children_take_what_it_was_given),
        T(a_masters_children_are_not_for_people),
        T(each_command_is_in_the_overview),
        T(options_told_of_in_help_exist),
        T(runs_page_tells_of_signals_and_processes),
        T(version_is_one_line),
        T(help_comes_in_every_form),
        T(no_command_shows_the_help_as_an_error),
        T(unknown_commands_bring_a_suggestion),
        T(migrate_takes_a_folder_a_database_and_status),
        T(commands_of_later_versions_say_so),
        T(what_is_no_command_is_looked_up_in_the_reference),
        T(docs_and_new_want_one_folder),
        T(unknown_options_bring_a_suggestion),
        T(wrong_values_say_what_is_allowed),
        T(too_many_addresses_are_refused),
        T(help_fits_80_columns_and_shows_an_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
