// store/redis_conn.h: one connection to one Redis server: dials when it is first needed, greets
// (HELLO 3 with AUTH, else AUTH; SELECT; CLIENT SETNAME), sends commands one behind the other,
// tells whose reply is whose, and dials again when it is lost.
//
//   IDLE --a call--> CONNECTING --open--> GREETING --greeted--> READY
//   CONNECTING, GREETING --fault--> DOWN --backoff--> CONNECTING
//   READY --lost--> IDLE (calls are wanted: CONNECTING at once; it was stuck: DOWN)
//
// Until it is ready for the first time, calls wait for it. While it is DOWN a call fails at once,
// also while it tries again. What has been sent is never sent again: if the connection is lost,
// what came of it is not known, and the fault says so.
//
// An mg_redis_conn owns its stream, its buffers and what it remembers of calls; a call is its
// caller's memory. Nothing of this calls back inside mg_redis_conn_send or mg_redis_call_cancel.
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
    void (*on_ready)(void *arg);                         // greeted: also after it was lost
    void (*on_lost)(void *arg, const mg_redis_fault *f); // after calls have been told
    void (*on_push)(void *arg, const mg_redis_reply *r); // RESP3, or a message of RESP2's pub/sub
} mg_redis_conn_events;

// Borrowed until mg_redis_conn_close: shared by all connections to one service.
typedef struct mg_redis_login {
    const char *user; // NULL: the default one
    // Fills `out` with the password, or leaves it empty; MG_ECONFIG and a text. NULL: none.
    int (*password)(void *arg, mg_buf *out, mg_error *err);
    void *arg;
    uint32_t database;
    const char *client_name;           // NULL: none
    bool resp2;                        // HELLO is not tried
    bool readonly;                     // READONLY is said: a replica of a cluster may answer
    const mg_redis_command *greetings; // more commands of the greeting
    uint32_t greeting_count;
} mg_redis_login;

typedef struct mg_redis_conn_options {
    mg_loop *loop;
    mg_connect_options connect; // host, port, unix_path, tls ...: what it borrows lives as long as
                                // the connection; loop, on_done, arg, stream, events are ours
    const mg_redis_login *login;
    const char *name; // for texts: "redis://host:port"; borrowed
    mg_redis_limits limits;
    uint32_t connect_ms; // for connecting and greeting, together
    uint32_t backoff_ms; // the longest wait between two tries; the first is 1/64 of it
    uint32_t queue;      // calls at most whose reply has not come
    size_t queue_bytes;  // and bytes of commands that have not been sent
    bool messages;       // of pub/sub, also in RESP2: arrays that begin with its words are pushes
    mg_deadlines *deadlines; // borrowed: for calls whose timeout_ms is its wait; NULL: timers alone
    const mg_redis_conn_events *events;
    void *arg;
} mg_redis_conn_options;

mg_redis_conn *mg_redis_conn_new(const mg_redis_conn_options *o);

// Calls under way are forgotten. Not inside of a call back of a codec's. The memory goes later.
void mg_redis_conn_close(mg_redis_conn *c); // accepts NULL

// Dials though no call wants it.
void mg_redis_conn_open(mg_redis_conn *c);

// Drops the stream as if it had been lost (of a failover), and begins anew.
void mg_redis_conn_renew(mg_redis_conn *c, const char *why);

// Begins `call` with `count` commands that stand in `commands`; they are copied. MG_OK;
// MG_ELIMIT: the queue is full; MG_ECLOSED: it is down, and mg_redis_conn_why says why. Sent when
// the turn ends, in one write with others.
int mg_redis_conn_send(mg_redis_conn *c, mg_redis_call *call, mg_str commands, uint32_t count);

// Its replies are nobody's any more; if it has not been sent it never is. Not after its end.
void mg_redis_call_cancel(mg_redis_call *call);

mg_redis_state mg_redis_conn_state(const mg_redis_conn *c);
const char *mg_redis_conn_why(const mg_redis_conn *c); // why it is down, or was lost; "" never
bool mg_redis_conn_is_resp3(const mg_redis_conn *c);
uint32_t mg_redis_conn_waiting(const mg_redis_conn *c); // calls whose replies have not come
uint64_t mg_redis_conn_head_ms(const mg_redis_conn *c); // how long the first of them has waited
bool mg_redis_conn_usable(const mg_redis_conn *c);      // a send would not fail at once
