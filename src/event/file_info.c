#include "base/error.h"
#include "base/mem.h"
#include "event/file_now.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_ENTRIES = 64 };

typedef struct listing {
    mg_file_entry *entries;
    size_t count;
    size_t cap;
    size_t max;
} listing;

static mg_file_kind kind_of(mode_t mode);
static int read_entries(DIR *folder, listing *l);
static int add_entry(DIR *folder, listing *l, const struct dirent *e);
static int by_name(const void *a, const void *b);

int mg_file_info_now(const char *path, bool follow, mg_file_info *out) {
    struct stat st;
    if ((follow ? stat(path, &st) : lstat(path, &st)) != 0) {
        return -errno;
    }
    *out = (mg_file_info){
        .kind = kind_of(st.st_mode),
        .mode = st.st_mode & 07777,
        .size = (uint64_t)st.st_size,
        .modified_s = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9,
    };
    return MG_OK;
}

int mg_file_list_now(const char *path, size_t max, mg_file_entry **out, size_t *count) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        int err = errno;
        close(fd);
        return -err;
    }
    listing l = {.max = max};
    int rc = read_entries(folder, &l);
    closedir(folder);
    if (rc != MG_OK) {
        mg_file_free_entries(l.entries, l.count);
        return rc;
    }
    if (l.count > 0) {
        qsort(l.entries, l.count, sizeof *l.entries, by_name);
    }
    *out = l.entries;
    *count = l.count;
    return MG_OK;
}

void mg_file_free_entries(mg_file_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mg_free(entries[i].name);
    }
    mg_free(entries);
}

static mg_file_kind kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return MG_FILE_REGULAR;
    case S_IFDIR:
        return MG_FILE_FOLDER;
    case S_IFLNK:
        return MG_FILE_LINK;
    default:
        return MG_FILE_OTHER;
    }
}

static int read_entries(DIR *folder, listing *l) {
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(folder); // a stream of its own: no thread shares it
        if (e == NULL) {
            return -errno;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            int rc = add_entry(folder, l, e);
            if (rc != MG_OK) {
                return rc;
            }
        }
    }
}

static int add_entry(DIR *folder, listing *l, const struct dirent *e) {
    struct stat st = {.st_mode = DTTOIF((mode_t)e->d_type)};
    bool known = fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!known && errno == ENOENT) {
        return MG_OK; // deleted meanwhile
    }
    if (l->count == l->max) {
        return -EFBIG;
    }
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? FIRST_ENTRIES : l->cap * 2;
        l->entries = mg_realloc(l->entries, l->cap * sizeof *l->entries);
    }
    l->entries[l->count++] = (mg_file_entry){
        .name = mg_strdup(e->d_name),
        .kind = kind_of(st.st_mode),
        .size = known && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1,
    };
    return MG_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const mg_file_entry *)a)->name, ((const mg_file_entry *)b)->name);
}
