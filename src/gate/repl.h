// gate/repl.h: `moongate repl`: what is typed is evaluated by a server of moongate dev.
#pragma once

#include "gate/cli.h"

// Reads stdin to its end. `path`: the server's control socket. Returns the exit status: 1 if
// something failed.
int mg_repl_main(const mg_cli *cli, const char *path);
