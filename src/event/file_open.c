#include "event/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOW = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

static int open_beneath(const char *beneath, const char *path);
static int openat2_beneath(int folder, const char *path);
static int open_component(int folder, const char *name, size_t n, int flags);
static int check_regular(int fd, struct stat *st);

int mg_file_open_now(const char *beneath, const char *path, struct stat *st) {
    int fd;
    if (beneath != NULL) {
        fd = open_beneath(beneath, path);
    } else {
        fd = open(path, HOW);
        fd = fd < 0 ? -errno : fd;
    }
    if (fd < 0) {
        return fd;
    }
    int rc = check_regular(fd, st);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int mg_file_walk(int folder, const char *path) {
    if (path[0] == '/') {
        return -EXDEV;
    }
    int at = -1;
    for (;;) {
        size_t n = strcspn(path, "/");
        const char *rest = path + n + strspn(path + n, "/");
        bool last = *rest == '\0';
        // A slash at the end insists on a folder, as it does for the kernel.
        int flags = last ? HOW : O_PATH | O_CLOEXEC;
        flags |= path[n] == '/' ? O_DIRECTORY : 0;
        int next = open_component(at < 0 ? folder : at, path, n, flags);
        if (at >= 0) {
            close(at);
        }
        if (next < 0 || last) {
            return next;
        }
        at = next;
        path = rest;
    }
}

static int open_beneath(const char *beneath, const char *path) {
    int folder = open(beneath, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -errno;
    }
    int fd = openat2_beneath(folder, path);
    // Some container runtimes answer EPERM for calls that they do not know.
    if (fd == -ENOSYS || fd == -EPERM) {
        fd = mg_file_walk(folder, path);
    }
    close(folder);
    return fd;
}

static int openat2_beneath(int folder, const char *path) {
    struct open_how how = {
        .flags = HOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int open_component(int folder, const char *name, size_t n, int flags) {
    char copy[NAME_MAX + 1];
    if (n == 0) {
        return -ENOENT;
    }
    if (n > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(copy, name, n);
    copy[n] = '\0';
    if (strcmp(copy, "..") == 0) {
        return -EXDEV;
    }
    int fd = openat(folder, copy, flags | O_NOFOLLOW);
    if (fd >= 0) {
        return fd;
    }
    // O_DIRECTORY hides that the component was a link.
    struct stat st;
    int err = errno;
    if (err == ENOTDIR && fstatat(folder, copy, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode)) {
        err = ELOOP;
    }
    return -err;
}

static int check_regular(int fd, struct stat *st) {
    if (fstat(fd, st) != 0) {
        return -errno;
    }
    if (S_ISREG(st->st_mode)) {
        return 0;
    }
    return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
}
