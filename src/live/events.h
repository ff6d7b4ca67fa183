// live/events.h: event streams (Server-sent events) that C answers: each subscribes to topics, and
// is sent what is published there until its client leaves.
//
// The exchange belongs to no generation any more once its stream has begun: a reload does not touch
// it, and it holds no scripts. A stream owns itself. All streams of a worker are in one
// mg_event_streams, which the worker owns and ends.
#pragma once

#include "event/deadline.h"
#include "live/topics.h"
#include "server/answer.h"

typedef struct mg_event_streams mg_event_streams;
typedef struct mg_event_stream mg_event_stream;

// What happens to who takes its messages more slowly than they come, once its outbox is full.
typedef enum mg_slow {
    MG_SLOW_CLOSE, // it is cut off, and may come again
    MG_SLOW_SKIP,  // it does not get them
} mg_slow;

// Borrowed for the call.
typedef struct mg_event_stream_options {
    const mg_str *topics; // good names
    size_t topic_count;
    uint32_t heartbeat_ms; // of silence, until a comment is sent; 0: none is
    uint32_t most_ms;      // that it may last; 0: any
    int64_t retry_ms;      // told to the client: after what time it is to come again; -1: nothing
    mg_slow slow;
} mg_event_stream_options;

typedef struct mg_event_streams_status {
    uint32_t streams; // now
    uint64_t slow;    // streams that were cut off for being slow
    uint64_t skipped; // messages that slow streams did not get
} mg_event_streams_status;

// Borrows both. `outbox_bytes`: what may wait for one stream.
mg_event_streams *mg_event_streams_new(mg_loop *loop, mg_topics *t, size_t outbox_bytes);
void mg_event_streams_free(mg_event_streams *s); // there are no streams any more. Accepts NULL
void mg_event_streams_set_outbox(mg_event_streams *s, size_t bytes);

// Subscribes. MG_ELIMIT and a text if it may not.
int mg_event_stream_new(mg_event_stream **out, mg_event_streams *all,
                        const mg_event_stream_options *o, mg_error *err);

// And begins, in the same turn: answers with the head of `a`. `x` is the stream's from now on; who
// had it has let go of it. The answer to a HEAD ends at once.
void mg_event_stream_begin(mg_event_stream *s, mg_exchange *x, const mg_answer *a);

// The server stops: every stream ends, behind what was sent; clients that come again find another
// server.
void mg_event_streams_end(mg_event_streams *s);

mg_event_streams_status mg_event_streams_read(const mg_event_streams *s);
