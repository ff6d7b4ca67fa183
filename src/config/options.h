// config/options.h: what the rooms are told of a configuration: each has options of its own.
#pragma once

#include "config/config.h"
#include "live/topics.h"
#include "server/options.h"

// The proxies that are believed, and their fields. MG_ECONFIG and the fault.
int mg_config_trust(const mg_config *c, struct mg_trust **out, mg_error *err);

// So many workers are wanted: `workers`, or the processors.
uint32_t mg_config_workers(const mg_config *c);

// http.deny and http.allow, as client/rules.h wants them.
void mg_config_append_rules(const mg_config *c, mg_buf *out);

// The upstreams, and if proxy.open says so that of servers that none of them names: nothing private
// is dialled for it but what http.allow names. All borrows `c` or lies in `a`.
mg_upstreams_options mg_config_upstreams(const mg_config *c, mg_arena *a);

// The trust list is left NULL, and no descriptors are spared.
void mg_config_server_options(const mg_config *c, mg_server_options *out);

void mg_config_topics_options(const mg_config_limits *l, mg_topics_options *out);

// How many of `descriptors`, the process's own limit, limits.descriptors allows.
uint32_t mg_config_descriptors(const mg_config *c, uint64_t descriptors);

// The server's straight from JSON text, as for a file with nothing else in it, and its limits; for
// the test kit. MG_ECONFIG and the faults in `err`.
int mg_config_server_options_of_json(const char *json, mg_server_options *out,
                                     mg_config_limits *limits, mg_error *err);
