// The control socket: one command a connection, a line of JSON; the answer is one object, then the
// end. For `stop` the end comes with that of the server.

#include "gate/control.h"

#include "base/json.h"
#include "base/mem.h"
#include "event/listener.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 65536, VISITORS = 32 };

struct mg_control {
    mg_loop *loop;
    const mg_control_events *events;
    void *arg;
    mg_listener *listener;
    char path[MG_CONTROL_PATH];
    mg_link visitors;
    size_t count;
};

typedef struct visitor {
    mg_link link; // in its control's list, until the control closes
    mg_control *control;
    mg_stream stream;
    mg_buf line;
    bool asked;
    bool closing;
    bool closed;
    bool waiting; // an answer will come: it must find the visitor
} visitor;

typedef struct command {
    char name[16];
    bool specs, dry_run, now;
    mg_buf code; // to be evaluated
} command;

// --- visitors ---

static visitor *visitor_of(mg_stream *s) {
    return MG_OF(s, visitor, stream);
}

static void release(visitor *v) {
    if (v->closed && !v->waiting) {
        mg_buf_deinit(&v->line);
        mg_free(v);
    }
}

static void leave(visitor *v) {
    if (!v->closing) {
        v->closing = true;
        mg_link_remove(&v->link);
        mg_stream_close(&v->stream, false);
    }
}

// The answer, then the end.
static void say(visitor *v, mg_str text, bool last) {
    struct iovec part = {(void *)(uintptr_t)text.p, text.n};
    if (!v->closing) {
        mg_stream_write(&v->stream, &part, 1);
        if (last) {
            mg_stream_shutdown(&v->stream);
        }
    }
}

static void say_result(visitor *v, bool ok, mg_str text, bool last) {
    mg_buf out = {0};
    mg_buf_printf(&out, "{\"ok\":%s,\"text\":", ok ? "true" : "false");
    mg_json_write_replaced(&out, text);
    mg_buf_append_str(&out, MG_STR("}\n"));
    say(v, mg_buf_str(&out), last);
    mg_buf_deinit(&out);
}

// --- commands ---

static void on_done(void *arg, bool ok, mg_str text) {
    visitor *v = arg;
    v->waiting = false;
    say_result(v, ok, text, true);
    release(v);
}

static void obey(visitor *v, const command *c) {
    const mg_control *to = v->control;
    if (strcmp(c->name, "status") == 0) {
        mg_buf out = {0};
        to->events->status(to->arg, &out);
        say(v, mg_buf_str(&out), true);
        mg_buf_deinit(&out);
    } else if (strcmp(c->name, "reload") == 0) {
        v->waiting = true;
        to->events->reload(
            to->arg, &(mg_reload_request){
                         .dry_run = c->dry_run, .specs = c->specs, .reply = on_done, .arg = v});
    } else if (strcmp(c->name, "repl") == 0) {
        v->waiting = true;
        to->events->evaluate(to->arg, mg_buf_str(&c->code), on_done, v);
    } else if (strcmp(c->name, "stop") == 0) {
        say_result(v, true, MG_STR("stopping"), false); // the end comes with that of the server
        to->events->stop(to->arg, c->now);
    } else {
        say_result(v, false, MG_STR("no such command"), true);
    }
}

static bool flag(mg_json_reader *r) {
    return mg_json_next(r) == MG_JSON_TRUE;
}

