// proxy/spool.h: a request's body that is kept until it is whole: in memory at first, beyond
// MG_SPOOL_MEMORY in a file without a name, which a thread writes and reads. How large it may get
// is the exchange's to bound (limits.body).
#pragma once

#include "base/buf.h"
#include "event/loop.h"

enum { MG_SPOOL_MEMORY = 1 << 20, MG_SPOOL_PIECE = 128 * 1024 };

typedef struct mg_spool mg_spool;

// None of these comes inside a function of this header, nor after mg_spool_free.
typedef struct mg_spool_events {
    void (*on_stored)(void *arg, int status); // what was added; a negative errno: it is lost
    // What stands at `at`, borrowed for the call; or a negative errno.
    void (*on_piece)(void *arg, int status, uint64_t at, mg_str piece);
} mg_spool_events;

// `events` is static.
mg_spool *mg_spool_new(mg_loop *loop, const mg_spool_events *events, void *arg);

// The memory and the file go once no thread is at work on them. Accepts NULL.
void mg_spool_free(mg_spool *s);

// Copies `piece` behind the rest. MG_OK; MG_EAGAIN: taken too, but nothing more before on_stored.
int mg_spool_add(mg_spool *s, mg_str piece);

uint64_t mg_spool_bytes(const mg_spool *s);

// All of it, while it is in memory alone; borrowed until the next add.
bool mg_spool_in_memory(const mg_spool *s, mg_str *out);

// Reads a piece of the file, of which everything is stored and nothing else is being read.
void mg_spool_read(mg_spool *s, uint64_t at);
