// A file is replaced by writing another one beside it and renaming that: readers, and whoever looks
// after a crash, see the old content or the new.

#include "base/error.h"
#include "base/mem.h"
#include "event/file_now.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE = 1 << 20, // between two looks at `stop`
    NEW_MODE = 0644,
    PRIVATE_MODE = 0600, // while the content is incomplete
    FOLDER_MODE = 0755,
    NAME_TRIES = 100,
};

// A replacement under way.
typedef struct replacing {
    const mg_file_order *order;
    const atomic_bool *stop;
    bool unnamed;
    char *path; // without links at its end
    const char *name;
    int folder;
    bool exists;
    struct stat old;
    int fd;
    char temp[NAME_MAX + 1]; // "": it has no name
} replacing;

static int replace(replacing *r);
static int open_folder(replacing *r);
static int look_at_old(replacing *r);
static int open_temp(replacing *r);
static int fill(replacing *r);
static int publish(replacing *r);
static void random_name(replacing *r);
static int write_all(int fd, mg_str data, const atomic_bool *stop);
static int set_mode(const replacing *r);
static char *parent_of(const char *path);
static int make_parents(const char *path);
static int sync_folder(int fd);
static int sync_parent(const char *path);

int mg_file_write_now(const mg_file_order *order, const atomic_bool *stop, bool unnamed) {
    replacing r = {.order = order, .stop = stop, .unnamed = unnamed, .folder = -1, .fd = -1};
    // A link stays, what it leads to is replaced.
    char *real = realpath(order->path, NULL);
    if (real == NULL && errno != ENOENT) {
        return -errno;
    }
    r.path = mg_strdup(real != NULL ? real : order->path);
    free(real);
    int rc = replace(&r);
    if (r.fd >= 0) {
        close(r.fd);
    }
    if (rc != MG_OK && r.temp[0] != '\0') {
        unlinkat(r.folder, r.temp, 0);
    }
    if (r.folder >= 0) {
        close(r.folder);
    }
    mg_free(r.path);
    return rc;
}

static int replace(replacing *r) {
    int rc = open_folder(r);
    if (rc == MG_OK) {
        rc = look_at_old(r);
    }
    if (rc == MG_OK) {
        rc = open_temp(r);
    }
    if (rc == MG_OK) {
        rc = fill(r);
    }
    return rc == MG_OK ? publish(r) : rc;
}

