// base/io.h: reads and writes of blocking descriptors that are whole, or have failed. The kernel
// may take less than it was given, without an error. Owns nothing.
#pragma once

#include "base/str.h"

#include <sys/types.h>

// MG_OK, or the negative errno of the write that took nothing; some may have been written then.
int mg_io_write(int fd, mg_str data);

// Reads `n` bytes that begin `at` so many bytes of a file. -EIO: it ends before them.
int mg_io_read_at(int fd, void *to, size_t n, off_t at);
