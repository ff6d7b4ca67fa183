// event/file_work.h: whole orders to the file system, each carried out by a thread in one go.
#pragma once

#include "base/str.h"
#include "event/task.h"

#include <sys/types.h>

typedef enum mg_file_verb {
    MG_FILE_WRITE,         // replaces the content: all of it or nothing, whatever happens meanwhile
    MG_FILE_APPEND,        // behind what is there; a part may be written when it fails
    MG_FILE_INFO,          // what `path` is
    MG_FILE_LIST,          // what is in the folder, sorted by the names' bytes
    MG_FILE_DELETE,        // anything but a folder
    MG_FILE_DELETE_FOLDER, // an empty one
    MG_FILE_RENAME,        // to `to`, replacing a file of that name
    MG_FILE_MAKE_FOLDER,   // with those above it; one that is there already is fine
} mg_file_verb;

// What is not set does not matter to the verb.
typedef struct mg_file_order {
    mg_file_verb verb;
    const char *path;
    const char *to;
    mg_str data;
    int mode;          // of the written file, exactly; -1: as it was, 0644 less umask for a new one
    bool make_folders; // those above the written file
    bool sync;         // done means: on the disk
    bool follow;       // MG_FILE_INFO: of what a link leads to
    size_t max;        // MG_FILE_LIST: -EFBIG beyond so many entries
} mg_file_order;

typedef enum mg_file_kind {
    MG_FILE_REGULAR,
    MG_FILE_FOLDER,
    MG_FILE_LINK,
    MG_FILE_OTHER,
} mg_file_kind;

typedef struct mg_file_info {
    mg_file_kind kind;
    mode_t mode; // the lower 12 bits
    uint64_t size;
    double modified_s; // since 1970
} mg_file_info;

typedef struct mg_file_entry {
    char *name;
    mg_file_kind kind;
    int64_t size; // -1: no regular file, or it could not be told
} mg_file_entry;

// `status` 0, a negative errno, or MG_ECANCELLED; the rest holds what the verb asks for.
typedef struct mg_file_result {
    int status;
    mg_file_info info;
    mg_file_entry *entries;
    size_t count;
} mg_file_result;

typedef struct mg_file_work mg_file_work;

// The order is copied, data included. `on_done` comes once, later; the result is borrowed for the
// call. Returns 0, or a negative code and `on_done` does not come.
int mg_file_work_start(mg_file_work **out, mg_loop *loop, const mg_file_order *order,
                       void (*on_done)(void *arg, const mg_file_result *result), void *arg);

// Not to be called after `on_done`, which still comes, with MG_ECANCELLED. What a thread has begun
// may be carried out all the same; never half, but for MG_FILE_APPEND.
void mg_file_work_cancel(mg_file_work *w);
