#include "gate/collect.h"

#include "base/io.h"
#include "base/snapshot.h"
#include "config/check.h"
#include "gate/awaits.h"
#include "gate/generation.h"
#include "gate/keys_process.h"
#include "gate/privileges.h"
#include "gate/scripts.h"
#include "lua/read_config.h"
#include "lua/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_SECONDS = 10, JSON_BYTES = 64 << 20 };

typedef struct collecting {
    mg_snapshot_writer writer;
    mg_scripts scripts;
    mg_buf doubts; // lines
    mg_error err;
} collecting;

// Also the framework: an upgrade on the disk must not mix with what runs.
static int add_framework(collecting *c) {
    char path[PATH_MAX];
    char own[PATH_MAX + 16];
    int rc = mg_lua_framework(path, &c->err);
    if (rc == MG_OK) {
        mg_scripts all;
        mg_snapshot_add(&c->writer, MG_STR(MG_SNAPSHOT_FRAMEWORK), mg_str_of(path));
        snprintf(own, sizeof own, "%s/moongate", path);
        mg_scripts_init(&all, &c->writer);
        rc = mg_scripts_add(&all, own);
        if (rc != MG_OK) {
            mg_error_set(&c->err, rc, "%s: %s", own, mg_strerror(rc));
        }
        mg_scripts_deinit(&all);
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

// All workers trust the same certificates, until a reload, whatever happens on the disk meanwhile.
// A folder stays where it is.
static int add_ca(collecting *c, const mg_config *config) {
    struct stat st;
    mg_error err;
    if (config->http.ca.path == NULL || stat(config->http.ca.path, &st) != 0 ||
        !S_ISREG(st.st_mode) || mg_scripts_have(&c->scripts, config->http.ca.path) ||
        mg_scripts_add_file(&c->scripts, config->http.ca.path, &err) == MG_OK) {
        return MG_OK;
    }
    return mg_error_set(&c->err, MG_ECONFIG, "%s: http.ca: %s", config->file, err.text);
}

// --- the configuration is evaluated in a process of its own ---

__attribute__((noreturn)) static void evaluate_here(const char *conf, mg_str text, int out) {
    mg_buf json = {0};
    mg_error err;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(MG_COLLECT_OUT);
    close(MG_KEYS_OUT);
    close(MG_KEYS_BEFORE);
    give_up_root();
    int rc = mg_evaluate_config(conf, text, &json, &err);
    int told = mg_io_write(out, rc == MG_OK ? mg_buf_str(&json) : mg_str_of(err.text));
    _exit(rc == MG_OK && told == MG_OK ? 0 : 1);
}

static void read_to_end(int fd, mg_buf *out) {
    ssize_t n = 1;
    while (out->n < JSON_BYTES && (n > 0 || (n < 0 && errno == EINTR))) {
        n = read(fd, mg_buf_reserve(out, 64 << 10), 64 << 10);
        out->n += n > 0 ? (size_t)n : 0;
    }
}

// Its JSON, or the fault.
static int evaluate(const char *conf, mg_str text, mg_buf *json, mg_error *err) {
    int ends[2];
    pid_t pid = -1;
    int status = 0;
    if (pipe(ends) != 0 || (pid = fork()) < 0) {
        return mg_error_set(err, -errno, "%s: cannot be evaluated: %s", conf, strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        evaluate_here(conf, text, ends[1]);
    }
    close(ends[1]);
    read_to_end(ends[0], json);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        return mg_error_set(err, MG_ECONFIG, "%s: its evaluation was ended by signal %d%s", conf,
                            WTERMSIG(status), WTERMSIG(status) == SIGXCPU ? ": it is endless" : "");
    }
    return status == 0 ? MG_OK : mg_error_set(err, MG_ECONFIG, "%.*s", (int)json->n, json->p);
}

static int check(collecting *c, const mg_cli *cli, mg_str json, mg_config *config) {
    mg_buf faults = {0};
    int rc = mg_config_init(config, cli->conf, json, &faults);
    if (rc == MG_OK) {
        rc = mg_config_override(config, &cli->overrides, &faults);
    }
    if (rc != MG_OK) {
        mg_error_set(&c->err, rc, "%.*s", faults.n > 0 ? (int)faults.n - 1 : 0, faults.p);
    } else {
        rc = mg_config_check(config, &c->err);
    }
    mg_buf_deinit(&faults);
    return rc;
}

static int collect(collecting *c, const mg_cli *cli) {
    mg_buf text = {0};
    mg_buf json = {0};
    mg_config config = {0};
    int rc = mg_read_config_text(cli->conf, &text, &c->err);
    if (rc == MG_OK) {
        rc = evaluate(cli->conf, mg_buf_str(&text), &json, &c->err);
    }
    if (rc == MG_OK) {
        rc = check(c, cli, mg_buf_str(&json), &config);
    }
    if (rc == MG_OK) {
        rc = mg_scripts_add_project(&c->scripts, &config, &c->err);
    }
    if (rc == MG_OK && cli->overrides.dev) {
        rc = mg_awaits_check(&c->writer, config.root, &c->doubts, &c->err);
    }
    if (rc == MG_OK) {
        rc = add_framework(c);
    }
    if (rc == MG_OK) {
        rc = add_ca(c, &config);
    }
    if (rc == MG_OK) {
        rc = mg_keys_collect(&config, &c->doubts, &c->err);
    }
    mg_snapshot_add(&c->writer, MG_STR(MG_SNAPSHOT_CONFIG), mg_buf_str(&json));
    mg_snapshot_add(&c->writer, MG_STR(MG_SNAPSHOT_ROOT),
                    mg_str_of(config.root == NULL ? "" : config.root));
    mg_config_deinit(&config);
    mg_buf_deinit(&json);
    mg_buf_deinit(&text);
    return rc;
}

int mg_collect_main(const mg_cli *cli) {
    collecting c = {.writer = {0}};
    mg_scripts_init(&c.scripts, &c.writer);
    setpriority(PRIO_PROCESS, 0, 10); // those who serve come first
    int rc = collect(&c, cli);
    if (rc == MG_OK) {
        rc = mg_snapshot_write(&c.writer, MG_COLLECT_OUT);
        if (rc != MG_OK) {
            mg_error_set(&c.err, rc, "%s: %s", cli->conf, mg_strerror(rc));
        }
    }
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n", c.err.text);
    } else {
        fprintf(stderr, "%.*s", (int)c.doubts.n, c.doubts.n > 0 ? c.doubts.p : "");
    }
    if (rc == MG_OK) {
        mg_scripts_tell(&c.scripts);
    }
    mg_scripts_deinit(&c.scripts);
    mg_buf_deinit(&c.doubts);
    mg_snapshot_writer_deinit(&c.writer);
    return rc == MG_OK ? 0 : 1;
}
