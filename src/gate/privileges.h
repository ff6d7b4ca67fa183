// gate/privileges.h: who a process runs as.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct mg_ids {
    uid_t uid;
    gid_t gid;
    bool has_group; // it was named
    char name[64];
} mg_ids;

// Looks up "name" or "name:group". MG_ECONFIG and a text if there is none.
int mg_privileges_find(const char *user, mg_ids *out, mg_error *err);

// Becomes that user for good. MG_ECONFIG and a text if this process may not, unless it is that user
// (and has that group, if one was named) already.
int mg_privileges_drop(const mg_ids *ids, mg_error *err);

// Both, for a user as the configuration names it; NULL: this process stays who it is.
int mg_privileges_become(const char *user, mg_error *err);
