// store/redis_conn_inside.h: the inside of a connection to Redis: redis_conn.c (its life),
// redis_queue.c (its calls), redis_greeting.c (its first words). Not for others.
#pragma once

#include "base/random.h"
#include "store/redis_conn.h"

// A call whose replies are to come.
typedef struct mg_redis_expected {
    mg_redis_call *call; // NULL: nobody wants them
    uint32_t left;       // replies
    uint32_t bytes;      // of its commands
} mg_redis_expected;

// Calls in order. Numbers count up; a call's place is its number among `mask`.
typedef struct mg_redis_queue {
    mg_redis_expected *items;
    uint64_t first, sent, end; // first: the next reply's; from `sent` on: still in `out`
    uint32_t mask;             // room for one more than it; 0: none yet
    uint32_t unwanted;         // of what is in `out`
    uint64_t head_ms;          // when the first one became the first
    mg_buf out;
} mg_redis_queue;

typedef enum mg_redis_step {
    MG_REDIS_HELLO,
    MG_REDIS_REST, // all further commands of a greeting, sent together
} mg_redis_step;

struct mg_redis_conn {
    mg_redis_conn_options o;
    mg_loop *loop;
    mg_redis_state state;
    bool down;       // calls fail at once
    bool has_stream; // open, or closing
    bool resp3;
    bool no_room;   // for another descriptor
    bool dirty;     // the turn is among the loop's
    uint32_t holds; // call backs under way: the memory stays
    uint32_t tries; // in a row that failed
    uint64_t wanted_until_ms, read_ms, ready_ms;
    mg_connect *connect;
    mg_stream stream;
    mg_timer timer; // of connecting and greeting; of the backoff; of pings
    mg_redis_call ping;
    mg_turn turn;
    mg_random random;
    mg_redis_reader reader;
    mg_redis_queue queue;
    mg_redis_step step;
    uint32_t step_left; // replies of the greeting that are to come
    uint32_t forgiven;  // bits: of these replies, an error does not matter
    mg_error why;
};

// --- redis_conn.c ---

// The connection ends; calls are told. `down`: it is left alone for a while.
void mg_redis_conn_lose(mg_redis_conn *c, const char *code, const char *text, bool down);
void mg_redis_conn_greeted(mg_redis_conn *c);
void mg_redis_conn_release(mg_redis_conn *c); // one of `holds`
void mg_redis_conn_dirty(mg_redis_conn *c);   // something is to be sent when the turn ends

// --- redis_queue.c ---

bool mg_redis_queue_is_empty(const mg_redis_queue *q);
void mg_redis_queue_reply(mg_redis_conn *c, const mg_redis_reply *r);
void mg_redis_queue_flush(mg_redis_conn *c);
// All calls that there are now have failed; `code` and `text` as of a fault.
void mg_redis_queue_fail(mg_redis_conn *c, const char *code, const char *text);
void mg_redis_queue_forget(mg_redis_conn *c); // likewise, but nobody is told
void mg_redis_queue_deinit(mg_redis_queue *q);

// --- redis_greeting.c ---

void mg_redis_greet(mg_redis_conn *c);
void mg_redis_greeting_reply(mg_redis_conn *c, const mg_redis_reply *r);
