#include "gate/logs.h"

#include "gate/privileges.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    CLOSE_MS = 2000,
    ACCESS_GATHER_MS = 20, // each write costs as much as three requests
};

// At a terminal of moongate dev the scripts tell of requests, and better.
static bool is_told_otherwise(const mg_config_log *c) {
    return c->people && ((strcmp(c->access, "stdout") == 0 && isatty(STDOUT_FILENO)) ||
                         (strcmp(c->access, "stderr") == 0 && isatty(STDERR_FILENO)));
}

static int open_access(mg_logs *l, const mg_config_log *c, mg_error *err) {
    if (c->access == NULL || is_told_otherwise(c)) {
        return MG_OK;
    }
    mg_log_options options = {
        .target = c->access, .gather_ms = ACCESS_GATHER_MS, .report = l->error};
    int rc = mg_log_open(&l->access, &options, err);
    if (rc == MG_OK) {
        mg_access_log_init(&l->access_writer, l->access, c->access_format == MG_CONFIG_JSON);
        mg_access_log_choose(&l->access_writer, &c->fields);
    }
    return rc;
}

int mg_logs_open(mg_logs *l, const mg_config_log *c, mg_error *err) {
    *l = (mg_logs){0};
    mg_log_options options = {
        .target = c->file,
        .level = c->level,
        .json = c->error_format == MG_CONFIG_JSON,
        .people = c->people,
    };
    int rc = mg_log_open(&l->error, &options, err);
    if (rc == MG_OK) {
        rc = open_access(l, c, err);
    }
    if (rc != MG_OK) {
        mg_logs_close(l);
    }
    return rc;
}

void mg_logs_reopen(mg_logs *l) {
    if (l->error != NULL) {
        mg_log_reopen(l->error);
    }
    if (l->access != NULL) {
        mg_log_reopen(l->access);
    }
}

void mg_logs_close(mg_logs *l) {
    if (l->access != NULL) {
        mg_access_log_deinit(&l->access_writer);
    }
    mg_log_close(l->access, CLOSE_MS);
    mg_log_close(l->error, CLOSE_MS);
    *l = (mg_logs){0};
}

static bool same_target(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_texts(const mg_texts *a, const mg_texts *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        same = strcmp(a->items[i], b->items[i]) == 0;
    }
    return same;
}

bool mg_logs_same(const mg_config_log *a, const mg_config_log *b) {
    return a->level == b->level && a->access_format == b->access_format &&
           a->error_format == b->error_format && same_target(a->file, b->file) &&
           same_target(a->access, b->access) && same_texts(&a->fields, &b->fields);
}

void mg_logs_access(mg_logs *l, const mg_access_record *r) {
    if (l->access != NULL) {
        mg_access_log_write(&l->access_writer, r);
    }
}

static void make_file(const char *path, unsigned uid, unsigned gid) {
    if (path == NULL || path[0] != '/') {
        return;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd >= 0) {
        if (fchown(fd, uid, gid) != 0) {
            // The one who opens it will be told.
        }
        close(fd);
    }
}

void mg_logs_make_files(const mg_config_log *c, const char *user) {
    mg_ids ids;
    mg_error err;
    if (user != NULL && geteuid() == 0 && mg_privileges_find(user, &ids, &err) == MG_OK) {
        make_file(c->file, ids.uid, ids.gid);
        make_file(c->access, ids.uid, ids.gid);
    }
}
