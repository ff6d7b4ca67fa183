// Databases: a statement that is answered is what is wanted. Of SQLite no file is made: one that is
// not there yet needs a folder where it can be.

#include "gate/reach.h"
#include "store/postgres.h"
#include "store/postgres_settings.h"
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct database_probe {
    mg_probe probe;
    mg_database *database;
} database_probe;

static void on_answer(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    database_probe *p = arg;
    (void)rows;
    mg_probe_end(&p->probe, fault != NULL ? fault->message : NULL);
}

static void free_database(mg_probe *probe) {
    mg_database_free(MG_OF(probe, database_probe, probe)->database);
}

static void ask(database_probe *p, const char *sql) {
    const mg_db_statement s = {.sql = mg_str_of(sql)};
    mg_db_call *call;
    int rc = mg_database_query(&call, p->database, &s, on_answer, p);
    if (rc != MG_OK) {
        mg_probe_end(&p->probe, mg_strerror(rc));
    }
}

static void try_postgres(mg_reach *r, database_probe *p, const char *what, const char *url) {
    mg_pg_settings settings = {0};
    mg_error err;
    bool known = mg_pg_settings_read(&settings, mg_str_of(url), &err) == MG_OK;
    mg_probe_begin(r, &p->probe, what, known ? settings.name : NULL, free_database);
    mg_pg_settings_deinit(&settings);
    const mg_postgres_options options = {
        .url = url, .nameservers = r->config->http.nameservers, .impatient = true};
    if (!known || mg_postgres_open(&p->database, r->loop, &options, &err) != MG_OK) {
        mg_probe_end(&p->probe, err.text);
        return;
    }
    ask(p, "SELECT 1");
}

// The folder that there is, of those that the file is to lie in.
static bool can_be_made(mg_reach *r, const char *path) {
    char *folder = mg_arena_copy(&r->arena, mg_str_of(path));
    do {
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash == folder) {
            return access("/", W_OK) == 0;
        }
        *slash = '\0';
    } while (access(folder, F_OK) != 0);
    return access(folder, W_OK) == 0;
}

static void try_sqlite(mg_reach *r, database_probe *p, const char *what, const char *path) {
    char where[512];
    mg_error err;
    snprintf(where, sizeof where, "sqlite:%s", path);
    mg_probe_begin(r, &p->probe, what, where, free_database);
    if (*path == '/' && access(path, F_OK) != 0) {
        mg_probe_end(&p->probe, errno == ENOENT && can_be_made(r, path) ? NULL : strerror(errno));
        return;
    }
    if (mg_sqlite_open(&p->database, r->loop, &(mg_sqlite_options){.path = path}, &err) != MG_OK) {
        mg_probe_end(&p->probe, err.text);
        return;
    }
    ask(p, "SELECT count(*) FROM sqlite_master"); // reads the file
}

void mg_reach_databases(mg_reach *r) {
    const mg_config_databases *all = &r->config->databases;
    for (size_t i = 0; i < all->n; i++) {
        database_probe *p = mg_arena_alloc(&r->arena, sizeof *p);
        *p = (database_probe){.database = NULL};
        char what[96];
        snprintf(what, sizeof what, "database %s", all->items[i].name);
        if (all->items[i].url != NULL) {
            try_postgres(r, p, what, all->items[i].url);
        } else {
            try_sqlite(r, p, what, all->items[i].path);
        }
    }
}
