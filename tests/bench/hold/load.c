// C100K's load: a process that holds as many connections as its descriptors allow. It says READY
// when they are open, then does what each line of its standard input says, and tells of how many
// connections that was true: RESULT fine wrong silent lost SECONDS, the last on the monotonic
// clock. Its end is the end of its input.
//
//   load SOURCE PORT http|websocket COUNT
//     ask WORD    each says something, and what comes back has the word in it
//     hear WORD   each is told something with the word in it (websocket)
//     rest        nothing has come that was not asked for
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1024, WAIT_S = 20, HEAD = 6 };

typedef enum verdict { FINE, WRONG, SILENT, LOST, VERDICTS } verdict;

static int *fds;
static int count;
static bool is_websocket;
static bool patient; // nobody was silent yet: who is will be waited for
static char request[512];

static void die(const char *what) {
    fprintf(stderr, "hold/load: %s: %s\n", what, strerror(errno));
    exit(1);
}

// --- reading ---

static ssize_t take(int fd, char *to, size_t n) {
    ssize_t got;
    do {
        got = recv(fd, to, n, patient ? 0 : MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got;
}

static verdict why_nothing(ssize_t got) {
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        patient = false;
        return SILENT;
    }
    return LOST;
}

// A frame of a server's, no longer than fits; its content becomes a string.
static verdict read_frame(int fd, char text[TEXT]) {
    uint8_t head[2];
    ssize_t got = take(fd, (char *)head, sizeof head);
    if (got != sizeof head) {
        return why_nothing(got);
    }
    size_t n = head[1];
    if (head[0] != 0x81 || n > 125) {
        return WRONG;
    }
    for (size_t at = 0; at < n; at += (size_t)got) {
        got = take(fd, text + at, n - at);
        if (got <= 0) {
            return why_nothing(got);
        }
    }
    text[n] = '\0';
    return FINE;
}

// An answer, whose head and body come together.
static verdict read_answer(int fd, char text[TEXT]) {
    ssize_t got = take(fd, text, TEXT - 1);
    if (got <= 0) {
        return why_nothing(got);
    }
    text[got] = '\0';
    return strncmp(text, "HTTP/1.1 200 ", 13) == 0 ? FINE : WRONG;
}

static verdict expect(int fd, const char *word) {
    char text[TEXT];
    verdict v = is_websocket ? read_frame(fd, text) : read_answer(fd, text);
    return v == FINE && strstr(text, word) == NULL ? WRONG : v;
}

static verdict ask(int fd, const char *word) {
    static const char frame[HEAD + 1] = {'\x81', '\x81', 0, 0, 0, 0, '?'};
    const char *bytes = is_websocket ? frame : request;
    ssize_t n = is_websocket ? (ssize_t)sizeof frame : (ssize_t)strlen(request);
    return send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n ? expect(fd, word) : LOST;
}

static verdict rest(int fd) {
    char byte;
    patient = false;
    ssize_t got = take(fd, &byte, 1);
    if (got > 0) {
        return WRONG;
    }
    verdict v = why_nothing(got);
    return v == SILENT ? FINE : v;
}

// --- opening ---

// Nothing comes behind it, as long as nobody publishes.
static void read_head(int fd) {
    char head[2048];
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        ssize_t more = n < sizeof head ? read(fd, head + n, sizeof head - n) : -1;
        if (more <= 0) {
            die("the answer");
        }
        n += (size_t)more;
    }
    if (memcmp(head, "HTTP/1.1 101 ", 13) != 0) {
        fprintf(stderr, "hold/load: answered with %.40s\n", head);
        exit(1);
    }
}

// An address to come from, since one has but 28,000 ports to one other.
static int open_one(const struct sockaddr_in *from, const struct sockaddr_in *to) {
    const struct timeval wait = {.tv_sec = WAIT_S};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (bind(fd, (const struct sockaddr *)from, sizeof *from) != 0 ||
        connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        die("connect");
    }
    if (is_websocket) {
        if (write(fd, request, strlen(request)) < 0) {
            die("request");
        }
        read_head(fd);
    } else if (ask(fd, "") != FINE) {
        die("the first answer");
    }
    return fd;
}

static void open_all(const char *source, uint16_t port) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (inet_pton(AF_INET, source, &from.sin_addr) != 1) {
        die("the source");
    }
    const char *upgrade =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n",
             is_websocket ? "room" : "", port, is_websocket ? upgrade : "");
    patient = true;
    fds = calloc((size_t)count, sizeof *fds);
    for (int i = 0; i < count; i++) {
        fds[i] = open_one(&from, &to);
    }
}

// --- what is wanted ---

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static verdict look(int fd, const char *verb, const char *word) {
    return strcmp(verb, "ask") == 0    ? ask(fd, word)
           : strcmp(verb, "hear") == 0 ? expect(fd, word)
                                       : rest(fd);
}

int main(int argc, char **argv) {
    char line[64];
    char verb[8];
    char word[40];
    if (argc != 5) {
        fprintf(stderr, "usage: load SOURCE PORT http|websocket COUNT\n");
        return 2;
    }
    is_websocket = strcmp(argv[3], "websocket") == 0;
    count = atoi(argv[4]);
    open_all(argv[1], (uint16_t)atoi(argv[2]));
    puts("READY");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        int told[VERDICTS] = {0};
        word[0] = '\0';
        if (sscanf(line, "%7s %39s", verb, word) < 1) {
            return 2;
        }
        patient = true;
        for (int i = 0; i < count; i++) {
            told[look(fds[i], verb, word)]++;
        }
        printf("RESULT %d %d %d %d %.6f\n", told[FINE], told[WRONG], told[SILENT], told[LOST],
               now());
        fflush(stdout);
    }
    return 0;
}
