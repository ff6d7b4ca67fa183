#include "live/socket.h"

#include "base/mem.h"
#include "event/intake.h"
#include "http/ws_deflate.h"
#include "live/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    SECOND_US = 1000000,
    SMALL = 1024, // a message that goes out in one piece with its head
};

static void set_state(mg_socket *s, mg_socket_state next) {
    static const uint8_t moves[] = {
        [MG_SOCKET_WAITING] = 1 << MG_SOCKET_OPEN | 1 << MG_SOCKET_CLOSED,
        [MG_SOCKET_OPEN] = 1 << MG_SOCKET_CLOSING | 1 << MG_SOCKET_CLOSED,
        [MG_SOCKET_CLOSING] = 1 << MG_SOCKET_CLOSED,
        [MG_SOCKET_CLOSED] = 0,
    };
    assert(moves[s->state] & (1 << next));
    s->state = (uint8_t)next;
}

// --- frames that leave ---

// Nobody can foresee it (RFC 6455 section 10.3).
static const uint8_t *mask_of(const mg_socket *s, uint8_t mask[4]) {
    if (!s->client) {
        return NULL;
    }
    if (getrandom(mask, 4, 0) != 4) {
        abort(); // a kernel without random bytes cannot have come this far
    }
    return mask;
}

static int put(mg_socket *s, mg_str bytes) {
    s->bytes_out += bytes.n;
    return mg_tunnel_write(&s->tunnel, bytes);
}

static int write_frame(mg_socket *s, mg_ws_opcode opcode, bool compressed, mg_str content) {
    uint8_t mask[4];
    char small[MG_WS_HEAD_MAX + SMALL];
    mg_ws_frame frame = {.opcode = opcode, .compressed = compressed, .mask = mask_of(s, mask)};
    if (content.n <= SMALL) {
        size_t n = mg_ws_write_to(small, &frame, content);
        return put(s, (mg_str){small, n});
    }
    if (!s->client) {
        size_t n = mg_ws_write_head(small, &frame, content.n);
        int rc = put(s, (mg_str){small, n});
        return rc == MG_ECLOSED ? rc : put(s, content);
    }
    mg_buf out = {0};
    mg_ws_write(&out, &frame, content);
    int rc = put(s, mg_buf_str(&out));
    mg_buf_deinit(&out);
    return rc;
}

// All windows are the largest one here, of which a message that is no larger than another needs no
// more than that.
static bool may_compress(const mg_socket *s, mg_str message) {
    return s->window_bits > 0 && message.n <= (size_t)1 << s->window_bits;
}

static int write_message(mg_socket *s, mg_packet_kind kind, mg_str data) {
    mg_ws_opcode opcode = kind == MG_PACKET_TEXT ? MG_WS_TEXT : MG_WS_BINARY;
    mg_buf compressed = {0};
    bool smaller = may_compress(s, data) && mg_ws_compress(s->kind->deflate, data, &compressed);
    int rc = write_frame(s, opcode, smaller, smaller ? mg_buf_str(&compressed) : data);
    mg_buf_deinit(&compressed);
    return rc;
}

static void encode(const mg_publication *m, const void *deflate, mg_buf *out) {
    mg_buf compressed = {0};
    bool smaller = deflate != NULL &&
                   mg_ws_compress((mg_ws_deflate *)(uintptr_t)deflate, m->payload, &compressed);
    const mg_ws_frame frame = {
        .opcode = m->kind == MG_PACKET_TEXT ? MG_WS_TEXT : MG_WS_BINARY,
        .compressed = smaller,
    };
    mg_ws_write(out, &frame, smaller ? mg_buf_str(&compressed) : m->payload);
    mg_buf_deinit(&compressed);
}

static int write_packet(mg_socket *s, mg_packet *p) {
    if (s->client) { // each frame has a mask of its own
        return write_message(s, p->message.kind, p->message.payload);
    }
    bool compressed = may_compress(s, p->message.payload);
    mg_packet_form form = compressed ? MG_FORM_DEFLATED : MG_FORM_FRAME;
    return put(s, mg_packet_bytes(p, form, encode, compressed ? s->kind->deflate : NULL));
}

// A Close of ours waits for the opening.
static bool ends_at_once(const mg_socket *s) {
    return s->state == MG_SOCKET_OPEN && s->code != 0;
}

static bool must_wait(const mg_socket *s) {
    return s->state == MG_SOCKET_WAITING || s->outbox != NULL || mg_tunnel_backlog(&s->tunnel) > 0;
}

