// event/file_open.h: opens a regular file for reading, inside a thread. Not for other rooms.
#pragma once

#include <sys/stat.h>

// As mg_file_open says. Returns the descriptor and fills `st`, or a negative errno.
int mg_file_open_now(const char *beneath, const char *path, struct stat *st);

// For kernels without openat2: opens one component after the other below `folder` (borrowed) and
// follows no link. Stricter than the kernel's: ".." is always -EXDEV. Returns a descriptor or a
// negative errno.
int mg_file_walk(int folder, const char *path);
