// client/call_wire.h: the seam between calls and what carries them: a table of functions downwards,
// and the calls with which a wire tells of responses.
//
//     call.c, call_*.c   what is wanted, how long and how often it is tried, what comes of it
//        |                    mg_call_wire
//     h1_call.c          a wire: makes bytes of requests, and responses of bytes
//     h2_call.c          another one: many calls at a time
//        |
//     outbound.c         a connection: its stream and states; client.c says which call gets which
//
// A connection has one wire, which it has chosen when it was opened, and may carry as many calls as
// that has places for. What a wire keeps of a connection is its `session`, of a call its `stream`;
// neither a call nor whoever made it knows more of its wire than this table.
#pragma once

#include "client/client_inside.h"
#include "http/message.h"

// A static table.
struct mg_call_wire {
    // --- of a connection that is open ---

    void (*open)(mg_outbound *c);  // makes c->session
    void (*close)(mg_outbound *c); // frees it: the connection's memory goes, no call is on it
    // It is about to be closed: a last word. NULL: there is none.
    void (*leave_off)(mg_outbound *c);

    // Whether one more call may begin on it now. `repeatable`: that one could be sent again, so
    // that an end which nobody has read yet does no harm.
    bool (*has_place)(const mg_outbound *c, bool repeatable);

    // Bytes, the end (0: a FIN), room for more bytes: the wire tells those of its calls that it
    // concerns. A connection that has no use any more it closes.
    void (*read)(mg_outbound *c, const char *data, size_t n);
    void (*ended)(mg_outbound *c, int status);
    void (*drained)(mg_outbound *c);

    // --- of a call on it ---

    // Sends the head, and the body unless it is uploaded. A negative code: the connection is lost,
    // which the call knows by this.
    int (*begin)(mg_call *call);
    // Sends a piece of an upload, an empty one for its end, with trailers (NULL: none). A code as
    // above.
    int (*send)(mg_call *call, mg_str piece, const mg_fields *trailers);
    size_t (*backlog)(const mg_call *call); // bytes of it that have not left
    // Those that the peer has not taken: becomes less with each that it takes. A system call.
    size_t (*untaken)(const mg_call *call);
    void (*resume)(mg_call *call); // it is not full any more (mg_call_is_full)

    // The call leaves; if it is not `whole`, its response did not come to its end, or was of no
    // use. Whether the connection can serve further calls.
    bool (*leave)(mg_call *call, bool whole);

    // The call, which has switched (mg_call_switches), leaves what carried it to `t`: all of the
    // connection (mg_outbound_part), or its place on it (mg_outbound_lend).
    void (*take_over)(mg_call *call, mg_tunnel *t);
};

extern const mg_call_wire mg_h1_call_wire; // HTTP/1.1: one call at a time
extern const mg_call_wire mg_h2_call_wire; // HTTP/2

// --- for wires. Any of these may be the last that the call, or its connection, sees: behind each
// --- look whether the call has left.

mg_outbound *mg_call_outbound(const mg_call *call);
void **mg_call_stream(mg_call *call); // the wire's own; NULL when it begins
const mg_call_options *mg_call_wanted(const mg_call *call);
bool mg_call_is_head(const mg_call *call); // a HEAD: its response has no content
mg_arena *mg_call_arena(mg_call *call);    // of its response, for heads and trailers

void mg_call_heard(mg_call *call); // something has come for it

// A head: interim (1xx), after which the arena may be reset, or the final one. Its texts lie in the
// arena.
void mg_call_take_head(mg_call *call, const mg_response *r);

// Whether a response agrees to speak the protocol that the call asked for: one of those, and no
// other; over HTTP/2 by any 2xx (RFC 8441 section 4). To be asked before the head is told; if so
// nothing more is told, and what follows belongs to whoever takes over.
bool mg_call_switches(const mg_call *call, const mg_response *r);

// Whether content, and the end, are to be kept back until resume.
bool mg_call_is_full(mg_call *call);
size_t mg_call_most_at_once(const mg_call *call); // content that is to be given in one piece
void mg_call_take_piece(mg_call *call, mg_str piece);
void mg_call_take_end(mg_call *call, const mg_fields *trailers);
// For now nothing more comes, behind a head too: what has come is told, and time runs for the next.
void mg_call_progress(mg_call *call);

// The server broke the protocol. The call ends.
void mg_call_fail(mg_call *call, const char *code, const char *what);

// The connection ended before the response did; 0: with a FIN. The call ends, or waits for another.
void mg_call_lost(mg_call *call, int status);
// The server says that it has not looked at it. The call waits for another connection, whatever its
// method, or ends.
void mg_call_refused(mg_call *call, const char *what);
// It has not been sent, and cannot be here: it waits for another connection.
void mg_call_once_more(mg_call *call);
void mg_call_drained(mg_call *call); // there may be room again
