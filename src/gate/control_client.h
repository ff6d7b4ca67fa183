// gate/control_client.h: the commands that speak to a running server: reload, stop, status, repl.
#pragma once

#include "gate/cli.h"

// Asks the server whose socket is `path`, prints what it says, and returns the exit status.
int mg_control_command(const mg_cli *cli, const char *path);

// Has `code` evaluated there (moongate repl): `*ok` and what it gave or the error, appended to
// `text`. A negative code if the server cannot be asked, which was printed.
int mg_control_evaluate(const mg_cli *cli, const char *path, mg_str code, bool *ok, mg_buf *text);
