// store/redis_conn.h: one connection to one Redis server: dials when it is first needed, greets
// (HELLO 3 with AUTH, else AUTH; SELECT; CLIENT SETNAME), sends commands one behind the other,
// tells whose reply is whose, and dials again when it is lost.
//
//   IDLE --a call--> CONNECTING --open--> GREETING --greeted--> READY
//   CONNECTING, GREETING --fault--> DOWN --backoff--> CONNECTING
//   READY --lost--> IDLE, and CONNECTING at once if calls want it; DOWN if it was stuck or short
//   any --close--> CLOSED --stream closed--> freed
//
// Calls wait until it is READY, but from DOWN on until it has been READY again a call fails at
// once; so it does when another one has waited for its greeting in vain (`deadlines`). What has
// been sent is never sent again: if the connection is lost, what came of it is not known, and the
// fault says so. It is dialled anew in the background while somebody has wanted it in the last
// minute.
//
// An mg_redis_conn owns its stream and its buffers; a call is its caller's memory. Nothing calls
// back inside mg_redis_conn_send or mg_redis_call_cancel. In call backs everything is allowed.
#pragma once

#include "event/connect.h"
#include "event/deadline.h"
#include "store/redis_codec.h"

typedef struct mg_redis_command {
    const mg_str *words;
    uint32_t n;
} mg_redis_command;

typedef struct mg_redis_conn mg_redis_conn;
typedef struct mg_redis_call mg_redis_call;

typedef struct mg_redis_fault {
    const char *code; // static: "timeout" "closed" "limit"; of a connect also "dns" "connect" "tls"
                      // "denied"; "auth" when the server refuses us
    const char *text; // a sentence for people, with the server's name; lives for the call
    bool sent;        // the server may have done it
} mg_redis_fault;

// A call is one or several commands that are sent together. Embedded in its caller's struct; ours
// but for the first three.
struct mg_redis_call {
    // One reply (borrowed for the call: mg_redis_keep). `left` are still to come; with 0 the call
    // is over and its memory may go. An error of the server is a reply.
    void (*on_reply)(mg_redis_call *c, const mg_redis_reply *r, uint32_t left);
    // No reply comes any more; the call is over.
    void (*on_fault)(mg_redis_call *c, const mg_redis_fault *fault);
    uint32_t timeout_ms; // 0: no deadline of its own; else see mg_redis_conn_options

    mg_redis_conn *conn; // NULL: over, or not begun
    uint64_t number;     // among those of its connection
    uint64_t since_ms;
    mg_deadline deadline;
    mg_timer timer;
};

typedef enum mg_redis_state {
    MG_REDIS_IDLE,
    MG_REDIS_CONNECTING,
    MG_REDIS_GREETING,
    MG_REDIS_READY,
    MG_REDIS_DOWN,
    MG_REDIS_CLOSED,
} mg_redis_state;

typedef struct mg_redis_conn_events {
    // It has been greeted: also after it was lost.
    void (*on_ready)(void *arg, mg_redis_conn *c);
    // Comes behind the faults of its calls. NULL: nobody cares, as with all of these.
    void (*on_lost)(void *arg, mg_redis_conn *c, const mg_redis_fault *f);
    void (*on_push)(void *arg, mg_redis_conn *c, const mg_redis_reply *r);
    // It wants to dial: mg_redis_conn_found, or _not_found, now or later. NULL: the host is known.
    void (*on_where)(void *arg, mg_redis_conn *c);
    // A reply is an error of the server: comes before its call is told.
    void (*on_error)(void *arg, mg_redis_conn *c, const mg_redis_reply *r);
} mg_redis_conn_events;

// Borrowed until the connection is closed: all to one service share it.
typedef struct mg_redis_login {
    const char *user; // NULL: the default one
    // Fills `out` with the password, terminated; empty: none. MG_ECONFIG and a text.
    int (*password)(const void *arg, mg_buf *out, mg_error *err);
    const void *arg;
    uint32_t database;
    const char *client_name;           // NULL: none
    const char *role;                  // "master": any other server is refused; NULL: all are good
    bool resp2;                        // HELLO is not tried
    bool readonly;                     // READONLY is said: a replica of a cluster may answer
    const mg_redis_command *greetings; // more commands, said last; they rely on RESP3
    uint32_t greeting_count;
} mg_redis_login;

typedef struct mg_redis_conn_options {
    // host, port, unix_path, dns, tls, demands, server_name; what it borrows lives as long as the
    // connection. The rest of it is ours.
    mg_connect_options connect;
    const mg_redis_login *login;
    const char *name; // for texts: "redis://host:port"; borrowed
    mg_redis_limits limits;
    uint32_t connect_ms;     // for connecting and greeting, together
    uint32_t backoff_ms;     // the longest wait between two tries; the first is 1/64 of it
    uint32_t ping_ms;        // after so long without a word it is asked for one; 0: it is not
    uint32_t queue;          // calls at most whose replies have not come
    size_t queue_bytes;      // and bytes of commands that have not been sent
    bool once;               // what was lost stays so: it has a state that calls rely on
    bool listens;            // of pub/sub: every reply is a push, and it is always wanted
    mg_deadlines *deadlines; // borrowed: of calls with its wait (mg_redis_call_late); NULL: none
    const mg_redis_conn_events *events;
    void *arg;
} mg_redis_conn_options;

mg_redis_conn *mg_redis_conn_new(mg_loop *loop, const mg_redis_conn_options *o);

// Calls under way are forgotten. The memory goes later. Accepts NULL.
void mg_redis_conn_close(mg_redis_conn *c);

// Dials though no call wants it.
void mg_redis_conn_dial(mg_redis_conn *c);

// It is lost, since it is no good any more (a failover); begins anew if it is wanted.
void mg_redis_conn_renew(mg_redis_conn *c, const char *why);

// Answers on_where. The host is borrowed until the connection is closed, or is asked again.
void mg_redis_conn_found(mg_redis_conn *c, const char *host, uint16_t port);
void mg_redis_conn_not_found(mg_redis_conn *c, const mg_redis_fault *why);

// Begins `call`, of `count` commands that stand in `commands`; they are copied. MG_OK; MG_ELIMIT:
// the queue is full; MG_ECLOSED: it is down, mg_redis_conn_why says why. Sent when the turn ends,
// in one write with others.
int mg_redis_conn_send(mg_redis_conn *c, mg_redis_call *call, mg_str commands, uint32_t count);

extern const char mg_redis_conn_full[]; // MG_ELIMIT as a sentence without the name

// Its replies are nobody's any more; what has not been sent never is. Not after its end.
void mg_redis_call_cancel(mg_redis_call *call);

// Sends commands without waiting for replies: where all of them are pushes. Only while READY.
void mg_redis_conn_say(mg_redis_conn *c, mg_str commands);

void mg_redis_call_late(mg_deadlines *q, mg_deadline *d); // for mg_deadlines_init

mg_redis_state mg_redis_conn_state(const mg_redis_conn *c);
const char *mg_redis_conn_why(const mg_redis_conn *c); // why it is down, or was lost; "": never was
bool mg_redis_conn_is_resp3(const mg_redis_conn *c);
bool mg_redis_conn_usable(const mg_redis_conn *c);       // a send would not fail at once
uint32_t mg_redis_conn_waiting(const mg_redis_conn *c);  // calls whose replies have not come
uint64_t mg_redis_conn_head_ms(const mg_redis_conn *c);  // how long the first of them has waited
uint64_t mg_redis_conn_quiet_ms(const mg_redis_conn *c); // since something came
