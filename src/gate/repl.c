#include "gate/repl.h"

#include "gate/control_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct typing {
    const mg_cli *cli;
    const char *path;
    mg_buf code; // lines of one statement so far
    bool asks;   // a person is at the terminal
    bool failed;
} typing;

static void prompt(const typing *t) {
    if (t->asks) {
        fputs(t->code.n == 0 ? "> " : ">> ", stdout);
        fflush(stdout);
    }
}

static void show(mg_str text, FILE *out) {
    if (text.n > 0) {
        fwrite(text.p, 1, text.n, out);
        fputc('\n', out);
        fflush(out);
    }
}

// False: the server is not there any more.
static bool evaluate(typing *t) {
    mg_buf text = {0};
    bool ok = false;
    int rc = mg_control_evaluate(t->cli, t->path, mg_buf_str(&t->code), &ok, &text);
    bool more = !ok && text.n == 0;
    if (rc == MG_OK && !more) {
        show(mg_buf_str(&text), ok ? stdout : stderr);
        mg_buf_clear(&t->code);
        t->failed = t->failed || !ok;
    }
    mg_buf_deinit(&text);
    return rc == MG_OK;
}

int mg_repl_main(const mg_cli *cli, const char *path) {
    typing t = {.cli = cli, .path = path, .asks = isatty(STDIN_FILENO)};
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    bool there = true;
    prompt(&t);
    while (there && (n = getline(&line, &room, stdin)) > 0) {
        mg_buf_append(&t.code, line, (size_t)n);
        there = evaluate(&t);
        if (there) {
            prompt(&t);
        }
    }
    if (there && t.code.n > 0) {
        fprintf(stderr, "moongate: the input ends within a statement\n");
        t.failed = true;
    }
    free(line);
    mg_buf_deinit(&t.code);
    return there && !t.failed ? 0 : 1;
}
