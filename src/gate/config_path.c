#include "gate/config_path.h"

#include "event/listener.h"

#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *mg_config_here(mg_arena *a) {
    char here[PATH_MAX];
    return getcwd(here, sizeof here) == NULL ? "/" : mg_arena_copy(a, mg_str_of(here));
}

// `a`, `b` and `c`, one behind the other.
static const char *join(mg_arena *arena, mg_str a, mg_str b, mg_str c) {
    char *text = mg_arena_alloc(arena, a.n + b.n + c.n + 1);
    memcpy(text, a.p, a.n);
    memcpy(text + a.n, b.p, b.n);
    memcpy(text + a.n + b.n, c.p, c.n);
    text[a.n + b.n + c.n] = '\0';
    return text;
}

const char *mg_config_absolute(mg_arena *a, const char *folder, mg_str path) {
    if (mg_str_starts(path, MG_STR("/"))) {
        return mg_arena_copy(a, path);
    }
    while (mg_str_starts(path, MG_STR("./"))) {
        path = (mg_str){path.p + 2, path.n - 2};
    }
    mg_str slash = strcmp(folder, "/") == 0 ? MG_STR("") : MG_STR("/");
    return join(a, mg_str_of(folder), slash, path);
}

// The folder part of an absolute path.
static mg_str folder_of(mg_str path) {
    while (path.n > 1 && path.p[path.n - 1] != '/') {
        path.n--;
    }
    if (path.n > 1) {
        path.n--;
    }
    return path;
}

const char *mg_config_root(mg_arena *a, const char *file) {
    mg_str path = mg_str_of(mg_config_absolute(a, mg_config_here(a), mg_str_of(file)));
    const char *folder = mg_arena_copy(a, folder_of(path));
    char real[PATH_MAX];
    if (realpath(folder, real) != NULL) { // "." and ".." hide the folder's name
        folder = mg_arena_copy(a, mg_str_of(real));
    }
    const char *name = strrchr(folder, '/');
    if (name == NULL || strcmp(name, "/conf") != 0) {
        return folder;
    }
    return mg_arena_copy(a, folder_of(mg_str_of(folder)));
}

const char *mg_config_address(mg_arena *a, const char *folder, mg_str text, mg_error *err) {
    if (memchr(text.p, '\0', text.n) != NULL) {
        mg_error_set(err, MG_ECONFIG, "the address holds a NUL");
        return NULL;
    }
    mg_str prefix = MG_STR("unix:");
    const char *full = mg_arena_copy(a, text);
    if (mg_str_starts(text, prefix) && text.n > prefix.n) {
        mg_str path = {text.p + prefix.n, text.n - prefix.n};
        path = mg_str_of(mg_config_absolute(a, folder, path));
        full = join(a, prefix, path, MG_STR(""));
    }
    mg_address address;
    return mg_address_parse(full, &address, err) == MG_OK ? full : NULL;
}

int mg_make_folders_above(const char *path) {
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s", path);
    if (n < 0 || (size_t)n >= sizeof folder) {
        return -ENAMETOOLONG;
    }
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
            return -errno;
        }
        *slash = '/';
    }
    return MG_OK;
}
