#include "live/events.h"

#include "base/mem.h"
#include "http/event_text.h"
#include "live/outbox.h"
#include "server/kept_record.h"

#include <assert.h>

// Streams with the same wait between heartbeats, as long as there are any.
typedef struct rhythm {
    mg_deadlines deadlines; // first
    mg_link link;
    uint32_t streams;
} rhythm;

struct mg_event_stream {
    mg_app app; // first: the seam's functions get it
    mg_subscriber subscriber;
    mg_event_streams *all;
    mg_exchange *x;
    mg_link link;
    mg_deadline silence;
    rhythm *rhythm;         // NULL: no heartbeats
    mg_kept_record *record; // its line in the access log; NULL: none
    mg_outbox *outbox;
    mg_event_stream_options options; // but for the topics
};

struct mg_event_streams {
    mg_loop *loop;
    mg_topics *topics;
    size_t outbox_bytes;
    mg_link streams;
    mg_link rhythms;
    mg_event_streams_status status;
    bool ending; // the server stops
};

// --- heartbeats ---

static void on_silence(mg_deadlines *q, mg_deadline *d) {
    mg_event_stream *s = MG_OF(d, mg_event_stream, silence);
    if (mg_exchange_backlog(s->x) == 0) {
        (void)mg_exchange_write(s->x, MG_EVENT_HEARTBEAT); // if it is gone, on_gone says so
    }
    mg_deadline_start(q, d);
}

static rhythm *rhythm_of(mg_event_streams *all, uint32_t ms) {
    for (mg_link *l = all->rhythms.next; l != &all->rhythms; l = l->next) {
        rhythm *r = MG_OF(l, rhythm, link);
        if (r->deadlines.wait_ms == ms) {
            return r;
        }
    }
    rhythm *r = mg_calloc(1, sizeof *r);
    mg_deadlines_init(&r->deadlines, all->loop, ms, on_silence);
    mg_link_append(&all->rhythms, &r->link);
    return r;
}

static void begin_rhythm(mg_event_stream *s, uint32_t ms) {
    if (ms > 0) {
        s->rhythm = rhythm_of(s->all, ms);
        s->rhythm->streams++;
        mg_deadline_start(&s->rhythm->deadlines, &s->silence);
    }
}

static void end_rhythm(mg_event_stream *s) {
    rhythm *r = s->rhythm;
    mg_deadline_stop(&s->silence);
    if (r != NULL && --r->streams == 0) {
        mg_deadlines_deinit(&r->deadlines);
        mg_link_remove(&r->link);
        mg_free(r);
    }
}

static void not_silent(mg_event_stream *s) {
    if (s->rhythm != NULL) {
        mg_deadline_start(&s->rhythm->deadlines, &s->silence);
    }
}

// --- the end ---

// The exchange is somebody else's matter from here on.
static void dispose(mg_event_stream *s, bool aborted) {
    mg_kept_record_tell(s->record, s->x != NULL ? s->x->body_bytes_out : 0, aborted);
    mg_subscriber_leave(&s->subscriber);
    end_rhythm(s);
    mg_link_remove(&s->link);
    s->all->status.streams--;
    mg_outbox_clear(&s->outbox);
    mg_free(s);
}

static void end(mg_event_stream *s) {
    mg_exchange *x = s->x;
    dispose(s, false);
    mg_exchange_end(x, NULL);
}

static void cut_off(mg_event_stream *s) {
    mg_exchange *x = s->x;
    s->all->status.slow++;
    dispose(s, true);
    mg_exchange_abort(x);
}

// --- messages ---

static void encode(const mg_publication *m, const void *arg, mg_buf *out) {
    (void)arg;
    const mg_event_text e = {
        .event = m->event, .id = m->id, .data = m->payload, .has_data = true, .retry_ms = -1};
    mg_event_write(out, &e);
}

static mg_str bytes_of(mg_packet *p) {
    return mg_packet_bytes(p, MG_FORM_EVENT, encode, NULL);
}

static void send_waiting(mg_event_stream *s) {
    mg_packet *p;
    while (mg_exchange_backlog(s->x) == 0 && (p = mg_outbox_take(&s->outbox)) != NULL) {
        (void)mg_exchange_write(s->x, bytes_of(p)); // if it is gone, on_gone says so
        mg_packet_unref(p);
    }
}

