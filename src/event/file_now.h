// event/file_now.h: the orders of event/file_work.h, blocking, inside a thread. Not for other
// rooms. Each returns 0 or a negative errno.
#pragma once

#include "event/file_work.h"

#include <stdatomic.h>

// Once `*stop` is set it gives up with -ECANCELED, unless the file is replaced already. `unnamed`:
// the new file has no name while it is written, where the file system can do that.
int mg_file_write_now(const mg_file_order *order, const atomic_bool *stop, bool unnamed);
int mg_file_append_now(const mg_file_order *order);

int mg_file_info_now(const char *path, bool follow, mg_file_info *out);
// The entries are the caller's, to be freed with mg_file_free_entries.
int mg_file_list_now(const char *path, size_t max, mg_file_entry **out, size_t *count);
void mg_file_free_entries(mg_file_entry *entries, size_t count);

// Makes the folder and those above it that are missing.
int mg_file_make_folders_now(const char *path);
