// client/call.h: one request to another server, and its response.
#pragma once

#include "base/error.h"
#include "client/call_origin.h"
#include "event/tunnel.h"
#include "http/message.h"

typedef struct mg_client mg_client;
typedef struct mg_call mg_call;

typedef struct mg_call_timeouts {
    uint32_t wait_ms;       // for a connection, whatever hinders that; 0: for ever
    uint32_t connect_ms;    // name, dial and handshake of a connection that is opened for it
    uint32_t first_byte_ms; // from the connection until the response's head
    uint32_t total_ms;      // all of it, waiting included; of a streamed response until its head
    uint32_t idle_ms;       // between two pieces of a streamed response, or of a duplex upload
} mg_call_timeouts;

typedef struct mg_call_options {
    const mg_call_origin *origin; // borrowed for the call of mg_call_start
    mg_call_timeouts timeouts;
    mg_str method;
    mg_str target;      // as it is asked for: path and query, "*"
    mg_str authority;   // what Host tells
    mg_fields fields;   // without those of host, framing and connection
    mg_str protocol;    // that is to be spoken instead (RFC 9110 section 7.8); empty: HTTP goes on.
                        // See mg_call_take_over
    mg_str body;        // unless `upload`
    bool has_body;      // Content-Length is sent, even if it is 0
    bool lasting;       // all of these texts outlive the call: nothing is copied
    bool upload;        // the body comes through mg_call_send
    bool duplex;        // and goes on coming behind the response's head
    int64_t length;     // of an upload; -1: chunked
    bool idempotent;    // may be sent again on a fresh connection (RFC 9110 section 9.2.2)
    bool fresh;         // on a connection that has served nobody: what is sent again by its owner
    bool trailers;      // they are welcome: HTTP/2 says so in TE
    bool decode;        // gzip and deflate
    bool stream;        // the body is taken piece by piece
    uint64_t max_bytes; // of the decoded body (a streamed one: in total)
} mg_call_options;

typedef enum mg_call_state {
    MG_CALL_WAITS,  // for a connection
    MG_CALL_SENT,   // or on its way: for the response's head
    MG_CALL_BODY,   // the head is there, the body comes
    MG_CALL_DONE,   // the response is whole
    MG_CALL_FAILED, // see the fault
} mg_call_state;

typedef struct mg_call_fault {
    const char *code; // static: dns denied connect tls timeout closed protocol limit
    const char *text; // "http://host:port: what happened"
    bool unsent;      // the server has seen nothing of the request, or says that it did not look
    bool stale;       // on a connection that had served before, and nothing of a response had come;
                      // or the server refused to look at it there (HTTP/2)
} mg_call_fault;

// When it came to that, by mg_loop_now_us; 0: not yet.
typedef struct mg_call_times {
    uint64_t connected_us; // it had a connection, for the last time; 0 too if that had served
    uint64_t head_us;
    bool reused; // the connection had served before
} mg_call_times;

typedef struct mg_call_events {
    // None of these comes inside a function of this header but mg_call_resume_now. The call may be
    // closed inside each.

    // The state, the body or the room for an upload has changed.
    void (*on_change)(void *arg, mg_call *call);
    // An interim response (1xx), which lives for the call of this. NULL: they are passed over.
    void (*on_interim)(void *arg, mg_call *call, const mg_response *r);
    // A streamed call's content is told as it comes, behind MG_CALL_BODY, instead of being kept;
    // the piece is borrowed for the call of this. NULL: it is kept until it is taken.
    void (*on_piece)(void *arg, mg_call *call, mg_str piece);
} mg_call_events;

// Begins. MG_OK and a call that is the caller's to close; its faults come as events.
int mg_call_start(mg_call **out, mg_client *c, const mg_call_options *options,
                  const mg_call_events *events, void *arg);

// No event comes after this. A connection that is not at the end of a response is closed: the
// server sees that. Accepts NULL.
void mg_call_close(mg_call *call);

mg_call_state mg_call_state_of(const mg_call *call);
const mg_call_fault *mg_call_fault_of(const mg_call *call); // NULL unless it failed
mg_call_times mg_call_times_of(const mg_call *call);

// From MG_CALL_BODY on; lives with the call.
const mg_response *mg_call_response(const mg_call *call);
bool mg_call_decoded(const mg_call *call); // its content was coded and is not any more

// The content that has come and was not taken: all of it, unless the call streams.
mg_str mg_call_content(const mg_call *call);
void mg_call_take(mg_call *call, size_t n); // drops so much from its front

// Content is not to come any more until resume: the server waits. The end may come, if all content
// has.
void mg_call_pause(mg_call *call);
void mg_call_resume(mg_call *call);

// The same at once: what has come meanwhile, even the end, is told inside of this.
void mg_call_resume_now(mg_call *call);

// The fields behind the content; from MG_CALL_DONE on.
const mg_fields *mg_call_trailers(const mg_call *call);

// A piece of an upload; `n` 0 ends it. MG_OK; MG_EAGAIN: taken, but wait for mg_call_has_room
// before the next one; MG_ECLOSED: the response is there already (of a duplex call: whole), or the
// call failed; MG_ELIMIT: more or less than the length that was announced.
int mg_call_send(mg_call *call, const char *data, size_t n);

// Ends an upload, with fields behind it (NULL: none), which go out if its length was not announced;
// they outlive the call. As mg_call_send.
int mg_call_finish(mg_call *call, const mg_fields *trailers);
bool mg_call_has_room(const mg_call *call);

// The server speaks the protocol that was asked for: with MG_CALL_BODY its answer is there, 101, or
// 2xx of HTTP/2.
bool mg_call_has_switched(const mg_call *call);

// What comes and goes from now on is `t`'s, whose events are set; what came behind the head is told
// inside of this. Only if it has switched. The call is dead from here on, and its connection counts
// as none of its origin's.
void mg_call_take_over(mg_call *call, mg_tunnel *t);
