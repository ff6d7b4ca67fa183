// event/file.h: files through the thread pool; the loop never waits for a disk.
#pragma once

#include "event/task.h"

#include <sys/stat.h>

typedef struct mg_file_read mg_file_read;

// Reads a whole regular file of at most `max_bytes`. `on_done(arg, status, data, n)` comes once,
// later: status 0 and the bytes (borrowed for the call), or a negative errno (-EFBIG beyond the
// limit, -EISDIR, -ENOENT, ...), or MG_ECANCELLED.
int mg_file_read_all(mg_file_read **out, mg_loop *loop, const char *path, size_t max_bytes,
                     void (*on_done)(void *arg, int status, const char *data, size_t n), void *arg);
void mg_file_read_cancel(mg_file_read *r);

// An open regular file that is read piecewise for an answer. One operation at a time.
typedef struct mg_file mg_file;
typedef struct mg_file_events {
    // `st` is NULL unless status is 0.
    void (*on_open)(void *arg, int status, const struct stat *st);
    // `data` is borrowed for the call. `n` 0: end of file.
    void (*on_read)(void *arg, int status, const char *data, size_t n);
} mg_file_events;

// Opens for reading: close-on-exec, non-blocking (a FIFO must not hang a thread), regular files
// only (-EISDIR, -EINVAL). `beneath` NULL: `path` as it is. Else `path` is relative and resolved
// below that folder by openat2 RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS: a link
// that stays inside is followed
// (-ENOENT, -EXDEV, -ELOOP are passed on); where the kernel lacks openat2, each component is opened
// with O_NOFOLLOW. -EMFILE if no descriptor is left (event/descriptors.h).
int mg_file_open(mg_file **out, mg_loop *loop, const char *beneath, const char *path,
                 const mg_file_events *events, void *arg);

enum { MG_FILE_PIECE_BYTES = 256 * 1024 }; // at most, in one reading

// Reads up to `n` (<= MG_FILE_PIECE_BYTES) bytes at `offset`. MG_EAGAIN if an operation is under
// way.
int mg_file_read_at(mg_file *f, uint64_t offset, size_t n);

// Gives back the memory of the last piece: nothing will be read for a while. Allowed inside
// on_read, which then has no data any more.
void mg_file_rest(mg_file *f);

// No event comes after this; accepts NULL; the memory goes when the thread is done with it.
void mg_file_close(mg_file *f);
