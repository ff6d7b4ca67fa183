#include "event/process.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"
#include "event/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_FD = 3, OLD_KERNEL_FDS = 1024 };

struct mg_processes {
    mg_loop *loop;
    mg_signal *on_child;
    mg_link living;
    mg_link reaped; // on_exit has yet to be called
    bool telling;   // inside on_exit: the memory must stay
    bool closed;
};

struct mg_process {
    mg_link link;
    mg_process_cb on_exit;
    void *arg;
    pid_t pid;
    int wait_status;
    bool is_reaped; // the pid may be somebody else's by now
};

// What the child's descriptors are made from.
typedef struct copies {
    posix_spawn_file_actions_t actions;
    int *fds;
    size_t n;
} copies;

static void on_sigchld(void *arg, int signum);
static void reap(mg_processes *ps);
static mg_process *find(mg_processes *ps, pid_t pid);
static void tell(mg_processes *ps);
static void forget(mg_processes *ps, mg_link *list);
static int spawn(pid_t *pid, const mg_process_options *o);
static int copy_all(copies *c, const mg_process_options *o);
static int copy_one(copies *c, int fd, int target, int lowest);
static void set_signals(posix_spawnattr_t *attr);

int mg_processes_open(mg_processes **out, mg_loop *loop) {
    mg_processes *ps = mg_calloc(1, sizeof *ps);
    ps->loop = loop;
    mg_link_init(&ps->living);
    mg_link_init(&ps->reaped);
    int rc = mg_signal_open(&ps->on_child, loop, SIGCHLD, on_sigchld, ps);
    if (rc != MG_OK) {
        mg_free(ps);
        return rc;
    }
    // Some supervisors start their programs with it blocked; no child would ever be seen to end.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    reap(ps); // those that ended before anybody listened
    *out = ps;
    return MG_OK;
}

void mg_processes_close(mg_processes *ps) {
    if (ps == NULL) {
        return;
    }
    mg_signal_close(ps->on_child);
    forget(ps, &ps->living);
    forget(ps, &ps->reaped);
    ps->closed = true;
    if (!ps->telling) {
        mg_free(ps);
    }
}

// The reaper runs in this thread, so it cannot meet the child before it is in the list.
int mg_process_start(mg_process **out, mg_processes *ps, const mg_process_options *o,
                     mg_process_cb on_exit, void *arg) {
    pid_t pid;
    int rc = spawn(&pid, o);
    if (rc != MG_OK) {
        return rc;
    }
    mg_process *p = mg_malloc(sizeof *p);
    *p = (mg_process){.on_exit = on_exit, .arg = arg, .pid = pid};
    mg_link_append(&ps->living, &p->link);
    mg_loop_hold(ps->loop);
    *out = p;
    return MG_OK;
}

void mg_process_seal(void) {
    if (close_range(FIRST_FD, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0) {
        return;
    }
    for (int fd = FIRST_FD; fd < OLD_KERNEL_FDS; fd++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC); // fails where none is open
    }
}

void mg_process_close_input(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        dup2(fd, STDIN_FILENO);
        close(fd);
    }
}

int mg_process_pid(const mg_process *p) {
    return p->pid;
}

void mg_process_disown(mg_process *p) {
    p->on_exit = NULL;
}

int mg_process_kill(mg_process *p, int signum) {
    if (p->is_reaped) {
        return -ESRCH;
    }
    return kill(p->pid, signum) == 0 ? MG_OK : -errno;
}

void mg_process_describe(int wait_status, char *out, size_t n) {
    if (WIFSIGNALED(wait_status)) {
        int signum = WTERMSIG(wait_status);
        snprintf(out, n, "was killed by signal %d (%s)", signum, strsignal(signum));
    } else {
        snprintf(out, n, "exited with status %d", WEXITSTATUS(wait_status));
    }
}

static void on_sigchld(void *arg, int signum) {
    (void)signum;
    reap(arg);
    tell(arg);
}

// One signal may stand for many children.
static void reap(mg_processes *ps) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid <= 0) {
            return;
        }
        mg_process *p = find(ps, pid);
        if (p != NULL) {
            p->wait_status = status;
            p->is_reaped = true;
            mg_link_remove(&p->link);
            mg_link_append(&ps->reaped, &p->link);
        }
    }
}

static mg_process *find(mg_processes *ps, pid_t pid) {
    for (mg_link *l = ps->living.next; l != &ps->living; l = l->next) {
        mg_process *p = MG_OF(l, mg_process, link);
        if (p->pid == pid) {
            return p;
        }
    }
    return NULL;
}

static void tell(mg_processes *ps) {
    ps->telling = true;
    for (mg_link *l; (l = mg_link_shift(&ps->reaped)) != NULL;) {
        mg_process *p = MG_OF(l, mg_process, link);
        mg_loop_release(ps->loop);
        if (p->on_exit != NULL) {
            p->on_exit(p->arg, p, p->wait_status);
        }
        mg_free(p);
    }
    ps->telling = false;
    if (ps->closed) {
        mg_free(ps);
    }
}

static void forget(mg_processes *ps, mg_link *list) {
    for (mg_link *l; (l = mg_link_shift(list)) != NULL;) {
        mg_loop_release(ps->loop);
        mg_free(MG_OF(l, mg_process, link));
    }
}

static int spawn(pid_t *pid, const mg_process_options *o) {
    copies c = {.fds = mg_calloc(FIRST_FD + o->fd_count, sizeof(int))};
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&c.actions);
    posix_spawnattr_init(&attr);
    set_signals(&attr);
    int rc = copy_all(&c, o);
    if (rc == MG_OK) {
        char *const *env = o->env == NULL ? environ : o->env;
        rc = -posix_spawn(pid, o->file, &c.actions, &attr, o->argv, env);
    }
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&c.actions);
    while (c.n > 0) {
        close(c.fds[--c.n]);
    }
    mg_free(c.fds);
    return rc;
}

// Sources may have the numbers of other targets: so all are copied above the last target first.
static int copy_all(copies *c, const mg_process_options *o) {
    const int standard[FIRST_FD] = {o->in, o->out, o->err};
    int above = FIRST_FD + (int)o->fd_count;
    int rc = MG_OK;
    for (int target = 0; target < above && rc == MG_OK; target++) {
        bool is_standard = target < FIRST_FD;
        int fd = is_standard ? standard[target] : o->fds[target - FIRST_FD];
        if (!is_standard || fd >= 0) {
            rc = copy_one(c, fd, target, above);
        }
    }
    return rc;
}

// The copy itself is close-on-exec; what the child duplicates from it is not.
static int copy_one(copies *c, int fd, int target, int lowest) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
    if (copy < 0) {
        return -errno;
    }
    c->fds[c->n++] = copy;
    return -posix_spawn_file_actions_adddup2(&c->actions, copy, target);
}

// Ignored signals outlive exec, and this process ignores SIGPIPE.
static void set_signals(posix_spawnattr_t *attr) {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &all);
    posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}
