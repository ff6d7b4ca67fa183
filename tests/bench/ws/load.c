// W13's load: WebSockets from one thread. It opens its connections, says READY, waits for a line on
// its standard input, runs, and says how many messages came back.
//
//   load PORT echo CONNECTIONS SECONDS        each sends a message when the last one is back
//   load PORT broadcast CONNECTIONS MESSAGES  the first sends one when all have the last one
//   load PORT idle CONNECTIONS 0              they stay open until the next line
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    CONTENT = 64,
    HEAD = 6,
    FRAME = HEAD + CONTENT,
    BACK = 2 + CONTENT,
    EVENTS = 1024,
    PIECE = 65536
};

static int poll_fd;
static int *fds;
static uint32_t *got; // bytes of the message that is coming back, of each connection
static int count;
static uint8_t frame[FRAME];

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void make_frame(void) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    frame[0] = 0x81;
    frame[1] = 0x80 | CONTENT;
    memcpy(frame + 2, mask, 4);
    for (int i = 0; i < CONTENT; i++) {
        frame[HEAD + i] = (uint8_t)('a' + i % 26) ^ mask[i % 4];
    }
}

static void read_head(int fd) {
    char head[2048];
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        ssize_t more = n < sizeof head ? read(fd, head + n, 1) : -1;
        if (more <= 0) {
            die("the answer");
        }
        n += (size_t)more;
    }
    if (memcmp(head, "HTTP/1.1 101 ", 13) != 0) {
        fprintf(stderr, "answered with %.*s\n", 40, head);
        exit(1);
    }
}

static int open_one(uint16_t port, const char *path) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char request[512];
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int n = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        path, port);
    if (write(fd, request, (size_t)n) != n) {
        die("request");
    }
    read_head(fd);
    return fd;
}

static void open_all(uint16_t port, const char *path) {
    fds = calloc((size_t)count, sizeof *fds);
    got = calloc((size_t)count, sizeof *got);
    poll_fd = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        fds[i] = open_one(port, path);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fds[i], &ev);
    }
}

static void send_one(int i) {
    if (write(fds[i], frame, FRAME) != FRAME) {
        die("send");
    }
}

// How many whole messages have come on the connection. The first byte of each is looked at.
static uint32_t receive(int i) {
    static uint8_t piece[PIECE];
    ssize_t n = read(fds[i], piece, sizeof piece);
    if (n <= 0) {
        die("receive");
    }
    if (got[i] == 0 && (piece[0] != 0x81 || (n > 1 && piece[1] != CONTENT))) {
        fprintf(stderr, "a frame %02x %02x that is none of ours\n", piece[0], piece[1]);
        exit(1);
    }
    got[i] += (uint32_t)n;
    uint32_t whole = got[i] / BACK;
    got[i] %= BACK;
    return whole;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Calls `on` for each connection on which messages came, until it has come to an end.
static void run(bool (*on)(int i, uint32_t messages, void *arg), void *arg) {
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS, 10000);
        if (n <= 0) {
            die("nothing comes");
        }
        for (int k = 0; k < n; k++) {
            int i = (int)events[k].data.u32;
            if (!on(i, receive(i), arg)) {
                return;
            }
        }
    }
}

typedef struct echo {
    uint64_t messages;
    double until;
} echo;

static bool on_echo(int i, uint32_t messages, void *arg) {
    echo *e = arg;
    e->messages += messages;
    if ((e->messages & 63) == 0 && now() > e->until) {
        return false;
    }
    if (messages > 0) {
        send_one(i);
    }
    return true;
}

typedef struct broadcast {
    uint64_t delivered, wanted;
} broadcast;

static bool on_broadcast(int i, uint32_t messages, void *arg) {
    broadcast *b = arg;
    (void)i;
    b->delivered += messages;
    if (b->delivered < b->wanted && b->delivered % (uint64_t)count == 0 && messages > 0) {
        send_one(0);
    }
    return b->delivered < b->wanted;
}

static void await_line(void) {
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) {
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: load PORT echo|broadcast|idle CONNECTIONS SECONDS|MESSAGES\n");
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    bool is_echo = strcmp(argv[2], "echo") == 0, is_idle = strcmp(argv[2], "idle") == 0;
    count = atoi(argv[3]);
    make_frame();
    open_all(port, is_echo || is_idle ? "/echo" : "/room");
    puts("READY");
    fflush(stdout);
    await_line();
    double begin = now();
    uint64_t messages = 0;
    if (is_echo) {
        echo e = {.until = begin + atof(argv[4])};
        for (int i = 0; i < count; i++) {
            send_one(i);
        }
        run(on_echo, &e);
        messages = e.messages;
    } else if (!is_idle) {
        broadcast b = {.wanted = (uint64_t)strtoull(argv[4], NULL, 10) * (uint64_t)count};
        send_one(0);
        run(on_broadcast, &b);
        messages = b.delivered;
    }
    printf("RESULT %llu %.6f\n", (unsigned long long)messages, now() - begin);
    fflush(stdout);
    await_line(); // the connections stay until the server's time was read
    return 0;
}
