// base/snapshot.h: named texts in one sealed memfd: what all workers of a generation load, whatever
// happens on the disk meanwhile.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// Shared: ref and unref. Immutable; may be read from any thread.
typedef struct mg_snapshot mg_snapshot;

// Zeroed is valid.
typedef struct mg_snapshot_writer {
    struct mg_snapshot_entry *entries;
    size_t count;
} mg_snapshot_writer;

void mg_snapshot_add(mg_snapshot_writer *w, mg_str name, mg_str text); // copies both

// What was added, i < count. Borrowed; other texts may be added meanwhile.
mg_str mg_snapshot_writer_name(const mg_snapshot_writer *w, size_t i);
mg_str mg_snapshot_writer_text(const mg_snapshot_writer *w, size_t i);

// Writes all, sorted by name (of equal names the first counts), into the empty memfd `fd` and seals
// it. 0 or a negative errno.
int mg_snapshot_write(mg_snapshot_writer *w, int fd);
void mg_snapshot_writer_deinit(mg_snapshot_writer *w);

int mg_snapshot_memfd(void); // empty, sealable, close-on-exec; or a negative errno

// Maps it. `fd` is taken, also if this fails. MG_ESYNTAX and a text if it is not sealed or
// malformed.
int mg_snapshot_open(mg_snapshot **out, int fd, mg_error *err);
mg_snapshot *mg_snapshot_ref(mg_snapshot *s);
void mg_snapshot_unref(mg_snapshot *s);   // accepts NULL
int mg_snapshot_fd(const mg_snapshot *s); // borrowed; -1 once it is hidden

// Closes the descriptor: from here nobody can open the memory again.
void mg_snapshot_hide(mg_snapshot *s);

// Nobody reads it for a while: its pages are none of this process's until somebody does.
void mg_snapshot_rest(const mg_snapshot *s);

size_t mg_snapshot_count(const mg_snapshot *s);
void mg_snapshot_at(const mg_snapshot *s, size_t i, mg_str *name, mg_str *text); // borrowed

// False: there is no such name, and `*text` is left alone.
bool mg_snapshot_find(const mg_snapshot *s, mg_str name, mg_str *text);

// Calls `each` for every name that differs, sorted: '+' only in `b`, '-' only in `a`, '~' other
// text.
void mg_snapshot_compare(const mg_snapshot *a, const mg_snapshot *b,
                         void (*each)(void *arg, mg_str name, char what), void *arg);

// The format's check over plain memory: MG_OK or MG_ESYNTAX.
int mg_snapshot_check(const char *p, size_t n);
