// event/watch.h: tells of files changed below a folder, by name, with subfolders.
//
// Built on inotify, one watch for each folder. It tells where to look, not what happened: a change
// may be told more than once, and a file while its writer is still at work, so callers wait a
// moment and read what is there. Files with temporary names are told like any other. Changes are
// lost if the loop stands still while the kernel's queue of events runs over. An open watch does
// not keep the loop running.
#pragma once

#include "event/loop.h"

#include <stddef.h>

typedef struct mg_watch mg_watch;

enum { MG_WATCH_FOLDERS = 4096 }; // of one watch at most

// A file below the folder was written, made, renamed or removed. A folder that was removed or moved
// away is told by its own path, in place of the files that may have been in it. `path` is absolute
// and borrowed until it returns.
typedef void (*mg_watch_cb)(void *arg, const char *path);

// Symbolic links in `folder` itself are resolved, links below it are not followed. Folders whose
// name begins with a dot, and those for which `skip(name)` is true (NULL: none), are not looked
// into. New subfolders are watched as they appear and the files already in them are told; `folder`
// too may be removed and made again. Folders that cannot be watched (see mg_watch_ignored) do no
// harm, unless it is `folder` itself: then a negative errno.
int mg_watch_open(mg_watch **out, mg_loop *loop, const char *folder, bool (*skip)(const char *name),
                  mg_watch_cb on_change, void *arg);

// How many times a folder was left out: too many of them, no permission, or the system's own limit
// (fs.inotify.max_user_watches).
size_t mg_watch_ignored(const mg_watch *w);

// Allowed inside on_change. The memory goes by itself. Accepts NULL.
void mg_watch_close(mg_watch *w);