// One message is always taken, however large its form is.
static void on_message(mg_subscriber *subscriber, mg_packet *p) {
    mg_event_stream *s = MG_OF(subscriber, mg_event_stream, subscriber);
    if (p->message.kind == MG_PACKET_BINARY) {
        return; // the format is text
    }
    if (s->x == NULL) { // it begins in this turn
        mg_outbox_add(&s->outbox, p);
        return;
    }
    mg_str bytes = bytes_of(p);
    size_t waits = mg_exchange_backlog(s->x) + mg_outbox_bytes(s->outbox);
    if (waits == 0) {
        (void)mg_exchange_write(s->x, bytes); // if it is gone, on_gone says so
        not_silent(s);
    } else if (waits + bytes.n <= s->all->outbox_bytes) {
        mg_outbox_add(&s->outbox, p);
    } else if (s->options.slow == MG_SLOW_SKIP) {
        s->all->status.skipped++;
    } else {
        cut_off(s);
    }
}

static const mg_subscriber_ops subscriber_ops = {.on_message = on_message};

// --- the seam ---

static void on_request(mg_app *app, mg_exchange *x) {
    (void)app;
    (void)x;
    assert(false); // it is given to a stream when it is answered
}

static void on_body(mg_app *app, mg_exchange *x) {
    (void)app;
    (void)x;
}

static void on_writable(mg_app *app, mg_exchange *x) {
    mg_event_stream *s = (mg_event_stream *)app;
    (void)x;
    send_waiting(s);
    not_silent(s);
}

static void on_deadline(mg_app *app, mg_exchange *x) {
    (void)x;
    end((mg_event_stream *)app);
}

static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    (void)x;
    (void)why;
    dispose((mg_event_stream *)app, true);
}

// --- the beginning ---

static int subscribe(mg_event_stream *s, const mg_event_stream_options *o, mg_error *err) {
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < o->topic_count; i++) {
        rc = mg_topics_subscribe(&s->subscriber, o->topics[i], err);
    }
    return rc;
}

int mg_event_stream_new(mg_event_stream **out, mg_event_streams *all,
                        const mg_event_stream_options *o, mg_error *err) {
    mg_event_stream *s = mg_calloc(1, sizeof *s);
    s->app = (mg_app){
        .on_request = on_request,
        .on_body = on_body,
        .on_writable = on_writable,
        .on_deadline = on_deadline,
        .on_gone = on_gone,
    };
    s->all = all;
    s->options = *o;
    mg_subscriber_init(&s->subscriber, all->topics, &subscriber_ops);
    mg_deadline_init(&s->silence);
    mg_link_append(&all->streams, &s->link);
    all->status.streams++;
    int rc = subscribe(s, o, err);
    if (rc != MG_OK) {
        dispose(s, false);
        s = NULL;
    }
    *out = s;
    return rc;
}

static void tell_retry(mg_exchange *x, int64_t retry_ms) {
    if (retry_ms >= 0) {
        mg_buf text = {0};
        mg_event_write(&text, &(mg_event_text){.retry_ms = retry_ms});
        (void)mg_exchange_write(x, mg_buf_str(&text));
        mg_buf_deinit(&text);
    }
}

void mg_event_stream_begin(mg_event_stream *s, mg_exchange *x, const mg_answer *a) {
    s->x = x;
    mg_exchange_hand_over(x, a->status, &s->app);
    s->record = mg_exchange_keep_record(x, a->status);
    mg_exchange_begin(x, a, -1);
    if (x->head.method == MG_METHOD_HEAD || s->all->ending) {
        end(s);
        return;
    }
    tell_retry(x, s->options.retry_ms);
    send_waiting(s);
    mg_exchange_set_deadline(x, s->options.most_ms);
    begin_rhythm(s, s->options.heartbeat_ms);
    mg_exchange_drop_request(x);
}

// --- all of them ---

mg_event_streams *mg_event_streams_new(mg_loop *loop, mg_topics *t, size_t outbox_bytes) {
    mg_event_streams *s = mg_calloc(1, sizeof *s);
    s->loop = loop;
    s->topics = t;
    s->outbox_bytes = outbox_bytes;
    mg_link_init(&s->streams);
    mg_link_init(&s->rhythms);
    return s;
}

void mg_event_streams_free(mg_event_streams *s) {
    if (s != NULL) {
        assert(mg_link_alone(&s->streams));
        mg_free(s);
    }
}

void mg_event_streams_set_outbox(mg_event_streams *s, size_t bytes) {
    s->outbox_bytes = bytes;
}

void mg_event_streams_end(mg_event_streams *s) {
    s->ending = true;
    while (!mg_link_alone(&s->streams)) { // with one, others of its connection may go
        end(MG_OF(s->streams.next, mg_event_stream, link));
    }
}

mg_event_streams_status mg_event_streams_read(const mg_event_streams *s) {
    return s->status;
}
