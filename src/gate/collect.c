#include "gate/collect.h"

#include "base/snapshot.h"
#include "gate/config_path.h"
#include "gate/generation.h"
#include "gate/privileges.h"
#include "lua/read_config.h"
#include "lua/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_BYTES = 8 << 20,
    ALL_BYTES = 128 << 20,
    FILES = 20000,
    DEPTH = 32,
    CPU_SECONDS = 10,
};

typedef struct folder {
    const struct folder *above;
    dev_t dev;
    ino_t ino;
    int depth;
} folder;

typedef struct collecting {
    mg_snapshot_writer writer;
    size_t bytes;
    size_t files;
    mg_error err;
} collecting;

// --- files ---

static int fail(collecting *c, const char *path, const char *what) {
    return mg_error_set(&c->err, MG_ECONFIG, "%s: %s", path, what);
}

static int read_all(int fd, size_t bytes, mg_buf *out) {
    char *p = mg_buf_reserve(out, bytes + 1);
    while (out->n <= bytes) {
        ssize_t n = read(fd, p + out->n, bytes + 1 - out->n);
        if (n <= 0) {
            return n < 0 ? -errno : MG_OK;
        }
        out->n += (size_t)n;
    }
    return MG_OK; // it grows: what has come will do
}

static int add_file(collecting *c, const char *path) {
    mg_buf text = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int rc = fd < 0 || fstat(fd, &st) != 0 ? -errno : MG_OK;
    if (rc == MG_OK && S_ISREG(st.st_mode)) {
        if (st.st_size > FILE_BYTES || c->bytes + (size_t)st.st_size > ALL_BYTES ||
            ++c->files > FILES) {
            rc = fail(c, path, "too large: 8 MiB a script, 128 MiB and 20,000 scripts are allowed");
        } else if ((rc = read_all(fd, (size_t)st.st_size, &text)) == MG_OK) {
            c->bytes += text.n;
            mg_snapshot_add(&c->writer, mg_str_of(path), mg_buf_str(&text));
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    mg_buf_deinit(&text);
    return rc == MG_OK || rc == MG_ECONFIG ? rc : fail(c, path, mg_strerror(rc));
}

static bool is_script(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".lua") == 0;
}

static bool is_skipped(const char *name) {
    return name[0] == '.' || strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

static bool is_circle(const folder *f) {
    for (const folder *up = f->above; up != NULL; up = up->above) {
        if (up->dev == f->dev && up->ino == f->ino) {
            return true;
        }
    }
    return f->depth > DEPTH;
}

static int add_folder(collecting *c, const char *path, const folder *above);

static int add_entry(collecting *c, const char *path, const char *name, const folder *here) {
    char full[PATH_MAX];
    struct stat st;
    int n = snprintf(full, sizeof full, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name);
    if (is_skipped(name) || n <= 0 || (size_t)n >= sizeof full || stat(full, &st) != 0) {
        return MG_OK; // a link to nowhere, or gone meanwhile
    }
    if (S_ISDIR(st.st_mode)) {
        return add_folder(c, full, here);
    }
    return is_script(name) ? add_file(c, full) : MG_OK;
}

static int add_folder(collecting *c, const char *path, const folder *above) {
    DIR *d = opendir(path);
    struct stat st;
    if (d == NULL || fstat(dirfd(d), &st) != 0) {
        int rc = above == NULL ? fail(c, path, strerror(errno)) : MG_OK; // closed to us: not ours
        if (d != NULL) {
            closedir(d);
        }
        return rc;
    }
    folder here = {above, st.st_dev, st.st_ino, above == NULL ? 0 : above->depth + 1};
    int rc = MG_OK;
    for (struct dirent *e; rc == MG_OK && !is_circle(&here) && (e = readdir(d)) != NULL;) {
        rc = add_entry(c, path, e->d_name, &here);
    }
    closedir(d);
    return rc;
}

// Also the framework: an upgrade on the disk must not mix with what runs.
static int add_framework(collecting *c) {
    char path[PATH_MAX];
    char own[PATH_MAX + 16];
    int rc = mg_lua_framework(path, &c->err);
    if (rc == MG_OK) {
        mg_snapshot_add(&c->writer, MG_STR(MG_SNAPSHOT_FRAMEWORK), mg_str_of(path));
        snprintf(own, sizeof own, "%s/moongate", path);
        rc = add_folder(c, own, NULL);
    }
    return rc;
}

// --- the configuration ---

static void give_up_root(void) {
    mg_ids ids;
    mg_error err;
    struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS + 1};
    setrlimit(RLIMIT_CPU, &cpu);
    if (geteuid() == 0 && (mg_privileges_find("nobody", &ids, &err) != MG_OK ||
                           mg_privileges_drop(&ids, &err) != MG_OK)) {
        fprintf(stderr, "moongate: %s\n", err.text);
    }
}

static bool is_collected(const collecting *c, const char *path) {
    for (size_t i = 0; i < c->writer.count; i++) {
        if (mg_str_eq(mg_snapshot_writer_name(&c->writer, i), mg_str_of(path))) {
            return true;
        }
    }
    return false;
}

// An app outside of the project's folder comes along alone.
static int add_app(collecting *c, const mg_config *config) {
    if (is_collected(c, config->app)) {
        return MG_OK;
    }
    if (access(config->app, R_OK) != 0) {
        return mg_error_set(&c->err, MG_ECONFIG, "%s: app: %s cannot be read: %s", config->file,
                            config->app, strerror(errno));
    }
    return add_file(c, config->app);
}

static int evaluate(collecting *c, const mg_cli *cli, mg_str text) {
    mg_buf json = {0};
    mg_buf faults = {0};
    mg_config config = {0};
    int rc = mg_evaluate_config(cli->conf, text, &json, &c->err);
    if (rc == MG_OK) {
        rc = mg_config_init(&config, cli->conf, mg_buf_str(&json), &faults);
        if (rc == MG_OK) {
            rc = mg_config_override(&config, &cli->overrides, &faults);
        }
        if (rc != MG_OK) {
            mg_error_set(&c->err, rc, "%.*s", faults.n > 0 ? (int)faults.n - 1 : 0, faults.p);
        } else if ((rc = mg_config_check(&config, &c->err)) == MG_OK) {
            rc = add_app(c, &config);
        }
    }
    mg_snapshot_add(&c->writer, MG_STR(MG_SNAPSHOT_CONFIG), mg_buf_str(&json));
    mg_config_deinit(&config);
    mg_buf_deinit(&faults);
    mg_buf_deinit(&json);
    return rc;
}

static int collect(collecting *c, const mg_cli *cli) {
    mg_buf text = {0};
    mg_arena arena = {0};
    int rc = mg_read_config_text(cli->conf, &text, &c->err);
    if (rc == MG_OK) {
        rc = add_folder(c, mg_config_root(&arena, cli->conf), NULL);
    }
    if (rc == MG_OK) {
        rc = add_framework(c);
    }
    if (rc == MG_OK &&
        cli->overrides.app != NULL) { // wherever it lies: root may read it, nobody not
        const char *app =
            mg_config_absolute(&arena, mg_config_here(&arena), mg_str_of(cli->overrides.app));
        rc = is_collected(c, app) || access(app, R_OK) != 0 ? MG_OK : add_file(c, app);
    }
    if (rc == MG_OK) {
        give_up_root();
        rc = evaluate(c, cli, mg_buf_str(&text));
    }
    mg_arena_deinit(&arena);
    mg_buf_deinit(&text);
    return rc;
}

int mg_collect_main(const mg_cli *cli) {
    collecting c = {.bytes = 0};
    setpriority(PRIO_PROCESS, 0, 10); // those who serve come first
    int rc = collect(&c, cli);
    if (rc == MG_OK) {
        rc = mg_snapshot_write(&c.writer, MG_COLLECT_OUT);
        if (rc != MG_OK) {
            fail(&c, cli->conf, mg_strerror(rc));
        }
    }
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n", c.err.text);
    }
    mg_snapshot_writer_deinit(&c.writer);
    return rc == MG_OK ? 0 : 1;
}
