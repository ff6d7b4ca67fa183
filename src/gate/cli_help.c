#include "gate/cli.h"

static const char overview[] =
    "Moongate is an HTTP gateway whose routes are Lua scripts.\n"
    "\n"
    "Usage: moongate COMMAND [ARGUMENTS]\n"
    "\n"
    "  run     serve: read the configuration, load the app, listen\n"
    "  check   read the configuration and load the app, but open nothing\n"
    "  routes  list what the app answers\n"
    "  test    run the specs, without a network and on virtual time\n"
    "\n"
    "  moongate COMMAND --help   all about one command, with an example\n"
    "  moongate --version\n"
    "\n"
    "Where no file is named, the configuration is conf/moongate.lua. All it may hold\n"
    "is shown by:\n"
    "\n"
    "  moongate check --defaults\n";

static const char *const pages[] = {
    [MG_COMMAND_RUN] =
        "Serves until it is told to stop.\n"
        "\n"
        "Usage: moongate run [CONF] [--listen ADDR]... [--workers N] [--app FILE]\n"
        "\n"
        "  CONF            the configuration, a Lua file that returns a table\n"
        "                  (default conf/moongate.lua)\n"
        "  --listen ADDR   listen here instead of where CONF says; may be repeated:\n"
        "                  127.0.0.1:8080, [::1]:8080, :8080, unix:run/moongate.sock\n"
        "  --workers N     event loops, 0 to 256 or auto (default: as CONF says).\n"
        "                  This version runs one.\n"
        "  --app FILE      the script that returns the app (default: as CONF says)\n"
        "\n"
        "SIGTERM and SIGINT (Ctrl-C) stop it gracefully: requests in progress are\n"
        "finished, for at most timeouts.drain seconds; a second one stops it at once.\n"
        "SIGUSR1 opens the log files anew, after a rotation.\n"
        "\n"
        "Example:\n"
        "  moongate run conf/moongate.lua --listen 127.0.0.1:3000\n"
        "  curl http://127.0.0.1:3000/\n"
        "\n"
        "Next: edit lua/app.lua, then moongate check, then start again.\n",
    [MG_COMMAND_CHECK] =
        "Reads the configuration and loads the app as run would, but opens nothing.\n"
        "\n"
        "Usage: moongate check [CONF] [--defaults]\n"
        "\n"
        "  CONF         the configuration (default conf/moongate.lua)\n"
        "  --defaults   only print every setting with its default and its bounds, as a\n"
        "               configuration file\n"
        "\n"
        "Each fault is a line that names the file and the line or key, says what is\n"
        "wrong and what is allowed. The status is 0 if there is none, else 1.\n"
        "\n"
        "Example:\n"
        "  moongate check && moongate run\n"
        "  moongate check --defaults > conf/all.lua\n"
        "\n"
        "Next: moongate routes shows what the app answers.\n",
    [MG_COMMAND_ROUTES] =
        "Lists the app's routes: method, pattern, name, place in the source, middleware.\n"
        "\n"
        "Usage: moongate routes [CONF]\n"
        "\n"
        "  CONF   the configuration (default conf/moongate.lua)\n"
        "\n"
        "Example:\n"
        "  moongate routes | grep users\n"
        "\n"
        "Next: moongate test runs the specs of these routes.\n",
    [MG_COMMAND_TEST] =
        "Runs specs (busted) inside Moongate: the real router, middleware and codec, but\n"
        "no network, and a clock that jumps instead of waiting.\n"
        "\n"
        "Usage: moongate test [PATH...] [BUSTED OPTIONS]\n"
        "\n"
        "  PATH   files *_spec.lua, or folders with such (default spec/)\n"
        "\n"
        "All arguments are handed to busted, so its options work: --filter=PATTERN runs\n"
        "the specs whose names match, --output=TAP changes the report. The status is 0\n"
        "if all passed.\n"
        "\n"
        "Example:\n"
        "  moongate test spec/app_spec.lua --filter='answers 504'\n"
        "\n"
        "A spec begins with: local test = require(\"moongate.test\")\n"
        "Next: read spec/app_spec.lua, the specs of the sample app.\n",
};

const char *mg_cli_help(void) {
    return overview;
}

const char *mg_cli_command_help(mg_command command) {
    return pages[command];
}
