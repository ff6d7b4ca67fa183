#include "gate/migrate.h"

#include "base/suggest.h"
#include "config/path.h"
#include "gate/privileges.h"
#include "store/migration_files.h"
#include "store/postgres_migrate.h"
#include "store/sqlite_migrate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_FOLDER "lua/migrations"

typedef struct migrating {
    const mg_cli *cli;
    const mg_config *config;
    mg_arena arena;
    const mg_config_database *database;
    mg_migrations files;
    mg_error err;
} migrating;

// What there is instead of the one that is wanted.
static int refuse_name(migrating *m, const char *wanted) {
    const mg_config_databases *d = &m->config->databases;
    mg_buf text = {0};
    mg_suggest s;
    mg_suggest_init(&s, mg_str_of(wanted));
    for (size_t i = 0; i < d->n; i++) {
        mg_buf_printf(&text, "%s%s", i > 0 ? ", " : "", d->items[i].name);
        mg_suggest_offer(&s, mg_str_of(d->items[i].name));
    }
    if (d->n == 0) {
        mg_buf_printf(&text, "none; as in database = \"sqlite:build/var/app.db\"");
    }
    mg_suggest_append(&s, &text);
    int rc = mg_error_set(&m->err, MG_ECONFIG, "%s: database: there is no %s, configured: %.*s",
                          m->cli->conf, wanted, (int)text.n, text.p);
    mg_buf_deinit(&text);
    return rc;
}

static const mg_config_database *database_of(const mg_config *config, const char *name) {
    const mg_config_databases *d = &config->databases;
    for (size_t i = 0; i < d->n; i++) {
        if (strcmp(d->items[i].name, name) == 0) {
            return &d->items[i];
        }
    }
    return NULL;
}

static bool is_in_memory(const mg_config_database *d) {
    return d->path != NULL && strcmp(d->path, ":memory:") == 0;
}

static int find_database(migrating *m) {
    const char *wanted = m->cli->database != NULL ? m->cli->database : "default";
    m->database = database_of(m->config, wanted);
    if (m->database == NULL) {
        return refuse_name(m, wanted);
    }
    if (is_in_memory(m->database)) {
        return mg_error_set(&m->err, MG_ECONFIG, "%s: database: %s is in memory: nothing stays",
                            m->cli->conf, wanted);
    }
    return MG_OK;
}

static int read_folder(migrating *m) {
    const char *folder = m->cli->folder;
    if (folder == NULL) {
        folder = mg_config_absolute(&m->arena, m->config->root, MG_STR(DEFAULT_FOLDER));
    }
    const char *kind = m->database->path != NULL ? MG_MIGRATION_SQLITE : MG_MIGRATION_POSTGRES;
    return mg_migration_files_read(&m->files, &m->arena, folder, kind, &m->err);
}

// What is made must belong to whom the workers run as.
static int become_user(migrating *m) {
    mg_ids ids;
    if (m->config->user == NULL) {
        return MG_OK;
    }
    int rc = mg_privileges_find(m->config->user, &ids, &m->err);
    return rc == MG_OK ? mg_privileges_drop(&ids, &m->err) : rc;
}

// --- what is said ---

static size_t count(const migrating *m, mg_migration_state state) {
    size_t n = 0;
    for (size_t i = 0; i < m->files.n; i++) {
        n += m->files.items[i].state == state;
    }
    return n;
}

static void print_done(const migrating *m) {
    for (size_t i = 0; i < m->files.n; i++) {
        if (m->files.items[i].state == MG_MIGRATION_DONE) {
            printf("%s: applied\n", m->files.items[i].name);
        }
    }
}

static int apply(migrating *m) {
    const char *path = m->database->path;
    int rc;
    if (path == NULL) {
        rc = mg_postgres_migrate(m->database->url, &m->files, &m->err);
    } else {
        (void)mg_make_folders_above(path); // if that fails, opening the file says so
        rc = mg_sqlite_migrate(path, &m->files, &m->err);
    }
    const char *name = path != NULL ? path : m->database->name;
    print_done(m); // also in front of a fault
    size_t done = count(m, MG_MIGRATION_DONE);
    if (rc == MG_OK && done == 0) {
        printf("%s is up to date\n", name);
    } else if (rc == MG_OK) {
        printf("%s is up to date: %zu applied\n", name, done);
    }
    return rc;
}

static void print_state(const mg_migration *f) {
    if (f->state == MG_MIGRATION_PENDING) {
        printf("pending              %s\n", f->name);
    } else {
        printf("%-19s  %s%s\n", f->applied_at, f->name,
               f->state == MG_MIGRATION_CHANGED ? " (changed since)" : "");
    }
}

static int show_status(migrating *m) {
    mg_buf orphans = {0};
    const mg_config_database *d = m->database;
    int rc = d->path != NULL ? mg_sqlite_migrations_read(d->path, &m->files, &orphans, &m->err)
                             : mg_postgres_migrations_read(d->url, &m->files, &orphans, &m->err);
    for (size_t i = 0; rc == MG_OK && i < m->files.n; i++) {
        print_state(&m->files.items[i]);
    }
    for (size_t at = 0; at < orphans.n;) {
        size_t n = (size_t)((char *)memchr(orphans.p + at, '\n', orphans.n - at) - orphans.p) - at;
        printf("applied, file gone   %.*s\n", (int)n, orphans.p + at);
        at += n + 1;
    }
    mg_buf_deinit(&orphans);
    return rc;
}

bool mg_migrate_has_folder(const mg_config *config) {
    const mg_config_database *d = database_of(config, "default");
    mg_arena arena = {0};
    struct stat st;
    bool is_there =
        d != NULL && !is_in_memory(d) &&
        stat(mg_config_absolute(&arena, config->root, MG_STR(DEFAULT_FOLDER)), &st) == 0;
    mg_arena_deinit(&arena);
    return is_there;
}

int mg_migrate_main(const mg_cli *cli, const mg_config *config) {
    migrating m = {.cli = cli, .config = config};
    int rc = find_database(&m);
    if (rc == MG_OK) {
        rc = read_folder(&m);
    }
    if (rc == MG_OK) {
        rc = become_user(&m);
    }
    if (rc == MG_OK) {
        rc = cli->status ? show_status(&m) : apply(&m);
    }
    if (rc != MG_OK) {
        fflush(stdout);
        fprintf(stderr, "%s\n", m.err.text);
    }
    mg_arena_deinit(&m.arena);
    return rc == MG_OK ? 0 : 1;
}