// What waits goes out as far as the peer takes it; `all`: it is to wait in the tunnel.
static void send_waiting(mg_socket *s, bool all) {
    while (s->outbox != NULL && (all || mg_tunnel_backlog(&s->tunnel) == 0)) {
        mg_packet *p = mg_outbox_take(&s->outbox);
        int rc = write_packet(s, p);
        mg_packet_unref(p);
        if (rc == MG_ECLOSED) {
            mg_outbox_clear(&s->outbox);
        }
    }
}

// --- what is held of the peer's ---

typedef struct mg_socket_intake {
    mg_intake of;
    mg_socket *socket;
} mg_socket_intake;

static void give_up(mg_intake *i);

static void count_held(mg_socket *s) {
    size_t n = s->reader.content.n + s->held.n;
    if (n == 0 && s->intake == NULL) {
        return;
    }
    if (s->intake == NULL) {
        s->intake = mg_malloc(sizeof *s->intake);
        s->intake->socket = s;
        mg_intake_init(&s->intake->of, give_up);
    }
    s->intake->of.paused = s->paused;
    mg_intake_hold(mg_loop_intakes(s->kind->loop), &s->intake->of, n, true);
    if (n == 0) {
        mg_free(s->intake);
        s->intake = NULL;
    }
}

static void drop_held(mg_socket *s) {
    mg_ws_reader_deinit(&s->reader);
    mg_buf_deinit(&s->held);
    count_held(s);
}

// --- the end ---

static void forget(mg_socket *s) {
    mg_deadline_stop(&s->idle);
    mg_deadline_stop(&s->ping);
    mg_outbox_clear(&s->outbox);
    mg_buf_deinit(&s->reason);
    drop_held(s);
    mg_socket_kind_unref(s->kind);
    s->kind = NULL;
}

// The tunnel is over, or has been told to end.
static void finish(mg_socket *s, uint16_t code, mg_str reason) {
    set_state(s, MG_SOCKET_CLOSED);
    s->events->on_closed(s, code, reason);
}

static void end(mg_socket *s, uint16_t code, mg_str reason) {
    mg_tunnel_close(&s->tunnel);
    finish(s, code, reason);
}

static void say_close(mg_socket *s, uint16_t code, mg_str reason) {
    uint8_t mask[4];
    mg_buf out = {0};
    mg_ws_write_close(&out, code, reason, mask_of(s, mask));
    (void)put(s, mg_buf_str(&out)); // who is gone needs no goodbye
    mg_buf_deinit(&out);
}

// Whether what came before its end is to be handled first.
static bool put_off(mg_socket *s, uint16_t code, mg_str reason) {
    if (s->state != MG_SOCKET_OPEN || ends_at_once(s) || s->events->on_ending == NULL ||
        !s->events->on_ending(s)) {
        return false;
    }
    s->ending = code;
    mg_buf_append_str(&s->reason, reason);
    mg_deadline_stop(&s->ping);
    mg_deadline_start(&s->kind->close, &s->idle);
    drop_held(s); // nothing more is read
    return true;
}

// The peer broke a rule, or a limit of ours: it is told why, and no answer is waited for.
static void fail(mg_socket *s, uint16_t code, mg_str why) {
    if (put_off(s, code, why)) {
        s->faulty = true;
        return;
    }
    if (s->state == MG_SOCKET_OPEN) {
        say_close(s, code, why);
    }
    end(s, s->state == MG_SOCKET_OPEN ? code : s->code, why);
}

static void give_up(mg_intake *i) {
    mg_socket *s = MG_OF(i, mg_socket_intake, of)->socket;
    drop_held(s);
    fail(s, MG_WS_TRY_LATER, MG_STR("too many large messages come at the same time"));
}

static void begin_closing(mg_socket *s, uint16_t code, mg_str reason) {
    set_state(s, MG_SOCKET_CLOSING);
    s->code = code;
    say_close(s, code, reason);
    mg_deadline_stop(&s->ping);
    mg_deadline_start(&s->kind->close, &s->idle);
    mg_socket_resume(s); // the peer's answer is to be seen
}

// From here on the caller's: the socket's memory may go with what it is told of.
static mg_buf take_reason(mg_socket *s) {
    mg_buf reason = s->reason;
    s->reason = (mg_buf){0};
    return reason;
}

