#include "gate/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int mg_privileges_find(const char *user, mg_ids *out, mg_error *err) {
    size_t n = strcspn(user, ":");
    if (n == 0 || n >= sizeof out->name) {
        return mg_error_set(err, MG_ECONFIG, "user: \"%s\" is no user's name", user);
    }
    snprintf(out->name, sizeof out->name, "%.*s", (int)n, user);
    const struct passwd *p = getpwnam(out->name);
    if (p == NULL) {
        return mg_error_set(err, MG_ECONFIG, "user: this system knows no user \"%s\"", out->name);
    }
    out->uid = p->pw_uid;
    out->gid = p->pw_gid;
    out->has_group = user[n] == ':';
    if (out->has_group) {
        const struct group *g = getgrnam(user + n + 1);
        if (g == NULL) {
            return mg_error_set(err, MG_ECONFIG, "user: this system knows no group \"%s\"",
                                user + n + 1);
        }
        out->gid = g->gr_gid;
    }
    return MG_OK;
}

static bool is_already(const mg_ids *ids) {
    return geteuid() == ids->uid && (!ids->has_group || getegid() == ids->gid);
}

int mg_privileges_drop(const mg_ids *ids, mg_error *err) {
    if (geteuid() != 0) {
        return is_already(ids)
                   ? MG_OK
                   : mg_error_set(err, MG_ECONFIG,
                                  "user: only root can become \"%s\"%s; start as root or as that "
                                  "user",
                                  ids->name, ids->has_group ? " with that group" : "");
    }
    if (initgroups(ids->name, ids->gid) != 0 || setgid(ids->gid) != 0 || setuid(ids->uid) != 0) {
        return mg_error_set(err, MG_ECONFIG, "user: cannot become \"%s\": %s", ids->name,
                            strerror(errno));
    }
    if (ids->uid != 0 && setuid(0) == 0) {
        return mg_error_set(err, MG_ECONFIG, "user: \"%s\" could become root again", ids->name);
    }
    return MG_OK;
}

int mg_privileges_become(const char *user, mg_error *err) {
    mg_ids ids;
    if (user == NULL) {
        return MG_OK;
    }
    int rc = mg_privileges_find(user, &ids, err);
    return rc == MG_OK ? mg_privileges_drop(&ids, err) : rc;
}
