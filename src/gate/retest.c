#include "gate/retest.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/process.h"
#include "event/timer.h"
#include "gate/dev.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 3600 * 1000 };

static const char asks[] = "--watch";

typedef struct retest {
    mg_loop *loop;
    mg_processes *children;
    mg_process *run; // NULL: none is under way
    mg_dev *dev;
    char **argv;
    bool again;     // something was saved meanwhile
    mg_timer waits; // keeps the loop running: an open watch does not
} retest;

bool mg_retest_wanted(int count, char *const *args) {
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], asks) == 0) {
            return true;
        }
    }
    return false;
}

static char **argv_without(int count, char *const *args) {
    char **argv = mg_calloc((size_t)count + 3, sizeof *argv);
    int n = 0;
    argv[n++] = mg_strdup("moongate");
    argv[n++] = mg_strdup("test");
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], asks) != 0) {
            argv[n++] = args[i];
        }
    }
    return argv;
}

static void start(retest *r);

static void on_wait(mg_timer *t) {
    (void)t;
}

static void on_exit_of_run(void *arg, mg_process *p, int wait_status) {
    retest *r = arg;
    (void)p;
    (void)wait_status; // busted has told
    r->run = NULL;
    if (r->again) {
        start(r);
    } else {
        fputs("Waiting for a script to be saved.\n", stderr);
    }
}

static void start(retest *r) {
    const mg_process_options o = {
        .file = "/proc/self/exe", .argv = r->argv, .in = -1, .out = -1, .err = -1};
    r->again = false;
    int rc = mg_process_start(&r->run, r->children, &o, on_exit_of_run, r);
    if (rc != MG_OK) {
        fprintf(stderr, "moongate test: the specs cannot be run: %s\n", mg_strerror(rc));
    }
}

static void on_saved(void *arg) {
    retest *r = arg;
    r->again = true;
    if (r->run == NULL) {
        start(r);
    }
}

int mg_retest_main(int count, char *const *args) {
    retest r = {.argv = argv_without(count, args)};
    int rc = mg_loop_new(&r.loop, NULL);
    if (rc == MG_OK) {
        rc = mg_processes_open(&r.children, r.loop);
    }
    if (rc == MG_OK) {
        rc = mg_dev_open(&r.dev, r.loop, ".", NULL, on_saved, &r);
    }
    if (rc != MG_OK) {
        fprintf(stderr, "moongate test: --watch: %s\n", mg_strerror(rc));
        return 1;
    }
    start(&r);
    mg_timer_start(r.loop, &r.waits, WAIT_MS, WAIT_MS, on_wait);
    mg_loop_run(r.loop);
    return 0;
}
