#include "server/file_answer.h"

#include "base/mem.h"
#include "event/file.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/mime.h"
#include "http/range.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>

enum { READ_BYTES = 64 * 1024 }; // what one slow reader costs

struct mg_file_answer {
    mg_app app; // first: of the exchange while it sends
    mg_app *outer;
    mg_exchange *x;
    mg_file *file;
    mg_answer answer; // all lies in the exchange's arena
    mg_fields fields; // of the file; there too
    void (*on_done)(void *arg, int status);
    void *arg;
    uint64_t size;
    mg_range ranges[MG_RANGES_MAX];
    size_t range_count;
    size_t at;        // the range that is being sent
    uint64_t sent;    // of it
    mg_str part_type; // multipart/byteranges: the type of each part
    bool multipart;
    bool waiting; // for the peer
};

static const char boundary[] = "moongate-byteranges-3f1c9a70b2d84e65";

// --- the end ---

static void dispose(mg_file_answer *f) {
    if (f->x->app == &f->app) { // else the exchange is lost
        f->x->app = f->outer;
    }
    mg_file_close(f->file);
    mg_free(f);
}

void mg_file_answer_stop(mg_file_answer *f) {
    dispose(f);
}

static void done(mg_file_answer *f, int status) {
    void (*on_done)(void *arg, int status) = f->on_done;
    void *arg = f->arg;
    dispose(f);
    on_done(arg, status);
}

// The answer is complete: the app hears of it first, since the exchange dies with its end.
static void complete(mg_file_answer *f, mg_str tail) {
    mg_exchange *x = f->x;
    if (tail.n > 0) {
        mg_exchange_write(x, tail);
    }
    done(f, 0);
    mg_exchange_end(x, NULL);
}

// The file broke off in the middle of the answer.
static void break_off(mg_file_answer *f, int status) {
    mg_exchange *x = f->x;
    done(f, status);
    mg_exchange_abort(x);
}

// --- parts ---

static void append_part_head(const mg_file_answer *f, size_t i, mg_buf *out) {
    mg_buf_printf(out, "\r\n--%s\r\nContent-Type: %.*s\r\nContent-Range: ", boundary,
                  (int)f->part_type.n, f->part_type.p);
    mg_range_write(out, f->ranges[i], f->size);
    mg_buf_append(out, "\r\n\r\n", 4);
}

static void append_tail(mg_buf *out) {
    mg_buf_printf(out, "\r\n--%s--\r\n", boundary);
}

static uint64_t content_length(const mg_file_answer *f) {
    mg_buf frame = {0};
    uint64_t n = 0;
    for (size_t i = 0; i < f->range_count; i++) {
        n += f->ranges[i].length;
        if (f->multipart) {
            append_part_head(f, i, &frame);
        }
    }
    if (f->multipart) {
        append_tail(&frame);
    }
    n += frame.n;
    mg_buf_deinit(&frame);
    return n;
}

// --- sending ---

static void read_on(mg_file_answer *f) {
    const mg_range *r = &f->ranges[f->at];
    uint64_t left = r->length - f->sent;
    size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;
    int rc = mg_file_read_at(f->file, r->first + f->sent, n);
    if (rc != 0) {
        break_off(f, rc);
    }
}

static void begin_range(mg_file_answer *f) {
    if (f->multipart) {
        mg_buf head = {0};
        append_part_head(f, f->at, &head);
        mg_exchange_write(f->x, mg_buf_str(&head));
        mg_buf_deinit(&head);
    }
    read_on(f);
}

static void end_all(mg_file_answer *f) {
    mg_buf tail = {0};
    if (f->multipart) {
        append_tail(&tail);
    }
    complete(f, mg_buf_str(&tail));
    mg_buf_deinit(&tail);
}

static void on_writable(mg_app *app, mg_exchange *x) {
    (void)x;
    mg_file_answer *f = (mg_file_answer *)app;
    if (f->waiting) {
        f->waiting = false;
        read_on(f);
    }
}

