#include "base/log.h"

#include "base/clock.h"
#include "base/log_cut.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    RING_BYTES = 1 << 20,
    GATHER_MS = 5,
    BLOCKED_MS = 1000,
};

// WRITING -> NAPPING (after each write: what comes meanwhile goes out together and wakes nobody) ->
// SLEEPING (nothing came: the next line wakes it) -> WRITING. The writer makes all moves but that
// out of a sleep, which the waking caller makes.
typedef enum writer_state { WRITING, NAPPING, SLEEPING } writer_state;

struct mg_log {
    pthread_mutex_t lock;   // guards what follows
    pthread_cond_t work;    // to the writer
    pthread_cond_t written; // to flush
    char *ring;
    size_t cap;
    size_t start; // the oldest byte
    size_t used;
    uint64_t bytes_in; // both only grow
    uint64_t bytes_out;
    uint64_t lost; // lines
    int waiting;   // flushes under way
    writer_state state;
    bool want_reopen;
    bool closing;
    bool done;

    pthread_t thread;
    int fd;     // the writer's, once it runs
    char *path; // NULL: stdout or stderr
    char *name; // as configured
    mg_log_level level;
    uint32_t gather_ms;
    bool json;
    bool people;
    bool colour;
    mg_log *report; // NULL: itself
};

static void *writer_main(void *arg);

// --- open and close
// --------------------------------------------------------------------------------------------------

static int open_path(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    return fd < 0 ? -errno : fd;
}

static int open_target(mg_log *log, const char *target, mg_error *err) {
    if (strcmp(target, "stderr") == 0 || strcmp(target, "stdout") == 0) {
        log->fd = target[3] == 'e' ? STDERR_FILENO : STDOUT_FILENO;
        return MG_OK;
    }
    log->path = mg_strdup(target);
    log->fd = open_path(target);
    if (log->fd < 0) {
        return mg_error_set(err, log->fd, "%s: cannot be opened for writing: %s", target,
                            mg_strerror(log->fd));
    }
    return MG_OK;
}

