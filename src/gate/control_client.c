#include "gate/control_client.h"

#include "base/json.h"
#include "gate/status_text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_BYTES = 8 << 20, WAIT_SECONDS = 300 };

// --- the socket ---

// `stop` waits for as long as requests in progress may take, which is timeouts.drain.
static void limit_waits(int fd, const mg_cli *cli) {
    struct timeval limit = {.tv_sec = WAIT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (cli->command != MG_COMMAND_STOP) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
}

static int connect_to(const mg_cli *cli, const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof to.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(to.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    limit_waits(fd, cli);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int complain(const mg_cli *cli, const char *path, int rc) {
    if (rc == -ENOENT || rc == -ECONNREFUSED) {
        fprintf(stderr,
                "moongate: no server runs for %s (nobody answers at %s); start one with "
                "moongate run\n",
                cli->conf, path);
    } else if (rc == -EAGAIN) {
        fprintf(stderr, "moongate: %s: no answer for %d s; see the server's log\n", path,
                WAIT_SECONDS);
    } else {
        fprintf(stderr, "moongate: %s: %s\n", path, mg_strerror(rc));
    }
    return 1;
}

static int ask(int fd, const mg_cli *cli, mg_str code) {
    mg_buf line = {0};
    mg_buf_printf(&line, "{\"command\":\"%s\",\"spec\":%s,\"dry_run\":%s,\"now\":%s,\"code\":",
                  mg_cli_command_name(cli->command), cli->specs ? "true" : "false",
                  cli->dry_run ? "true" : "false", cli->now ? "true" : "false");
    mg_json_write_replaced(&line, code);
    mg_buf_append_str(&line, MG_STR("}\n"));
    ssize_t n = send(fd, line.p, line.n, MSG_NOSIGNAL);
    int rc = n == (ssize_t)line.n ? MG_OK : -errno;
    mg_buf_deinit(&line);
    return rc;
}

// Up to the end, which for `stop` is that of the server.
static int read_reply(int fd, mg_buf *out) {
    while (out->n < REPLY_BYTES) {
        ssize_t n = recv(fd, mg_buf_reserve(out, 65536), 65536, 0);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return n == 0 || errno == ECONNRESET ? MG_OK : -errno;
        }
        out->n += n > 0 ? (size_t)n : 0; // interrupted: ^Z and fg, for one
    }
    return -EFBIG;
}

// --- what it says ---

// What a person, or with --json a program, is to read. False if the server refuses, or says what
// nobody understands: then `text` may be empty.
static bool understand(const mg_cli *cli, mg_str reply, mg_buf *text) {
    bool ok = false;
    if (mg_reply_text(reply, &ok, text) != MG_OK || !ok) {
        return false;
    }
    if (cli->command == MG_COMMAND_STATUS) {
        mg_buf_clear(text);
        ok = mg_status_text(reply, text) == MG_OK;
    }
    if (ok && cli->json) {
        mg_buf_clear(text);
        mg_buf_append_str(text, reply);
    } else if (ok && cli->command == MG_COMMAND_STOP) {
        mg_buf_clear(text);
        mg_buf_append_str(text, MG_STR("stopped"));
    }
    return ok && text->n > 0;
}

static int show(const mg_cli *cli, mg_str reply) {
    mg_buf text = {0};
    bool ok = understand(cli, reply, &text);
    if (text.n == 0) {
        mg_buf_append_str(&text, MG_STR("moongate: the server's answer is not understood"));
    }
    if (text.p[text.n - 1] != '\n') {
        mg_buf_append_char(&text, '\n');
    }
    fwrite(text.p, 1, text.n, ok ? stdout : stderr);
    mg_buf_deinit(&text);
    return ok ? 0 : 1;
}

// One command and its answer.
static int exchange(const mg_cli *cli, const char *path, mg_str code, mg_buf *reply) {
    int fd = connect_to(cli, path);
    int rc = fd < 0 ? fd : ask(fd, cli, code);
    if (rc == MG_OK) {
        rc = read_reply(fd, reply);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int mg_control_evaluate(const mg_cli *cli, const char *path, mg_str code, bool *ok, mg_buf *text) {
    mg_buf reply = {0};
    int rc = exchange(cli, path, code, &reply);
    if (rc != MG_OK) {
        complain(cli, path, rc);
    } else if (mg_reply_text(mg_buf_str(&reply), ok, text) != MG_OK) {
        rc = -EPROTO;
        fprintf(stderr, "moongate: the server's answer is not understood\n");
    }
    mg_buf_deinit(&reply);
    return rc;
}

int mg_control_command(const mg_cli *cli, const char *path) {
    mg_buf reply = {0};
    int rc = exchange(cli, path, MG_STR(""), &reply);
    int status = rc == MG_OK ? show(cli, mg_buf_str(&reply)) : complain(cli, path, rc);
    mg_buf_deinit(&reply);
    return status;
}