static void on_read(void *arg, int status, const char *data, size_t n) {
    mg_file_answer *f = arg;
    if (status != 0 || n == 0) {
        break_off(f, status != 0 ? status : -EIO); // shorter than it was when it was opened
        return;
    }
    f->sent += n;
    mg_exchange_write(f->x, (mg_str){data, n});
    if (f->sent == f->ranges[f->at].length) {
        f->sent = 0;
        if (++f->at == f->range_count) {
            end_all(f);
            return;
        }
        begin_range(f);
    } else if (mg_exchange_backlog(f->x) > 0) {
        f->waiting = true;
        mg_file_rest(f->file);
    } else {
        read_on(f);
    }
}

// --- the head ---

// Weak enough to be honest (a file may change twice within the clock's grain), strong enough for
// ranges: nanoseconds, size, inode.
static mg_str write_etag(mg_arena *arena, const struct stat *st) {
    char text[80];
    int n = snprintf(text, sizeof text, "\"%llx-%llx-%llx\"", (unsigned long long)st->st_ino,
                     (unsigned long long)st->st_size,
                     (unsigned long long)st->st_mtim.tv_sec * 1000000000u +
                         (unsigned long long)st->st_mtim.tv_nsec);
    return (mg_str){mg_arena_copy(arena, (mg_str){text, (size_t)n}), (size_t)n};
}

// Ends the exchange with a head alone.
static void answer_short(mg_file_answer *f, int status) {
    mg_exchange *x = f->x;
    mg_answer a = f->answer;
    a.status = status;
    a.content_type = (mg_str){NULL, 0};
    done(f, 0);
    mg_exchange_respond(x, &a, (mg_str){NULL, 0});
}

// Adds a field of ours to the answer: that has an end long before the list's limit.
static void add(mg_file_answer *f, mg_field_id id, mg_str value) {
    mg_str kept = {mg_arena_copy(&f->x->arena, value), value.n};
    (void)mg_fields_add_id(&f->answer.fields, id, kept);
}

static void add_fields_of_file(mg_file_answer *f) {
    (void)mg_fields_copy(&f->answer.fields, &f->fields);
}

static void answer_unchanged(mg_file_answer *f) {
    add_fields_of_file(f);
    answer_short(f, 304);
}

static void add_validators(mg_file_answer *f, const mg_validators *v) {
    char date[MG_DATE_BYTES + 1];
    mg_date_write(date, v->last_modified);
    add(f, MG_FIELD_LAST_MODIFIED, (mg_str){date, MG_DATE_BYTES});
    add(f, MG_FIELD_ETAG, v->etag);
    add(f, MG_FIELD_ACCEPT_RANGES, MG_STR("bytes"));
}

