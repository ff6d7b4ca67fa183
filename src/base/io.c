#include "base/io.h"

#include "base/error.h"

#include <errno.h>
#include <unistd.h>

int mg_io_write(int fd, mg_str data) {
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        mg_str_skip(&data, n > 0 ? (size_t)n : 0);
    }
    return MG_OK;
}

int mg_io_read_at(int fd, void *to, size_t n, off_t at) {
    char *p = to;
    while (n > 0) {
        ssize_t got = pread(fd, p, n, at);
        if (got == 0) {
            return -EIO;
        }
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        size_t some = got > 0 ? (size_t)got : 0;
        p += some;
        n -= some;
        at += (off_t)some;
    }
    return MG_OK;
}