static int open_folder(replacing *r) {
    const char *slash = strrchr(r->path, '/');
    r->name = slash == NULL ? r->path : slash + 1;
    if (*r->name == '\0') {
        return *r->path == '\0' ? -ENOENT : -EISDIR;
    }
    if (strlen(r->name) > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    if (r->order->make_folders) {
        int rc = make_parents(r->path);
        if (rc != MG_OK) {
            return rc;
        }
    }
    char *folder = parent_of(r->path);
    r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = r->folder < 0 ? -errno : MG_OK;
    mg_free(folder);
    return rc;
}

// What open() would refuse is refused here too, though a rename needs no more than the folder.
static int look_at_old(replacing *r) {
    r->exists = fstatat(r->folder, r->name, &r->old, AT_SYMLINK_NOFOLLOW) == 0;
    if (!r->exists) {
        return errno == ENOENT ? MG_OK : -errno;
    }
    if (S_ISLNK(r->old.st_mode)) { // it leads nowhere
        r->exists = false;
        return MG_OK;
    }
    if (!S_ISREG(r->old.st_mode)) {
        return S_ISDIR(r->old.st_mode) ? -EISDIR : -EINVAL;
    }
    return faccessat(r->folder, r->name, W_OK, AT_EACCESS) == 0 ? MG_OK : -errno;
}

// A file without a name goes with this process, whatever ends it. Not every file system has them.
static int open_temp(replacing *r) {
    mode_t mode = r->exists || r->order->mode >= 0 ? PRIVATE_MODE : NEW_MODE;
    if (r->unnamed && access("/proc/self/fd", X_OK) == 0) {
        r->fd = openat(r->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
        if (r->fd >= 0) {
            return MG_OK;
        }
    }
    for (int i = 0; i < NAME_TRIES; i++) {
        random_name(r);
        r->fd = openat(r->folder, r->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
        if (r->fd >= 0) {
            return MG_OK;
        }
        r->temp[0] = '\0';
        if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EEXIST;
}

static int fill(replacing *r) {
    int rc = write_all(r->fd, r->order->data, r->stop);
    if (rc == MG_OK) {
        rc = set_mode(r);
    }
    if (rc == MG_OK && r->order->sync && fsync(r->fd) != 0) {
        rc = -errno;
    }
    return rc;
}

// linkat does not replace: the file gets a name of its own first.
static int give_name(replacing *r) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", r->fd);
    for (int i = 0; i < NAME_TRIES; i++) {
        random_name(r);
        if (linkat(AT_FDCWD, self, r->folder, r->temp, AT_SYMLINK_FOLLOW) == 0) {
            return MG_OK;
        }
        r->temp[0] = '\0';
        if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EEXIST;
}

static int publish(replacing *r) {
    if (atomic_load(r->stop)) {
        return -ECANCELED;
    }
    int rc = r->temp[0] == '\0' ? give_name(r) : MG_OK;
    if (rc != MG_OK) {
        return rc;
    }
    if (renameat(r->folder, r->temp, r->folder, r->name) != 0) {
        return -errno;
    }
    r->temp[0] = '\0';
    return r->order->sync ? sync_folder(r->folder) : MG_OK;
}

static void random_name(replacing *r) {
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        random = (uint32_t)(uintptr_t)r ^ (uint32_t)getpid();
    }
    int n = (int)sizeof r->temp - 11;
    snprintf(r->temp, sizeof r->temp, ".%.*s.%08x", n, r->name, random);
}

static int write_all(int fd, mg_str data, const atomic_bool *stop) {
    while (data.n > 0) {
        if (stop != NULL && atomic_load(stop)) {
            return -ECANCELED;
        }
        ssize_t n = write(fd, data.p, data.n < PIECE ? data.n : PIECE);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        data.p += n > 0 ? n : 0;
        data.n -= n > 0 ? (size_t)n : 0;
    }
    return MG_OK;
}

// The old owner is kept where that is allowed; a set-id bit must not pass to another one.
static int set_mode(const replacing *r) {
    mode_t mode = r->order->mode >= 0 ? (mode_t)r->order->mode : r->old.st_mode & 07777;
    if (!r->exists && r->order->mode < 0) {
        return MG_OK;
    }
    struct stat st;
    if (r->exists && fstat(r->fd, &st) == 0 &&
        (st.st_uid != r->old.st_uid || st.st_gid != r->old.st_gid) &&
        fchown(r->fd, r->old.st_uid, r->old.st_gid) != 0) {
        mode &= 0777;
    }
    return fchmod(r->fd, mode) == 0 ? MG_OK : -errno;
}

int mg_file_append_now(const mg_file_order *order) {
    int rc = order->make_folders ? make_parents(order->path) : MG_OK;
    if (rc != MG_OK) {
        return rc;
    }
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(order->path, flags, order->mode >= 0 ? (mode_t)order->mode : NEW_MODE);
    if (fd < 0) {
        return errno == ENXIO ? -EINVAL : -errno; // ENXIO: a FIFO that nobody reads
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rc = -errno;
    } else if (!S_ISREG(st.st_mode)) {
        rc = -EINVAL;
    } else {
        rc = write_all(fd, order->data, NULL);
    }
    if (rc == MG_OK && order->mode >= 0 && fchmod(fd, (mode_t)order->mode) != 0) {
        rc = -errno;
    }
    if (rc == MG_OK && order->sync) {
        rc = fsync(fd) != 0 ? -errno : st.st_size == 0 ? sync_parent(order->path) : MG_OK;
    }
    close(fd);
    return rc;
}

// --- folders ---

// Beginning with the outermost one. `path` is changed and restored.
static int make_each(char *path) {
    for (char *at = path + strspn(path, "/");;) {
        at += strcspn(at, "/");
        char end = *at;
        *at = '\0';
        int rc = mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST ? MG_OK : -errno;
        *at = end;
        at += strspn(at, "/");
        if (*at == '\0') {
            return rc;
        }
        // A folder above may be there and out of bounds: the innermost one decides.
        if (rc != MG_OK && rc != -EACCES && rc != -EPERM && rc != -EROFS) {
            return rc;
        }
    }
}

int mg_file_make_folders_now(const char *path) {
    char *copy = mg_strdup(path);
    int rc = *copy == '\0' ? -ENOENT : make_each(copy);
    mg_free(copy);
    struct stat st;
    if (rc == MG_OK && stat(path, &st) != 0) {
        return -errno;
    }
    return rc == MG_OK && !S_ISDIR(st.st_mode) ? -EEXIST : rc;
}

// The folder that `path` is in, to be freed.
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return mg_strdup(".");
    }
    return mg_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int make_parents(const char *path) {
    char *parent = parent_of(path);
    int rc = mg_file_make_folders_now(parent);
    mg_free(parent);
    return rc;
}

// EINVAL: the file system has nothing to say about folders.
static int sync_folder(int fd) {
    return fsync(fd) == 0 || errno == EINVAL ? MG_OK : -errno;
}

static int sync_parent(const char *path) {
    char *parent = parent_of(path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mg_free(parent);
    if (fd < 0) {
        return errno == EACCES ? MG_OK : -errno; // a folder that may be written, not read
    }
    int rc = sync_folder(fd);
    close(fd);
    return rc;
}
