// gate/logs.h: the error log and the access log that a configuration names.
#pragma once

#include "config/config.h"
#include "gate/access_log.h"
#include "server/server.h"

// Owns its logs. Zeroed: there are none, and what is written is dropped.
typedef struct mg_logs {
    mg_log *error;
    mg_log *access; // NULL: none is kept
    mg_access_log access_writer;
} mg_logs;

// Leaves `l` zeroed if a file cannot be opened.
int mg_logs_open(mg_logs *l, const mg_config_log *c, mg_error *err);
void mg_logs_reopen(mg_logs *l);

// Waits for a hanging destination, for some seconds at most.
void mg_logs_close(mg_logs *l);

// Both lead to the same destinations in the same form.
bool mg_logs_same(const mg_config_log *a, const mg_config_log *b);

void mg_logs_access(mg_logs *l, const mg_access_record *r);

// Root makes the files for `user` (NULL: nobody else), who may not be allowed to. Faults are told
// when the logs are opened.
void mg_logs_make_files(const mg_config_log *c, const char *user);
