// server/owner.h: the seam between a connection (server/conn.h) and whose its bytes are: a wire's
// exchange (server/h1.h), a tunnel.
//
// A connection tells its owner what happens; the owner says when the connection changes its state.
#pragma once

#include "server/wire.h"

// Whose the bytes of a connection are. Embedded in what owns them, or static if that keeps nothing.
typedef struct mg_owner_ops mg_owner_ops;
typedef struct mg_owner {
    const mg_owner_ops *ops;
} mg_owner;

struct mg_owner_ops {
    // Takes some of the `n` > 0 bytes, which are borrowed for the call, and returns how many. 0:
    // none for now; they are held until mg_conn_pump.
    size_t (*take)(mg_conn *c, const char *data, size_t n);
    // The peer sends no more. Comes again when all that was held is taken.
    void (*on_fin)(mg_conn *c);
    void (*on_drained)(mg_conn *c);   // all that was queued has left
    void (*on_head_late)(mg_conn *c); // see mg_conn_time_head
    void (*on_stop)(mg_conn *c);      // the server drains
    // The connection has closed: it is to be forgotten. True: what has been sent would look whole
    // to the peer and is not, so it gets a reset.
    bool (*on_closed)(mg_conn *c, mg_gone why);
};

// --- what an owner may do ---

// A request has begun (IDLE to HEAD), and is `owner`'s from now on.
void mg_conn_begin(mg_conn *c, mg_owner *owner);

// The head has not come whole: from the first call on it is timed; on_head_late may come.
void mg_conn_time_head(mg_conn *c);

// It has (HEAD to BUSY).
void mg_conn_busy(mg_conn *c);

// What comes before requests is over (HANDSHAKE to IDLE), it is known which owner reads them
// (IDLE), or all is answered and read (BUSY to IDLE): goes on with what is held.
void mg_conn_idle(mg_conn *c, mg_owner *owner);

// The bytes are no requests any more (BUSY or IDLE to TUNNEL): goes on with what is held.
void mg_conn_tunnel(mg_conn *c, mg_owner *owner);

// Everything is answered and no more will be: what is queued still leaves. `unread`: the peer may
// still be sending. The owner is forgotten.
void mg_conn_finish(mg_conn *c, bool unread);

// The situation is another: starts the deadline that it asks for.
void mg_conn_arm(mg_conn *c);

// Where output is to be appended; it is sent at the end of the turn.
mg_buf *mg_conn_out(mg_conn *c);

// There may be less room than before: sends early what has grown large.
void mg_conn_relieve(mg_conn *c);

// Sends `data` behind what is gathered, without copying it first where the kernel takes it.
void mg_conn_write_through(mg_conn *c, mg_str data);

// The same for several pieces: each goes behind the first `at` bytes of what is gathered.
typedef struct mg_conn_piece {
    size_t at;
    mg_str data;
} mg_conn_piece;
enum { MG_CONN_PIECES = 8 };
void mg_conn_write_between(mg_conn *c, const mg_conn_piece *pieces, int count);

// Sends `data` in the way that suits its size. MG_OK; MG_EAGAIN: taken too, but much is waiting;
// MG_ECLOSED: the peer is gone, or mg_conn_shutdown came before.
int mg_conn_send(mg_conn *c, mg_str data);

// Nothing is sent any more; what is gathered and queued still leaves.
void mg_conn_shutdown(mg_conn *c);

// Closes at once, as a failure to the peer. The owner is not told.
void mg_conn_abort(mg_conn *c);

// Bytes that the peer has not taken yet.
size_t mg_conn_backlog(const mg_conn *c);

// Reading stops, and goes on. What has been read already still comes.
void mg_conn_pause(mg_conn *c);
void mg_conn_resume(mg_conn *c);

// Bytes that the owner did not take; goes on with them.
size_t mg_conn_held(const mg_conn *c);
void mg_conn_pump(mg_conn *c);
