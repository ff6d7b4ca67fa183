// gate/control_client.h: the commands that speak to a running server: reload, stop, status.
#pragma once

#include "gate/cli.h"

// Asks the server whose socket is `path`, prints what it says, and returns the exit status.
int mg_control_command(const mg_cli *cli, const char *path);
