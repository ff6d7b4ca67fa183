// W13's floor: what the kernel alone costs. One epoll loop; a path is looked at, no frame is: each
// read of a WebSocket is answered with a fixed message, of one in the room to all in it.
//
// floor PORT
#include "../epoll_server.h"

#include <stdbool.h>

enum { EVENTS = 512, CONTENT = 64, READ_BYTES = 64 * 1024 };

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n\r\n";
static const char message[2 + CONTENT] = {'\x81', CONTENT}; // and zeros

static bool speaks[DESCRIPTORS]; // it has been switched
static bool hears[DESCRIPTORS];  // and is in the room
static int room[DESCRIPTORS];
static int in_room;
static char input[READ_BYTES];

static bool put(int fd, const char *text, size_t n) {
    return write(fd, text, n) == (ssize_t)n;
}

static bool greet(int fd) {
    if (strncmp(input, "GET / ", 6) == 0) {
        return put(fd, hello, sizeof hello - 1);
    }
    speaks[fd] = true;
    hears[fd] = strncmp(input, "GET /room ", 10) == 0;
    if (hears[fd]) {
        room[in_room++] = fd;
    }
    return put(fd, switched, sizeof switched - 1);
}

static bool tell_room(void) {
    for (int i = 0; i < in_room; i++) {
        if (!put(room[i], message, sizeof message)) {
            return false;
        }
    }
    return true;
}

static void leave(int fd) {
    for (int i = 0; hears[fd] && i < in_room; i++) {
        if (room[i] == fd) {
            room[i] = room[--in_room];
            break;
        }
    }
    speaks[fd] = hears[fd] = false;
    close(fd);
}

// Heads come whole, and messages one by one: the load is our own.
static void serve(int fd) {
    ssize_t n = read(fd, input, sizeof input - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    input[n > 0 ? n : 0] = '\0';
    if (n <= 0 || !(!speaks[fd] ? greet(fd)
                    : hears[fd] ? tell_room()
                                : put(fd, message, sizeof message))) {
        leave(fd);
    }
}

static void accept_all(int epoll, int listener) {
    while (accept_one(epoll, listener) >= 0) {
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    int listener = open_listener(atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, EPOLLIN, EPOLL_CTL_ADD);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(epoll, listener);
            } else {
                serve(events[i].data.fd);
            }
        }
    }
}
