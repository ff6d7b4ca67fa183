#include "gate/control_path.h"

#include "config/path.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void system_folder(char *out, size_t n) {
    if (geteuid() == 0) {
        snprintf(out, n, "/run/moongate");
    } else {
        snprintf(out, n, "/tmp/moongate-%u", (unsigned)geteuid());
    }
}

static void private_folder(char *out, size_t n) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/') {
        snprintf(out, n, "%s/moongate", runtime);
    } else {
        system_folder(out, n);
    }
}

// In a folder that anybody may write to, somebody else may have made it.
static int own_folder(const char *folder, mg_error *err) {
    struct stat st;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return mg_error_set(err, MG_ECONFIG, "%s cannot be made: %s; set `control`", folder,
                            strerror(errno));
    }
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return mg_error_set(err, MG_ECONFIG,
                            "%s is not a folder of this user alone (mode 0700); set `control`",
                            folder);
    }
    return MG_OK;
}

static uint64_t hash(const char *s) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    }
    return h;
}

static int name_in(const char *folder, const char *conf, char *out, size_t n) {
    return snprintf(out, n, "%s/%016llx.sock", folder, (unsigned long long)hash(conf));
}

static bool is_own_socket(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid();
}

// A shell has an XDG_RUNTIME_DIR where a service of the same user, started at boot, had none; and a
// server may have been started with the real path of what is a link here.
static int find_server(const char *folder, const char *conf, char *out, size_t n) {
    char other[64];
    char path[PATH_MAX];
    char real[PATH_MAX];
    const char *names[] = {conf, realpath(conf, real) != NULL ? real : conf};
    system_folder(other, sizeof other);
    const char *folders[] = {folder, other};
    for (size_t i = 0; i < 4; i++) {
        int length = name_in(folders[i % 2], names[i / 2], path, sizeof path);
        if (is_own_socket(path)) {
            snprintf(out, n, "%s", path);
            return length;
        }
    }
    return name_in(folder, conf, out, n);
}

int mg_control_path(const char *conf, const char *configured, bool make_folder, char *out, size_t n,
                    mg_error *err) {
    char folder[PATH_MAX];
    mg_arena arena = {0};
    int rc = MG_OK;
    int length;
    conf = mg_config_named(&arena, conf);
    private_folder(folder, sizeof folder);
    if (configured != NULL) {
        length = snprintf(out, n, "%s", configured);
    } else if (make_folder) {
        rc = own_folder(folder, err);
        length = name_in(folder, conf, out, n);
    } else {
        length = find_server(folder, conf, out, n);
    }
    mg_arena_deinit(&arena);
    size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    if (rc == MG_OK && (length < 0 || (size_t)length >= n || (size_t)length > most)) {
        return mg_error_set(err, MG_ECONFIG,
                            "control: the path of the socket has %d bytes, allowed are %zu", length,
                            most);
    }
    return rc;
}
