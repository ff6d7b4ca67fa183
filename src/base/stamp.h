// base/stamp.h: tells whether a file is still the one that was read.
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

// Zeroed: there was no such file.
typedef struct mg_stamp {
    struct timespec mtime;
    off_t size;
    ino_t inode;
    dev_t device;
} mg_stamp;

static inline mg_stamp mg_stamp_of(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return (mg_stamp){0};
    }
    return (mg_stamp){st.st_mtim, st.st_size, st.st_ino, st.st_dev};
}

static inline bool mg_stamp_same(const mg_stamp *a, const mg_stamp *b) {
    return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->size == b->size && a->inode == b->inode && a->device == b->device;
}
