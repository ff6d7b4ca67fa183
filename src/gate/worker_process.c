// A worker as a process of its own.

#include "gate/worker_inside.h"

#include "event/signal.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

typedef struct process {
    mg_loop *loop;
    mg_worker *worker;
    mg_signal *term;
} process;

static void on_process_end(void *arg) {
    mg_loop_stop(((process *)arg)->loop);
}

static void on_term(void *arg, int signum) {
    (void)signum;
    mg_worker_stop(((process *)arg)->worker, MG_WORKER_IDLE_GRACE_MS);
}

int mg_worker_main(const mg_worker_options *o) {
    process p = {0};
    mg_signal_ignore_shared();
    prctl(PR_SET_NAME, "moongate-worker");
    if (mg_loop_new(&p.loop, &(mg_loop_options){0}) != MG_OK ||
        mg_worker_open(&p.worker, p.loop, MG_WORKER_CHANNEL, o, on_process_end, &p) != MG_OK) {
        fprintf(stderr, "moongate: a worker is started by its master: see moongate run --help\n");
        return 2;
    }
    mg_signal_open(&p.term, p.loop, SIGTERM, on_term, &p);
    mg_loop_run(p.loop);
    mg_signal_close(p.term);
    mg_worker_free(p.worker);
    mg_loop_free(p.loop);
    return 0;
}
