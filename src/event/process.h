// event/process.h: child processes, started with exec and reaped on the loop.
//
// One mg_processes for a process that has children. It reaps every child, also orphans of strangers
// that fell to it as PID 1: nobody else in the process may wait for children (no system(), no
// popen()). All functions belong to the loop's thread. An open mg_processes does not keep the loop
// running; a living child does.
#pragma once

#include "event/loop.h"

typedef struct mg_processes mg_processes;
typedef struct mg_process mg_process;

typedef void (*mg_process_cb)(void *arg, mg_process *p, int wait_status);

// Everything is borrowed until mg_process_start returns.
typedef struct mg_process_options {
    const char *file; // path of the program, not looked for in PATH
    char *const *argv;
    char *const *env; // NULL: this process's own
    const int *fds;   // become descriptors 3, 4, ... of the child
    size_t fd_count;  // every other descriptor of this process must be close-on-exec
    int in, out, err; // become its 0, 1, 2; -1: shared with this process
} mg_process_options;

int mg_processes_open(mg_processes **out, mg_loop *loop);

// Forgets the children that live: they are not killed and no on_exit comes any more. Allowed inside
// on_exit. Accepts NULL.
void mg_processes_close(mg_processes *ps);

// The child has no signal blocked and all at their defaults. `on_exit` comes once, on the loop,
// after the child has been reaped; when it returns, `p` is freed. Returns MG_OK or a negative
// errno, also when the program cannot be executed; then no on_exit comes.
int mg_process_start(mg_process **out, mg_processes *ps, const mg_process_options *o,
                     mg_process_cb on_exit, void *arg);

// For the beginning of a program: what it was given stays with it, and its children get only what
// they are handed.
void mg_process_seal(void);

// Reads of descriptor 0 find the end.
void mg_process_close_input(void);

int mg_process_pid(const mg_process *p);

// Never hits another process: -ESRCH once the child has been reaped. `p` is valid until on_exit has
// returned.
int mg_process_kill(mg_process *p, int signum);

// Nobody waits for it any more: it is reaped, but no on_exit comes, and `p` is not to be used.
void mg_process_disown(mg_process *p);

// "exited with status 3", "was killed by signal 9 (Killed)": cut to fit.
void mg_process_describe(int wait_status, char *out, size_t n);