static void add_content_range(mg_file_answer *f, const mg_range *range) {
    mg_buf text = {0};
    if (range != NULL) {
        mg_range_write(&text, *range, f->size);
    } else {
        mg_buf_printf(&text, "bytes */%llu", (unsigned long long)f->size);
    }
    add(f, MG_FIELD_CONTENT_RANGE, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

// Chooses what to send. False: the range cannot be satisfied.
static bool choose_ranges(mg_file_answer *f, const mg_validators *v) {
    const mg_head *h = &f->x->head;
    const mg_field *range =
        h->method == MG_METHOD_GET ? mg_fields_find(&h->fields, MG_FIELD_RANGE) : NULL;
    mg_range_verdict verdict = MG_RANGE_IGNORE;
    if (range != NULL && f->answer.status == 200 && mg_condition_range_holds(h, v)) {
        verdict = mg_range_parse(range->value, f->size, f->ranges, &f->range_count);
    }
    if (verdict == MG_RANGE_UNSATISFIABLE) {
        add_content_range(f, NULL);
        return false;
    }
    if (verdict == MG_RANGE_IGNORE) {
        f->ranges[0] = (mg_range){0, f->size};
        f->range_count = f->size > 0;
        return true;
    }
    f->answer.status = 206;
    f->multipart = f->range_count > 1;
    if (f->multipart) {
        f->part_type = f->answer.content_type;
        f->answer.content_type =
            MG_STR("multipart/byteranges; boundary=moongate-byteranges-3f1c9a70b2d84e65");
    } else {
        add_content_range(f, &f->ranges[0]);
    }
    return true;
}

static void send_content(mg_file_answer *f) {
    mg_exchange *x = f->x;
    add_fields_of_file(f);
    mg_exchange_begin(x, &f->answer, (int64_t)content_length(f));
    if (f->range_count == 0 || x->head.method == MG_METHOD_HEAD) {
        complete(f, (mg_str){NULL, 0});
    } else {
        begin_range(f);
    }
}

// A clock that was set back, or a file from elsewhere: no answer claims to be younger than it is
// (RFC 9110 section 8.8.2.1).
static int64_t changed_at(const mg_exchange *x, const struct stat *st) {
    int64_t now = (int64_t)(mg_loop_wall_ms(x->server->loop) / 1000);
    return st->st_mtim.tv_sec < now ? (int64_t)st->st_mtim.tv_sec : now;
}

static void on_open(void *arg, int status, const struct stat *st) {
    mg_file_answer *f = arg;
    if (status != 0) {
        done(f, status);
        return;
    }
    mg_exchange *x = f->x;
    f->size = (uint64_t)st->st_size;
    mg_validators v = {write_etag(&x->arena, st), changed_at(x, st)};
    mg_condition condition =
        f->answer.status == 200 ? mg_condition_of(&x->head, &v) : MG_CONDITION_GO;
    add_validators(f, &v);
    if (condition == MG_CONDITION_FAILED) {
        answer_short(f, 412);
    } else if (condition != MG_CONDITION_GO) {
        answer_unchanged(f);
    } else if (!choose_ranges(f, &v)) {
        answer_short(f, 416);
    } else {
        send_content(f);
    }
}

// --- starting ---

static const mg_file_events events = {on_open, on_read};

static mg_str keep(mg_exchange *x, mg_str s) {
    return s.n == 0 ? s : (mg_str){mg_arena_copy(&x->arena, s), s.n};
}

// As many again as in the list that is given, which has kept its limit.
static mg_fields keep_fields(mg_exchange *x, const mg_fields *from) {
    mg_fields l;
    mg_fields_init(&l, &x->arena);
    (void)mg_fields_copy(&l, from);
    return l;
}

static mg_app *outer_of(mg_app *app) {
    return ((mg_file_answer *)app)->outer;
}

static void on_body(mg_app *app, mg_exchange *x) {
    outer_of(app)->on_body(outer_of(app), x);
}

static void on_deadline(mg_app *app, mg_exchange *x) {
    outer_of(app)->on_deadline(outer_of(app), x);
}

static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    outer_of(app)->on_gone(outer_of(app), x, why);
}

mg_file_answer *mg_file_answer_start(mg_exchange *x, const mg_answer *a,
                                     const mg_file_answer_options *o) {
    mg_file_answer *f = mg_calloc(1, sizeof *f);
    f->x = x;
    f->on_done = o->on_done;
    f->arg = o->arg;
    f->answer = *a;
    f->answer.fields = keep_fields(x, &a->fields);
    f->fields = keep_fields(x, &o->fields);
    f->answer.content_type =
        a->content_type.n > 0 ? keep(x, a->content_type) : mg_mime_of(mg_str_of(o->path));
    f->app = (mg_app){.on_body = on_body,
                      .on_writable = on_writable,
                      .on_deadline = on_deadline,
                      .on_gone = on_gone};
    f->outer = x->app;
    x->app = &f->app;
    int rc = mg_file_open(&f->file, x->server->loop, o->beneath, o->path, &events, f);
    if (rc != 0) {
        done(f, rc);
        return NULL;
    }
    return f;
}
