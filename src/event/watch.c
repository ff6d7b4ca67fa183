#include "event/watch.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct folder {
    uv_fs_event_t uv;
    mg_link link;
    mg_watch *watch;
    char path[];
} folder;

struct mg_watch {
    mg_loop *loop;
    bool (*skip)(const char *name);
    mg_watch_cb on_change;
    void *arg;
    char *root;
    folder *above;   // the root's parent, which tells when the root is made again; or NULL
    mg_link folders; // the root and those below it; new ones go to the end
    size_t count;
    size_t ignored;
    size_t handles; // all those, and the ones whose close callback is still to come
    bool closed;
};

typedef enum kind { GONE, FOLDER, FILE_OR_LINK } kind;

static void watch_above(mg_watch *w);
static int add_tree(mg_watch *w, const char *path, bool tell_files);
static int add(mg_watch *w, const char *path);
static void scan(mg_watch *w, const char *path, bool tell_files);
static size_t drop_tree(mg_watch *w, const char *path);
static bool is_below(const char *path, const char *top);
static int open_folder(folder **out, mg_watch *w, const char *path);
static void close_folder(folder *f);
static void on_closed(uv_handle_t *h);
static void free_if_done(mg_watch *w);
static void on_event(uv_fs_event_t *h, const char *name, int events, int status);
static void on_event_above(mg_watch *w, const char *name);
static void on_gone(const folder *f, const char *path, const char *name);
static void refresh(mg_watch *w, const char *path);
static void tell(mg_watch *w, const char *path);
static kind kind_of(const char *path);
static bool is_wanted(const mg_watch *w, const char *name);
static bool join(char out[static PATH_MAX], const char *path, const char *name);
static const char *last_name(const char *path);

int mg_watch_open(mg_watch **out, mg_loop *loop, const char *path, bool (*skip)(const char *name),
                  mg_watch_cb on_change, void *arg) {
    char root[PATH_MAX];
    if (realpath(path, root) == NULL) {
        return -errno;
    }
    if (kind_of(root) != FOLDER) {
        return -ENOTDIR;
    }
    mg_watch *w = mg_calloc(1, sizeof *w);
    w->loop = loop;
    w->skip = skip;
    w->on_change = on_change;
    w->arg = arg;
    w->root = mg_strdup(root);
    mg_link_init(&w->folders);
    watch_above(w);
    int rc = add_tree(w, root, false);
    if (rc != MG_OK) {
        mg_watch_close(w);
        return rc;
    }
    *out = w;
    return MG_OK;
}

size_t mg_watch_ignored(const mg_watch *w) {
    return w->ignored;
}

void mg_watch_close(mg_watch *w) {
    if (w == NULL) {
        return;
    }
    w->closed = true;
    if (w->above != NULL) {
        close_folder(w->above);
    }
    for (mg_link *l; (l = mg_link_shift(&w->folders)) != NULL;) {
        close_folder(MG_OF(l, folder, link));
    }
    free_if_done(w);
}

// Where that is not permitted, only the root's own return goes unseen.
static void watch_above(mg_watch *w) {
    char path[PATH_MAX];
    size_t n = (size_t)(last_name(w->root) - w->root);
    if (strcmp(w->root, "/") == 0) {
        return;
    }
    snprintf(path, sizeof path, "%.*s", n > 1 ? (int)n - 1 : 1, w->root);
    if (open_folder(&w->above, w, path) != MG_OK) {
        w->above = NULL;
    }
}

// The list is the queue of what is still to be looked into. A folder is watched before it is read,
// so what appears meanwhile is seen twice rather than never.
static int add_tree(mg_watch *w, const char *path, bool tell_files) {
    int rc = add(w, path);
    if (rc != MG_OK) {
        return rc;
    }
    for (mg_link *l = w->folders.prev; !w->closed && l != &w->folders; l = l->next) {
        scan(w, MG_OF(l, folder, link)->path, tell_files);
    }
    return MG_OK;
}

static int add(mg_watch *w, const char *path) {
    folder *f;
    int rc = w->count < MG_WATCH_FOLDERS ? open_folder(&f, w, path) : -EMFILE;
    if (rc == MG_OK) {
        mg_link_append(&w->folders, &f->link);
        w->count++;
    } else if (rc != -ENOENT && rc != -ENOTDIR) { // those have gone meanwhile
        w->ignored++;
    }
    return rc;
}

