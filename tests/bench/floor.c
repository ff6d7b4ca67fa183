// bench/floor: what the kernel alone costs. One epoll loop and a fixed answer; nothing is parsed
// but the empty line.
//
// floor PORT TYPE BODY [SLEEP_MS]. Every request that arrives in one read is answered in one write,
// as a pipelining server may; all of them SLEEP_MS later if that is given.
#include "epoll_server.h"

#include <stdbool.h>
#include <time.h>

enum { EVENTS = 512, BATCH = 256, READ_BYTES = 64 * 1024 };

// How much of "\r\n\r\n" each descriptor has seen: a request may end in the next read.
static uint8_t matched[DESCRIPTORS];
static char input[READ_BYTES];
static char *answers; // the answer, BATCH times
static size_t answer_bytes;

// Who sleeps. All sleep equally long, so the first in is the first out.
typedef struct sleeper {
    int fd;
    size_t requests;
    int64_t due_ms;
} sleeper;

static sleeper sleepers[DESCRIPTORS];
static size_t first, last; // counts; modulo DESCRIPTORS
static int64_t sleep_ms;

static void prepare_answers(const char *type, const char *body) {
    char head[256];
    size_t body_bytes = strlen(body);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
                     body_bytes);
    if (n < 0 || (size_t)n >= sizeof head) {
        errno = EINVAL;
        fail("the type is too long");
    }
    answer_bytes = (size_t)n + body_bytes;
    answers = malloc(answer_bytes * BATCH);
    if (!answers) {
        fail("malloc");
    }
    for (size_t i = 0; i < BATCH; i++) {
        memcpy(answers + i * answer_bytes, head, (size_t)n);
        memcpy(answers + i * answer_bytes + n, body, body_bytes);
    }
}

static void accept_all(int epoll, int listener) {
    for (int fd; (fd = accept_one(epoll, listener)) >= 0;) {
        matched[fd] = 0;
    }
}

static size_t count_requests(const char *bytes, size_t n, uint8_t *state) {
    static const char end[] = "\r\n\r\n";
    size_t requests = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != end[*state]) {
            *state = bytes[i] == '\r';
        } else if (++*state == 4) {
            *state = 0;
            requests++;
        }
    }
    return requests;
}

// A peer that does not take its answers is not worth a buffer here: false closes it.
static bool answer(int fd, size_t requests) {
    while (requests > 0) {
        size_t now = requests < BATCH ? requests : BATCH;
        if (write(fd, answers, now * answer_bytes) != (ssize_t)(now * answer_bytes)) {
            return false;
        }
        requests -= now;
    }
    return true;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Answers at once, or puts it among the sleepers. False: to be closed.
static bool take(int fd, size_t requests) {
    if (sleep_ms == 0 || requests == 0) {
        return answer(fd, requests);
    }
    if (last - first == DESCRIPTORS) {
        return false;
    }
    sleepers[last++ % DESCRIPTORS] = (sleeper){fd, requests, now_ms() + sleep_ms};
    return true;
}

// Answers those whose time has come. Milliseconds until the next one's; -1: nobody sleeps.
static int wake_sleepers(void) {
    int64_t now = first < last ? now_ms() : 0;
    for (; first < last; first++) {
        const sleeper *s = &sleepers[first % DESCRIPTORS];
        if (s->due_ms > now) {
            return (int)(s->due_ms - now);
        }
        if (!answer(s->fd, s->requests)) {
            close(s->fd);
        }
    }
    return -1;
}

static void serve(int fd) {
    ssize_t n = read(fd, input, sizeof input);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || !take(fd, count_requests(input, (size_t)n, &matched[fd]))) {
        close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: floor PORT TYPE BODY [SLEEP_MS]\n");
        return 2;
    }
    prepare_answers(argv[2], argv[3]);
    sleep_ms = argc == 5 ? atoi(argv[4]) : 0;
    int listener = open_listener(atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, EPOLLIN, EPOLL_CTL_ADD);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, wake_sleepers());
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(epoll, listener);
            } else {
                serve(events[i].data.fd);
            }
        }
    }
}