void mg_socket_close(mg_socket *s, uint16_t code, mg_str reason) {
    if (s->state == MG_SOCKET_WAITING && s->code == 0) {
        s->code = code;
        mg_buf_append_str(&s->reason, reason);
    } else if (s->ending != 0) {
        mg_socket_conclude(s);
    } else if (s->state == MG_SOCKET_OPEN) {
        send_waiting(s, true);
        begin_closing(s, code, reason);
    }
}

void mg_socket_abort(mg_socket *s) {
    if (s->state == MG_SOCKET_OPEN || s->state == MG_SOCKET_CLOSING) {
        mg_tunnel_abort(&s->tunnel);
        finish(s, MG_WS_ABNORMAL, (mg_str){NULL, 0});
    }
}

void mg_socket_deinit(mg_socket *s) {
    if (s->state == MG_SOCKET_OPEN || s->state == MG_SOCKET_CLOSING) {
        set_state(s, MG_SOCKET_CLOSED);
        mg_tunnel_abort(&s->tunnel);
    }
    forget(s);
}

// --- what comes ---

static void heard(mg_socket *s) {
    if (s->state == MG_SOCKET_OPEN) {
        mg_deadline_start(&s->kind->idle, &s->idle);
        mg_deadline_start(&s->kind->ping, &s->ping);
    }
}

// A second's worth may come at once.
static bool is_too_fast(mg_socket *s) {
    uint32_t rate = s->kind->limits.rate;
    uint32_t frames = s->reader.frames;
    s->reader.frames = 0;
    if (rate == 0) {
        return false;
    }
    uint64_t now = mg_loop_now_ms(s->kind->loop) * 1000;
    s->due_us = (s->due_us > now ? s->due_us : now) + (uint64_t)frames * SECOND_US / rate;
    return s->due_us > now + SECOND_US;
}

void mg_socket_conclude(mg_socket *s) {
    if (s->ending == 0 || s->state != MG_SOCKET_OPEN) {
        return;
    }
    mg_buf reason = take_reason(s);
    send_waiting(s, true);
    if (s->ending != MG_WS_ABNORMAL) {
        say_close(s, s->ending, s->faulty ? mg_buf_str(&reason) : (mg_str){NULL, 0});
    }
    end(s, s->ending, mg_buf_str(&reason));
    mg_buf_deinit(&reason);
}

static void on_close_frame(mg_socket *s, const mg_ws_event *e) {
    bool open = s->state == MG_SOCKET_OPEN;
    if (put_off(s, (uint16_t)e->code, e->content)) {
        return;
    }
    if (open) {
        say_close(s, (uint16_t)e->code, (mg_str){NULL, 0}); // RFC 6455 section 5.5.1: its own code
    }
    end(s, e->code == MG_WS_NO_CODE && !open ? s->code : (uint16_t)e->code, e->content);
}

static void on_ping(mg_socket *s, mg_str data) {
    // Whoever does not take the last pong gets no more of them.
    if (s->state == MG_SOCKET_OPEN && mg_tunnel_backlog(&s->tunnel) == 0) {
        (void)write_frame(s, MG_WS_PONG, false, data);
    }
}

static void act(mg_socket *s, const mg_ws_event *e) {
    switch (e->kind) {
    case MG_WS_EVENT_MESSAGE:
        if (s->state == MG_SOCKET_OPEN && !ends_at_once(s)) {
            s->events->on_message(s, e->opcode == MG_WS_TEXT ? MG_PACKET_TEXT : MG_PACKET_BINARY,
                                  e->content);
        }
        break;
    case MG_WS_EVENT_PING:
        on_ping(s, e->content);
        break;
    case MG_WS_EVENT_PONG:
        if (s->events->on_pong != NULL) {
            s->events->on_pong(s, e->content);
        }
        break;
    case MG_WS_EVENT_CLOSE:
        on_close_frame(s, e);
        break;
    case MG_WS_EVENT_FAULT:
        fail(s, (uint16_t)e->code, e->content);
        break;
    case MG_WS_EVENT_NONE:
        break;
    }
}

// Takes what it can off the front of `data`. False: as of take.
static bool read_all(mg_socket *s, mg_str *data) {
    const mg_ws_rules rules = {
        .masked = !s->client,
        .max_message = s->kind->limits.message_bytes,
        .deflate = s->window_bits > 0 ? s->kind->deflate : NULL,
    };
    mg_ws_event e;
    do {
        e = mg_ws_read(&s->reader, &rules, data);
        if (e.kind != MG_WS_EVENT_FAULT && is_too_fast(s)) {
            fail(s, MG_WS_POLICY, MG_STR("messages come faster than is allowed"));
            return false;
        }
        bool last = e.kind == MG_WS_EVENT_CLOSE || e.kind == MG_WS_EVENT_FAULT;
        act(s, &e);
        if (last) {
            return false;
        }
    } while (e.kind != MG_WS_EVENT_NONE && !s->paused && s->state != MG_SOCKET_CLOSED);
    mg_ws_reader_let_go(&s->reader); // the next read may be long in coming
    return s->state != MG_SOCKET_CLOSED;
}

