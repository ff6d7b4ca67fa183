// bench/threads: the server that Moongate replaces. One thread for each connection, blocking reads
// and writes.
//
// threads PORT. GET / is text, /users/:id small JSON, /sleep answers after 5 ms. It is written with
// care, so that the comparison is with the model and not with a poor program: bounded input,
// keep-alive, pipelining, one write an answer.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, ANSWER_BYTES = 1024, ID_BYTES = 64, STACK_BYTES = 256 * 1024 };

typedef struct request {
    char target[1024];
    bool keep_alive;
} request;

typedef struct reply {
    int status;
    const char *type;
    char body[256];
} reply;

static void fail(const char *what) {
    fprintf(stderr, "threads: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool has_header(const char *head, const char *name, const char *value) {
    size_t name_bytes = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_bytes) == 0 && line[name_bytes] == ':') {
            const char *at = line + name_bytes + 1;
            at += strspn(at, " \t");
            return strncasecmp(at, value, strlen(value)) == 0;
        }
    }
    return false;
}

// `head` is one request up to its empty line, ended by a NUL. Returns the status: 200 if it can be
// routed.
static int parse(const char *head, request *r) {
    r->keep_alive = false;
    if (strncmp(head, "GET ", 4) != 0) {
        return 405;
    }
    size_t target_bytes = strcspn(head + 4, " \r\n");
    if (target_bytes >= sizeof r->target) {
        return 414;
    }
    memcpy(r->target, head + 4, target_bytes);
    r->target[target_bytes] = 0;
    const char *version = head + 4 + target_bytes;
    if (strncmp(version, " HTTP/1.1\r\n", 11) != 0 && strncmp(version, " HTTP/1.0\r\n", 11) != 0) {
        return 400;
    }
    r->keep_alive = version[8] == '1' && !has_header(head, "Connection", "close");
    return 200;
}

static void reply_text(reply *out, int status, const char *body) {
    out->status = status;
    out->type = "text/plain";
    snprintf(out->body, sizeof out->body, "%s", body);
}

static void show_user(reply *out, const char *id) {
    size_t id_bytes = strlen(id);
    if (id_bytes == 0 || id_bytes > ID_BYTES || strpbrk(id, "/\"\\")) {
        reply_text(out, 404, "no such user\n");
        return;
    }
    out->status = 200;
    out->type = "application/json";
    snprintf(out->body, sizeof out->body, "{\"id\":\"%s\",\"name\":\"user %s\"}", id, id);
}

static void route(const request *r, reply *out) {
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    if (strcmp(r->target, "/") == 0) {
        reply_text(out, 200, "hello\n");
    } else if (strncmp(r->target, "/users/", 7) == 0) {
        show_user(out, r->target + 7);
    } else if (strcmp(r->target, "/sleep") == 0) {
        nanosleep(&pause, NULL);
        reply_text(out, 200, "hello\n");
    } else {
        reply_text(out, 404, "not found\n");
    }
}

static bool send_reply(int fd, const reply *out, bool keep_alive) {
    char text[ANSWER_BYTES];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n%s",
                     out->status, out->status == 200 ? "OK" : "Refused", out->type,
                     strlen(out->body), keep_alive ? "" : "Connection: close\r\n", out->body);
    ssize_t sent = 0;
    while (sent < n) {
        ssize_t now = write(fd, text + sent, (size_t)(n - sent));
        if (now <= 0) {
            return false;
        }
        sent += now;
    }
    return true;
}

// Answers the request whose empty line has been replaced by a NUL. False ends the connection.
static bool serve_one(int fd, const char *head) {
    request r;
    reply out;
    int status = parse(head, &r);
    if (status == 200) {
        route(&r, &out);
    } else {
        reply_text(&out, status, "refused\n");
    }
    return send_reply(fd, &out, r.keep_alive) && r.keep_alive;
}

static void serve(int fd) {
    char input[HEAD_BYTES + 1];
    size_t have = 0;
    while (have < HEAD_BYTES) {
        ssize_t n = read(fd, input + have, HEAD_BYTES - have);
        if (n <= 0) {
            return;
        }
        have += (size_t)n;
        input[have] = 0;
        char *at = input;
        char *end;
        while ((end = strstr(at, "\r\n\r\n"))) {
            end[2] = 0; // the last line keeps its CRLF, which the parser relies on
            if (!serve_one(fd, at)) {
                return;
            }
            at = end + 4;
        }
        have = (size_t)(input + have - at);
        memmove(input, at, have);
    }
}

static void *connection_main(void *arg) {
    int fd = (int)(intptr_t)arg;
    serve(fd);
    close(fd);
    return NULL;
}

static int open_listener(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
        fail("listen");
    }
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: threads PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = open_listener(atoi(argv[1]));
    int on = 1;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, STACK_BYTES);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_t thread;
        if (pthread_create(&thread, &detached, connection_main, (void *)(intptr_t)fd)) {
            close(fd);
        }
    }
}
