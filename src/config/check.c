#include "config/check.h"

#include "client/rules.h"
#include "config/options.h"
#include "http/forwarded.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = 80 }; // of a key with the name of an upstream in it

static int check_trust(const mg_config *c, mg_error *err) {
    mg_trust *trust = NULL;
    int rc = mg_config_trust(c, &trust, err);
    mg_trust_free(trust);
    return rc;
}

// One that is not there would be told at the first call over TLS only. Whoever evaluates the
// configuration may see less than those who serve: only what is certain counts.
static int check_file(const mg_config *c, const char *key, const char *path, mg_error *err) {
    if (path == NULL || access(path, F_OK) == 0 || errno != ENOENT) {
        return MG_OK;
    }
    return mg_error_set(err, MG_ECONFIG, "%s: %s: %s: %s", c->file, key, path, strerror(errno));
}

static int check_upstream(const mg_config *c, const mg_upstream_options *o, mg_error *err) {
    const struct {
        const char *name, *path;
    } files[] = {{"ca", o->tls.ca}, {"cert", o->tls.cert}, {"key", o->tls.key}};
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < sizeof files / sizeof *files; i++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof key, "upstreams.%s.tls.%s", o->name, files[i].name);
        rc = check_file(c, key, files[i].path, err);
    }
    return rc;
}

static int check_files(const mg_config *c, mg_error *err) {
    int rc = check_file(c, "http.ca", c->http.ca.path, err);
    for (size_t i = 0; rc == MG_OK && i < c->upstreams.n; i++) {
        rc = check_upstream(c, &c->upstreams.items[i], err);
    }
    return rc;
}

static int check_rules(const mg_config *c, mg_error *err) {
    mg_buf text = {0};
    mg_rules *rules;
    mg_error fault;
    mg_config_append_rules(c, &text);
    int rc = mg_rules_new(&rules, mg_buf_str(&text), &fault);
    mg_rules_free(rules);
    mg_buf_deinit(&text);
    return rc == MG_OK ? rc
                       : mg_error_set(err, MG_ECONFIG, "%s: http.deny, http.allow: %s", c->file,
                                      fault.text);
}

int mg_config_check(const mg_config *c, mg_error *err) {
    int rc = check_trust(c, err);
    rc = rc == MG_OK ? check_rules(c, err) : rc;
    return rc == MG_OK ? check_files(c, err) : rc;
}

// Any endpoint answers, also one of TLS to which a request was redirected; but a directory begins
// without.
static bool lacks_plain_endpoint(const mg_config *c) {
    bool wanted = false;
    for (size_t i = 0; i < c->listen.n; i++) {
        const mg_endpoint *e = &c->listen.items[i];
        if (!e->secure) {
            return false;
        }
        wanted |= e->settings != NULL && e->settings->acme.on &&
                  e->settings->acme.challenge == MG_ACME_HTTP;
    }
    return wanted;
}

const char *mg_config_doubt(const mg_config *c, uint32_t workers) {
    if (lacks_plain_endpoint(c)) {
        return "listen: acme with challenge \"http-01\" is looked at over plain HTTP, at port 80 "
               "of the name, and no endpoint is without tls: add one, or set challenge = "
               "\"tls-alpn-01\"";
    }
    for (size_t i = 0; i < c->upstreams.n; i++) {
        const mg_upstream_options *o = &c->upstreams.items[i];
        if (o->hash_by != MG_HASH_NONE && o->balance != MG_BALANCE_HASH) {
            return "upstreams: hash is unused beside another balance: its keys stay with no "
                   "server unless balance = \"hash\"";
        }
    }
    for (size_t i = 0; workers > 1 && i < c->databases.n; i++) {
        const char *path = c->databases.items[i].path;
        if (path != NULL && strcmp(path, ":memory:") == 0) {
            return "database: each worker has a \"sqlite::memory:\" of its own, with other rows, "
                   "which ends with it: a file is shared, or set workers = 1";
        }
    }
    return NULL;
}