// Without a Close of the peer's.
static void end_abnormally(mg_socket *s) {
    const mg_str none = {NULL, 0};
    if (!put_off(s, MG_WS_ABNORMAL, none)) {
        end(s, s->state == MG_SOCKET_CLOSING ? s->code : MG_WS_ABNORMAL, none);
    }
}

// False: the socket ends, or has ended and may be gone.
static bool take(mg_socket *s, mg_str data) {
    if (!read_all(s, &data)) {
        return false;
    }
    if (data.n > 0) {
        mg_buf_append_str(&s->held, data);
    } else if (s->fin) {
        end_abnormally(s);
        return false;
    }
    count_held(s);
    return true;
}

// --- what the tunnel tells ---

static mg_socket *of(mg_tunnel *t) {
    return MG_OF(t, mg_socket, tunnel);
}

static void on_read(mg_tunnel *t, mg_str data) {
    mg_socket *s = of(t);
    if (s->ending != 0) {
        return; // behind its Close a peer says nothing
    }
    heard(s);
    if (s->paused) {
        mg_buf_append_str(&s->held, data);
        count_held(s);
    } else {
        (void)take(s, data);
    }
}

static void on_fin(mg_tunnel *t) {
    mg_socket *s = of(t);
    s->fin = true;
    if (s->held.n == 0 && s->ending == 0) {
        end_abnormally(s);
    }
}

static void on_drained(mg_tunnel *t) {
    mg_socket *s = of(t);
    send_waiting(s, false);
    if (!must_wait(s)) {
        s->events->on_drained(s);
    }
}

static void on_stop(mg_tunnel *t) {
    of(t)->events->on_stop(of(t));
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    mg_socket *s = of(t);
    uint16_t code = s->state == MG_SOCKET_CLOSING ? s->code
                    : s->ending != 0              ? s->ending
                    : why == MG_GONE_STOP         ? MG_WS_GOING_AWAY
                                                  : MG_WS_ABNORMAL;
    bool by_peer = s->ending != 0;
    mg_buf reason = take_reason(s);
    finish(s, code, by_peer ? mg_buf_str(&reason) : (mg_str){NULL, 0});
    mg_buf_deinit(&reason);
}

static const mg_tunnel_events tunnel_events = {on_read, on_fin, on_drained, on_stop, on_closed};

// --- deadlines ---

static void on_idle(mg_deadlines *q, mg_deadline *d) {
    mg_socket *s = MG_OF(d, mg_socket, idle);
    if (s->paused) { // it is we who do not listen
        mg_deadline_start(q, d);
        return;
    }
    mg_socket_close(s, MG_WS_GOING_AWAY, MG_STR("nothing has come for too long"));
}

static void on_ping_time(mg_deadlines *q, mg_deadline *d) {
    mg_socket *s = MG_OF(d, mg_socket, ping);
    mg_deadline_start(q, d);
    (void)mg_socket_ping(s, (mg_str){NULL, 0});
}

static void on_close_late(mg_deadlines *q, mg_deadline *d) {
    mg_socket *s = MG_OF(d, mg_socket, idle);
    (void)q;
    if (s->ending != 0) {
        mg_socket_conclude(s);
    } else {
        end(s, s->code, (mg_str){NULL, 0});
    }
}

// --- kinds ---

mg_socket_kind *mg_socket_kind_new(mg_loop *loop, const mg_socket_limits *limits,
                                   mg_ws_deflate *z) {
    mg_socket_kind *k = mg_calloc(1, sizeof *k);
    *k = (mg_socket_kind){.loop = loop, .limits = *limits, .deflate = z, .refs = 1};
    mg_deadlines_init(&k->idle, loop, limits->idle_ms, on_idle);
    mg_deadlines_init(&k->ping, loop, limits->ping_ms, on_ping_time);
    mg_deadlines_init(&k->close, loop, limits->close_ms, on_close_late);
    return k;
}

