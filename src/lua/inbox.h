// lua/inbox.h: bytes that came and that no script has read yet, and what a read gets of them.
//
// Pure. Zeroed memory is a valid empty one.
#pragma once

#include "base/buf.h"

enum {
    MG_INBOX_HELD = 64 * 1024,            // held though nobody wants so much; then reading pauses
    MG_INBOX_READ_MAX = 16 * 1024 * 1024, // that a script may ask for in one piece
    MG_INBOX_DELIMITER_MAX = 256,
};

typedef struct mg_inbox {
    mg_buf bytes;
    size_t at; // what is before it was read
    bool fin;  // no more comes
} mg_inbox;

typedef enum mg_want_kind {
    MG_WANT_SOME,  // whatever there is
    MG_WANT_BYTES, // `n` of them; fewer only at the end
    MG_WANT_UNTIL, // all before the delimiter, which is taken away
    MG_WANT_LINE,  // all before LF or CRLF; the last line may have none
} mg_want_kind;

typedef struct mg_want {
    mg_want_kind kind;
    size_t n; // of bytes; for UNTIL and LINE the most that may come before the delimiter
    mg_str delimiter;
    size_t seen; // bytes held in which no delimiter begins; 0 to start with
} mg_want;

typedef enum mg_inbox_verdict {
    MG_INBOX_MORE,   // it has not come yet
    MG_INBOX_PIECE,  // it is there
    MG_INBOX_END,    // nothing is left, and nothing comes
    MG_INBOX_LIMIT,  // there is more before the delimiter than may be
    MG_INBOX_BROKEN, // the end came before the delimiter
} mg_inbox_verdict;

void mg_inbox_deinit(mg_inbox *in);
void mg_inbox_add(mg_inbox *in, mg_str data);

// Bytes that are held.
static inline size_t mg_inbox_held(const mg_inbox *in) {
    return in->bytes.n - in->at;
}

// Looks for what is wanted. PIECE: `*piece` is it, borrowed, and `*used` bytes go with it.
mg_inbox_verdict mg_inbox_look(const mg_inbox *in, mg_want *w, mg_str *piece, size_t *used);

// Takes `used` bytes away.
void mg_inbox_take(mg_inbox *in, size_t used);

// Whether so much is held that no more should come while `w` (NULL: nobody) waits.
bool mg_inbox_is_full(const mg_inbox *in, const mg_want *w);