// {"command":"reload","spec":true}; unknown keys with plain values are passed over.
static bool read_command(mg_str line, command *out) {
    mg_json_reader r;
    mg_buf decoded = {0};
    *out = (command){.now = false};
    mg_json_reader_init(&r, line, &decoded, 2);
    mg_json_token t = mg_json_next(&r);
    bool good = t == MG_JSON_OBJECT;
    while (good && (t = mg_json_next(&r)) == MG_JSON_KEY) {
        mg_str key = r.text;
        if (mg_str_eq(key, MG_STR("command"))) {
            good = mg_json_next(&r) == MG_JSON_STRING && r.text.n < sizeof out->name;
            memcpy(out->name, r.text.p, good ? r.text.n : 0);
        } else if (mg_str_eq(key, MG_STR("code"))) {
            good = mg_json_next(&r) == MG_JSON_STRING;
            mg_buf_append_str(&out->code, good ? r.text : MG_STR(""));
        } else if (mg_str_eq(key, MG_STR("spec"))) {
            out->specs = flag(&r);
        } else if (mg_str_eq(key, MG_STR("dry_run"))) {
            out->dry_run = flag(&r);
        } else if (mg_str_eq(key, MG_STR("now"))) {
            out->now = flag(&r);
        } else {
            mg_json_next(&r);
        }
    }
    mg_buf_deinit(&decoded);
    return good && t == MG_JSON_OBJECT_END && mg_json_next(&r) == MG_JSON_END;
}

static void on_read(mg_stream *s, const char *p, size_t n) {
    visitor *v = visitor_of(s);
    const char *end = memchr(p, '\n', n);
    if (v->asked) {
        return;
    }
    mg_buf_append(&v->line, p, end == NULL ? n : (size_t)(end - p));
    if (v->line.n > LINE_BYTES) {
        leave(v);
    } else if (end != NULL) {
        command c;
        v->asked = true;
        if (read_command(mg_buf_str(&v->line), &c)) {
            obey(v, &c);
        } else {
            say_result(v, false, MG_STR("a line of JSON is wanted: {\"command\":\"status\"}"),
                       true);
        }
        mg_buf_deinit(&c.code);
    }
}

static void on_end(mg_stream *s, int status) {
    (void)status;
    leave(visitor_of(s));
}

static void on_drain(mg_stream *s, int status) {
    (void)status;
    (void)s; // the peer closes
}

static void on_closed(mg_stream *s) {
    visitor *v = visitor_of(s);
    if (v->control != NULL) {
        v->control->count--;
    }
    v->closed = true;
    release(v);
}

static const mg_stream_events stream_events = {on_read, on_end, on_drain, on_closed};

static void on_connection(void *arg, mg_listener *l) {
    mg_control *c = arg;
    visitor *v = mg_calloc(1, sizeof *v);
    if (mg_listener_accept(l, &v->stream, &stream_events) != 0) {
        mg_free(v);
        return;
    }
    mg_link_init(&v->link);
    v->control = c;
    mg_link_append(&c->visitors, &v->link);
    if (++c->count > VISITORS) {
        leave(v);
    } else {
        mg_stream_read_start(&v->stream);
    }
}

// --- life ---

static int listen_at(mg_control *c, mg_error *err) {
    mg_address address;
    char text[sizeof c->path + 8];
    snprintf(text, sizeof text, "unix:%s", c->path);
    int rc = mg_address_parse(text, &address, err);
    if (rc != MG_OK) {
        return rc;
    }
    mode_t before = umask(0177); // never open to others, not even for a moment
    int fd = mg_listen_socket(&address, false, err);
    umask(before);
    if (fd < 0) {
        return fd;
    }
    rc = mg_listener_open(&c->listener, c->loop, fd, on_connection, c);
    if (rc != 0) {
        close(fd);
        unlink(c->path);
    }
    return rc;
}

int mg_control_open(mg_control **out, mg_loop *loop, const char *path,
                    const mg_control_events *events, void *arg, mg_error *err) {
    mg_control *c = mg_calloc(1, sizeof *c);
    c->loop = loop;
    c->events = events;
    c->arg = arg;
    mg_link_init(&c->visitors);
    snprintf(c->path, sizeof c->path, "%s", path);
    int rc = listen_at(c, err);
    if (rc != MG_OK) {
        mg_free(c);
        c = NULL;
    }
    *out = c;
    return rc;
}

void mg_control_close(mg_control *c) {
    if (c == NULL) {
        return;
    }
    while (!mg_link_alone(&c->visitors)) {
        visitor *v = MG_OF(c->visitors.next, visitor, link);
        v->control = NULL;
        leave(v);
    }
    unlink(c->path); // first: once nobody listens, another server may take the name
    mg_listener_close(c->listener);
    mg_free(c);
}
