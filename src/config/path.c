#include "config/path.h"

#include "event/listener.h"

#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *mg_config_here(mg_arena *a) {
    const char *told = getenv("PWD");
    struct stat its;
    struct stat st;
    if (told != NULL && told[0] == '/' && stat(told, &its) == 0 && stat(".", &st) == 0 &&
        its.st_dev == st.st_dev && its.st_ino == st.st_ino) {
        return mg_arena_copy(a, mg_str_of(told));
    }
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

// "..", behind the folder `path`, which may be a link. Returns the new length.
static size_t go_up(char path[PATH_MAX], size_t n) {
    char real[PATH_MAX];
    path[n] = '\0';
    if (realpath(path, real) != NULL) {
        n = strlen(real);
        memcpy(path, real, n);
    }
    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    return n > 0 ? n - 1 : 0;
}

const char *mg_config_named(mg_arena *a, const char *file) {
    mg_str rest = mg_str_of(mg_config_absolute(a, mg_config_here(a), mg_str_of(file)));
    char path[PATH_MAX];
    size_t n = 0;
    if (rest.n >= sizeof path) {
        return rest.p;
    }
    while (rest.n > 0) {
        const char *slash = memchr(rest.p, '/', rest.n);
        mg_str name = {rest.p, slash == NULL ? rest.n : (size_t)(slash - rest.p)};
        size_t used = name.n + (slash != NULL);
        rest = (mg_str){rest.p + used, rest.n - used};
        if (mg_str_eq(name, MG_STR(".."))) {
            n = go_up(path, n);
        } else if (name.n > 0 && !mg_str_eq(name, MG_STR(".")) && n + name.n + 1 < sizeof path) {
            path[n] = '/';
            memcpy(path + n + 1, name.p, name.n);
            n += name.n + 1;
        }
    }
    return n == 0 ? "/" : mg_arena_copy(a, (mg_str){path, n});
}

static const char *real_of(mg_arena *a, const char *folder) {
    char real[PATH_MAX];
    return realpath(folder, real) != NULL ? mg_arena_copy(a, mg_str_of(real)) : folder;
}

static bool is_named_conf(const char *folder) {
    const char *name = strrchr(folder, '/');
    return name != NULL && strcmp(name, "/conf") == 0;
}

// What a folder named conf leads to matters only if it is known by another name.
const char *mg_config_root(mg_arena *a, const char *file) {
    const char *folder = mg_arena_copy(a, folder_of(mg_str_of(mg_config_named(a, file))));
    if (is_named_conf(folder)) {
        return real_of(a, mg_arena_copy(a, folder_of(mg_str_of(folder))));
    }
    folder = real_of(a, folder);
    return is_named_conf(folder) ? mg_arena_copy(a, folder_of(mg_str_of(folder))) : folder;
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