// https://no-color.org
static bool may_colour(void) {
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no == NULL || *no == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

// The clock of timed waits must not jump with the wall clock.
static void init_cond(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

// Signals belong to the loop's thread; and a closed pipe must be an error here, not a death.
static int start_thread(mg_log *log) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&log->thread, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static void release(mg_log *log) {
    if (log->path != NULL && log->fd >= 0) {
        close(log->fd);
    }
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->written);
    mg_free(log->ring);
    mg_free(log->path);
    mg_free(log->name);
    mg_free(log);
}

int mg_log_open(mg_log **out, const mg_log_options *options, mg_error *err) {
    mg_log *log = mg_calloc(1, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    init_cond(&log->work);
    init_cond(&log->written);
    log->level = options->level;
    log->json = options->json;
    log->gather_ms = options->gather_ms == 0 ? GATHER_MS : options->gather_ms;
    log->report = options->report;
    log->cap = options->ring_bytes == 0 ? RING_BYTES : options->ring_bytes;
    log->ring = mg_malloc(log->cap);
    log->name = mg_strdup(options->target);
    int rc = open_target(log, options->target, err);
    log->people = rc == MG_OK && options->people && isatty(log->fd);
    log->colour = log->people && may_colour();
    if (rc == MG_OK) {
        rc = start_thread(log);
        if (rc != MG_OK) {
            mg_error_set(err, rc, "%s: no thread to write the log: %s", log->name, mg_strerror(rc));
        }
    }
    if (rc != MG_OK) {
        release(log);
        return rc;
    }
    *out = log;
    return MG_OK;
}

static struct timespec from_now(uint32_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static int wait_written(mg_log *log, uint32_t wait_ms) {
    struct timespec until = from_now(wait_ms);
    uint64_t target = log->bytes_in;
    int rc = 0;
    log->waiting++;
    pthread_cond_signal(&log->work);
    while (rc == 0 && (log->closing ? !log->done : log->bytes_out < target)) {
        rc = pthread_cond_timedwait(&log->written, &log->lock, &until);
    }
    log->waiting--;
    return -rc;
}

int mg_log_flush(mg_log *log, uint32_t wait_ms) {
    pthread_mutex_lock(&log->lock);
    int rc = wait_written(log, wait_ms);
    pthread_mutex_unlock(&log->lock);
    return rc;
}

int mg_log_close(mg_log *log, uint32_t wait_ms) {
    if (log == NULL) {
        return MG_OK;
    }
    pthread_mutex_lock(&log->lock);
    log->closing = true;
    int rc = wait_written(log, wait_ms);
    pthread_mutex_unlock(&log->lock);
    if (rc != MG_OK) {
        pthread_detach(log->thread);
        return rc;
    }
    pthread_join(log->thread, NULL);
    release(log);
    return MG_OK;
}

// --- the callers' side
// -----------------------------------------------------------------------------------------------

static void copy_in(mg_log *log, const char *line, size_t n) {
    size_t at = log->start + log->used;
    if (at >= log->cap) {
        at -= log->cap;
    }
    size_t first = n < log->cap - at ? n : log->cap - at;
    memcpy(log->ring + at, line, first);
    memcpy(log->ring, line + first, n - first);
    log->used += n;
    log->bytes_in += n;
}

void mg_log_line(mg_log *log, const char *line, size_t n) {
    pthread_mutex_lock(&log->lock);
    if (n > log->cap - log->used) {
        log->lost++;
    } else {
        copy_in(log, line, n);
    }
    bool wake = log->state == SLEEPING || (log->state == NAPPING && log->used > log->cap / 2);
    if (wake) {
        log->state = WRITING; // one wake is enough
    }
    pthread_mutex_unlock(&log->lock);
    if (wake) {
        pthread_cond_signal(&log->work);
    }
}

bool mg_log_wants(const mg_log *log, mg_log_level level) {
    return log != NULL && level >= log->level;
}

static void append_event(const mg_log *log, mg_buf *line, const mg_log_event *e) {
    mg_log_cut cut;
    bool is_cut = mg_log_cut_init(&cut, e);
    mg_log_event stamped = is_cut ? cut.event : *e;
    stamped.wall_ms = e->wall_ms == 0 ? mg_wall_ms() : e->wall_ms;
    if (log->json) {
        mg_log_append_json(line, &stamped);
    } else if (log->people) {
        mg_log_append_people(line, &stamped, log->colour);
    } else {
        mg_log_append_text(line, &stamped);
    }
    if (is_cut) {
        mg_log_cut_deinit(&cut);
    }
}

void mg_log_event_write(mg_log *log, const mg_log_event *e) {
    if (!mg_log_wants(log, e->level)) {
        return;
    }
    mg_buf line = {0};
    append_event(log, &line, e);
    mg_log_line(log, line.p, line.n);
    mg_buf_deinit(&line);
}

void mg_log_printf(mg_log *log, mg_log_level level, const char *fmt, ...) {
    if (!mg_log_wants(log, level)) {
        return;
    }
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        mg_log_event_write(log, &(mg_log_event){.level = level, .message = {text, (size_t)n}});
        free(text);
    }
}

void mg_log_reopen(mg_log *log) {
    pthread_mutex_lock(&log->lock);
    log->want_reopen = log->path != NULL;
    pthread_cond_signal(&log->work);
    pthread_mutex_unlock(&log->lock);
}

// --- the writer's side
// -----------------------------------------------------------------------------------------------

// What is left of `*iov` after `n` bytes have gone. Returns the count of pieces left, which begin
// at the new `*iov`.
static int advance(struct iovec **iov, int count, size_t n) {
    while (count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        count--;
    }
    if (count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
    return count;
}

// 0, or a negative errno if the descriptor will take no more. The pieces are used up.
static int write_all(int fd, struct iovec *iov, int count) {
    count = advance(&iov, count, 0);
    while (count > 0) {
        ssize_t n = writev(fd, iov, count);
        if (n >= 0) {
            count = advance(&iov, count, (size_t)n);
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, BLOCKED_MS);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static uint64_t count_lines(const struct iovec *iov, int count) {
    uint64_t lines = 0;
    for (int i = 0; i < count; i++) {
        const char *p = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++) {
            lines += p[k] == '\n';
        }
    }
    return lines;
}

// A warning from the writer itself. Into this log it goes straight, since the ring may be full.
static int tell(mg_log *log, const char *message, const mg_log_field *fields, size_t count) {
    mg_log_event e = {.level = MG_LOG_WARN,
                      .message = mg_str_of(message),
                      .fields = fields,
                      .field_count = count};
    if (log->report != NULL) {
        mg_log_event_write(log->report, &e);
        return MG_OK;
    }
    mg_buf line = {0};
    append_event(log, &line, &e);
    struct iovec iov = {.iov_base = line.p, .iov_len = line.n};
    int rc = write_all(log->fd, &iov, 1);
    mg_buf_deinit(&line);
    return rc;
}

static int tell_lost(mg_log *log, uint64_t lost) {
    char digits[20];
    mg_log_field fields[] = {
        {.key = MG_STR("lines"), .value = {digits, mg_format_u64(digits, lost)}, .literal = true},
        {.key = MG_STR("log"), .value = mg_str_of(log->name)},
    };
    return tell(log, "log lines were lost: the destination is too slow or failed", fields, 2);
}

static void reopen(mg_log *log) {
    int fd = open_path(log->path);
    if (fd >= 0) {
        close(log->fd);
        log->fd = fd;
        return;
    }
    mg_log_field fields[] = {
        {.key = MG_STR("log"), .value = mg_str_of(log->name)},
        {.key = MG_STR("error"), .value = mg_str_of(mg_strerror(fd))},
    };
    tell(log, "the log file cannot be reopened: the old one stays in use", fields, 2);
}

// All that is queued, always whole lines (other processes may append to the same file): one piece,
// or two around the end of the ring.
static int next_batch(const mg_log *log, struct iovec iov[2]) {
    size_t behind = log->cap - log->start;
    size_t first = log->used < behind ? log->used : behind;
    iov[0] = (struct iovec){.iov_base = log->ring + log->start, .iov_len = first};
    iov[1] = (struct iovec){.iov_base = log->ring, .iov_len = log->used - first};
    return 2;
}

// Starting again at the front when empty keeps the touched part of the ring, and so the process,
// small.
static void drop_batch(mg_log *log, size_t n) {
    log->used -= n;
    log->bytes_out += n;
    log->start = log->used == 0 ? 0 : (log->start + n) % log->cap;
}

// The part from `from` to `to` of two pieces that follow each other.
static void cut(const struct iovec in[2], size_t from, size_t to, struct iovec out[2]) {
    size_t first = in[0].iov_len;
    size_t a = from < first ? from : first;
    size_t b = to < first ? to : first;
    out[0] = (struct iovec){.iov_base = (char *)in[0].iov_base + a, .iov_len = b - a};
    out[1] = (struct iovec){.iov_base = (char *)in[1].iov_base + (from - a),
                            .iov_len = (to - b) - (from - a)};
}

static char byte_at(const struct iovec in[2], size_t i) {
    return i < in[0].iov_len ? ((const char *)in[0].iov_base)[i]
                             : ((const char *)in[1].iov_base)[i - in[0].iov_len];
}

// Other processes may write into the same pipe: only up to PIPE_BUF bytes stay together (pipe(7)),
// so no write is longer, and each ends with a line unless that is longer itself. Returns how many
// lines were refused.
static uint64_t write_to_pipe(int fd, const struct iovec in[2]) {
    size_t all = in[0].iov_len + in[1].iov_len;
    struct iovec part[2];
    for (size_t from = 0, to; from < all; from = to) {
        to = all - from > PIPE_BUF ? from + PIPE_BUF : all;
        size_t end = to;
        while (to < all && end > from && byte_at(in, end - 1) != '\n') {
            end--;
        }
        to = end > from ? end : to;
        cut(in, from, to, part);
        if (write_all(fd, part, 2) != 0) {
            cut(in, from, all, part);
            return count_lines(part, 2);
        }
    }
    return 0;
}

static bool is_pipe(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

// Writes one batch and returns how many lines the destination refused. The lock is not held:
// callers only add behind it.
static uint64_t write_batch(mg_log *log, struct iovec *iov, int count) {
    struct iovec whole[2];
    memcpy(whole, iov, sizeof whole);
    if (is_pipe(log->fd)) {
        return write_to_pipe(log->fd, whole);
    }
    return write_all(log->fd, iov, count) == 0 ? 0 : count_lines(whole, count);
}

// Called and left with the lock held.
static void write_queued(mg_log *log) {
    struct iovec iov[2];
    int count = next_batch(log, iov);
    size_t n = log->used;
    uint64_t lost = log->lost;
    bool again = log->want_reopen;
    log->want_reopen = false;
    log->lost = 0;
    pthread_mutex_unlock(&log->lock);

    if (again) {
        reopen(log);
    }
    uint64_t refused = write_batch(log, iov, count);
    if (refused == 0 && lost > 0 && tell_lost(log, lost) == MG_OK) {
        lost = 0;
    }

    pthread_mutex_lock(&log->lock);
    log->lost += lost + refused;
    drop_batch(log, n);
    pthread_cond_broadcast(&log->written);
}

static bool pressing(const mg_log *log) {
    return log->closing || log->waiting > 0 || log->want_reopen || log->used > log->cap / 2;
}

static void nap(mg_log *log) {
    log->state = NAPPING;
    struct timespec until = from_now(log->gather_ms);
    int rc = 0;
    while (rc == 0 && !pressing(log)) {
        rc = pthread_cond_timedwait(&log->work, &log->lock, &until);
    }
}

static void sleep_until_work(mg_log *log) {
    while (log->used == 0 && !log->want_reopen && !log->closing) {
        log->state = SLEEPING;
        pthread_cond_wait(&log->work, &log->lock);
    }
    log->state = WRITING;
}

static void *writer_main(void *arg) {
    mg_log *log = arg;
    pthread_mutex_lock(&log->lock);
    while (!log->closing || log->used > 0) {
        sleep_until_work(log);
        write_queued(log);
        nap(log);
    }
    uint64_t lost = log->lost;
    pthread_mutex_unlock(&log->lock);
    if (lost > 0) {
        (void)tell_lost(log, lost);
    }
    pthread_mutex_lock(&log->lock);
    log->done = true;
    pthread_cond_broadcast(&log->written);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}
