// config/upstream.h: the table `upstreams`: named sets of servers.
#pragma once

#include "config/table.h"
#include "proxy/options.h"

// The keys of an upstream that is a table, and of a server that is one; offsets are into
// mg_upstream_options and mg_upstream_server_options.
extern const mg_config_table mg_upstream_table;
extern const mg_config_table mg_upstream_server_table;

// All defaults; no name, no servers. Texts lie in `a`.
void mg_upstream_default(mg_upstream_options *out, mg_arena *a);

// Reads `servers` as JSON, as a script gives them (moongate.upstream():set_servers); they lie in
// `a`. MG_ECONFIG and the first fault: "servers[2].weight: what is wrong, what is allowed".
int mg_upstream_servers_read(mg_upstream_servers *out, mg_arena *a, const char *root, mg_str json,
                             mg_error *err);