static void scan(mg_watch *w, const char *path, bool tell_files) {
    DIR *d = opendir(path);
    if (d == NULL) {
        w->ignored += errno != ENOENT && errno != ENOTDIR;
        return;
    }
    for (struct dirent *entry; !w->closed && (entry = readdir(d)) != NULL;) {
        char below[PATH_MAX];
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !join(below, path, name)) {
            continue;
        }
        kind k = entry->d_type == DT_DIR       ? FOLDER
                 : entry->d_type == DT_UNKNOWN ? kind_of(below)
                                               : FILE_OR_LINK;
        if (k == FOLDER && is_wanted(w, name)) {
            add(w, below);
        } else if (k == FILE_OR_LINK && tell_files) {
            tell(w, below);
        }
    }
    closedir(d);
}

// Returns how many folders it dropped.
static size_t drop_tree(mg_watch *w, const char *path) {
    size_t before = w->count;
    for (mg_link *l = w->folders.next, *next; l != &w->folders; l = next) {
        next = l->next;
        folder *f = MG_OF(l, folder, link);
        if (is_below(f->path, path)) {
            mg_link_remove(l);
            close_folder(f);
            w->count--;
        }
    }
    return before - w->count;
}

static bool is_below(const char *path, const char *top) {
    size_t n = strlen(top);
    return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int open_folder(folder **out, mg_watch *w, const char *path) {
    size_t size = strlen(path) + 1;
    folder *f = mg_calloc(1, sizeof *f + size);
    memcpy(f->path, path, size);
    f->watch = w;
    mg_link_init(&f->link);
    uv_fs_event_init(&w->loop->uv, &f->uv);
    f->uv.data = f;
    uv_unref((uv_handle_t *)&f->uv);
    w->handles++;
    int rc = uv_fs_event_start(&f->uv, on_event, path, 0);
    if (rc != 0) {
        close_folder(f);
        return rc;
    }
    *out = f;
    return MG_OK;
}

static void close_folder(folder *f) {
    uv_close((uv_handle_t *)&f->uv, on_closed);
}

static void on_closed(uv_handle_t *h) {
    folder *f = h->data;
    mg_watch *w = f->watch;
    mg_free(f);
    w->handles--;
    free_if_done(w);
}

static void free_if_done(mg_watch *w) {
    if (w->closed && w->handles == 0) {
        mg_free(w->root);
        mg_free(w);
    }
}

static void on_event(uv_fs_event_t *h, const char *name, int events, int status) {
    folder *f = h->data;
    mg_watch *w = f->watch;
    // Both together: the attributes of a folder.
    bool came_or_went = events == UV_RENAME;
    char path[PATH_MAX];
    mg_loop_note(w->loop);
    if (status < 0 || name == NULL || !join(path, f->path, name)) {
        return;
    }
    if (f == w->above) {
        if (came_or_went) {
            on_event_above(w, name);
        }
        return;
    }
    kind k = kind_of(path);
    if (k == FILE_OR_LINK) {
        if (came_or_went) {
            drop_tree(w, path); // it may stand where a folder was
        }
        tell(w, path);
    } else if (k == FOLDER && came_or_went && is_wanted(w, name)) {
        refresh(w, path);
    } else if (k == GONE && came_or_went) {
        on_gone(f, path, name);
    }
}

static void on_event_above(mg_watch *w, const char *name) {
    if (strcmp(name, last_name(w->root)) != 0) {
        return;
    }
    if (kind_of(w->root) == FOLDER) {
        refresh(w, w->root);
    } else if (drop_tree(w, w->root) > 0) {
        tell(w, w->root);
    }
}

// libuv reports what befalls a folder itself as an event in it, under the folder's own name. That
// is left to the parent's event.
static void on_gone(const folder *f, const char *path, const char *name) {
    if (strcmp(name, last_name(f->path)) == 0 && kind_of(f->path) != FOLDER) {
        return;
    }
    drop_tree(f->watch, path);
    tell(f->watch, path);
}

// A watch belongs to the inode that had the name, and a new folder may even get the old number: so
// it is always made anew.
static void refresh(mg_watch *w, const char *path) {
    size_t dropped = drop_tree(w, path);
    add_tree(w, path, true);
    if (dropped > 0) {
        tell(w, path);
    }
}

// Whoever is told may close the watch.
static void tell(mg_watch *w, const char *path) {
    if (!w->closed) {
        w->on_change(w->arg, path);
    }
}

static kind kind_of(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return GONE;
    }
    return S_ISDIR(st.st_mode) ? FOLDER : FILE_OR_LINK;
}

static bool is_wanted(const mg_watch *w, const char *name) {
    return name[0] != '.' && (w->skip == NULL || !w->skip(name));
}

// False if that is longer than any path may be.
static bool join(char out[static PATH_MAX], const char *path, const char *name) {
    const char *slash = strcmp(path, "/") == 0 ? "" : "/";
    return snprintf(out, PATH_MAX, "%s%s%s", path, slash, name) < PATH_MAX;
}

static const char *last_name(const char *path) {
    return strrchr(path, '/') + 1;
}