void mg_socket_kind_unref(mg_socket_kind *k) {
    if (k != NULL && --k->refs == 0) {
        mg_deadlines_deinit(&k->idle);
        mg_deadlines_deinit(&k->ping);
        mg_deadlines_deinit(&k->close);
        mg_free(k);
    }
}

void mg_socket_set_kind(mg_socket *s, mg_socket_kind *k) {
    mg_socket_kind *before = s->kind;
    s->kind = mg_socket_kind_ref(k);
    if (s->state == MG_SOCKET_CLOSING || s->ending != 0) {
        mg_deadline_start(&k->close, &s->idle);
    } else {
        heard(s);
    }
    mg_socket_kind_unref(before);
}

// --- life ---

void mg_socket_init(mg_socket *s, const mg_socket_events *events, mg_socket_kind *k, bool client) {
    *s = (mg_socket){.events = events, .kind = mg_socket_kind_ref(k), .client = client};
    s->tunnel.events = &tunnel_events;
    mg_deadline_init(&s->idle);
    mg_deadline_init(&s->ping);
}

void mg_socket_opening(mg_socket *s, unsigned window_bits) {
    set_state(s, MG_SOCKET_OPEN);
    s->window_bits = (uint8_t)window_bits;
    heard(s);
}

void mg_socket_opened(mg_socket *s) {
    if (s->state != MG_SOCKET_OPEN) {
        return;
    }
    send_waiting(s, false);
    if (s->code != 0) {
        mg_buf reason = take_reason(s);
        mg_socket_close(s, s->code, mg_buf_str(&reason));
        mg_buf_deinit(&reason);
    }
}

// --- sending ---

static void keep(mg_socket *s, mg_packet_kind kind, mg_str data) {
    mg_packet *p = mg_packet_new(&(mg_publication){.kind = kind, .payload = data});
    mg_outbox_add(&s->outbox, p);
    mg_packet_unref(p);
}

int mg_socket_send(mg_socket *s, mg_packet_kind kind, mg_str data) {
    if (s->state >= MG_SOCKET_CLOSING || s->code != 0) {
        return MG_ECLOSED;
    }
    if (s->state == MG_SOCKET_WAITING || s->outbox != NULL) {
        keep(s, kind, data);
    } else if (write_message(s, kind, data) == MG_ECLOSED) {
        return MG_ECLOSED;
    } // what waits in the tunnel counts in limits.output, for all together
    return mg_socket_backlog(s) > s->kind->limits.outbox_bytes ? MG_EAGAIN : MG_OK;
}

void mg_socket_send_packet(mg_socket *s, mg_packet *p) {
    if (s->state >= MG_SOCKET_CLOSING || s->code != 0) {
        return;
    }
    if (!must_wait(s)) {
        (void)write_packet(s, p); // who is gone is told of by the tunnel
    } else if (mg_socket_backlog(s) + p->message.payload.n <= s->kind->limits.outbox_bytes) {
        mg_outbox_add(&s->outbox, p);
    } else if (!s->kind->limits.skip) {
        mg_outbox_clear(&s->outbox); // or the peer would have to take it all before it learns why
        mg_socket_close(s, MG_WS_TRY_LATER, MG_STR("messages are not taken fast enough"));
    }
}

int mg_socket_ping(mg_socket *s, mg_str data) {
    if (s->state != MG_SOCKET_OPEN) {
        return MG_ECLOSED;
    }
    return mg_tunnel_backlog(&s->tunnel) > 0 ? MG_EAGAIN : write_frame(s, MG_WS_PING, false, data);
}

size_t mg_socket_backlog(const mg_socket *s) {
    size_t sent = s->state == MG_SOCKET_OPEN ? mg_tunnel_backlog(&s->tunnel) : 0;
    return sent + mg_outbox_bytes(s->outbox);
}

// --- pausing ---

void mg_socket_pause(mg_socket *s) {
    if (!s->paused && s->state == MG_SOCKET_OPEN) {
        s->paused = true;
        mg_tunnel_pause(&s->tunnel);
    }
}

void mg_socket_resume(mg_socket *s) {
    if (!s->paused || s->state == MG_SOCKET_CLOSED || s->ending != 0) {
        return;
    }
    s->paused = false;
    mg_buf held = s->held;
    s->held = (mg_buf){0};
    mg_str data = mg_buf_str(&held);
    bool goes_on = held.n == 0 || take(s, data);
    mg_buf_deinit(&held);
    if (goes_on && !s->paused) {
        mg_tunnel_resume(&s->tunnel);
    }
}
