#include "gate/new.h"

#include "base/mem.h"
#include "lua/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 64 * 1024 };

// Folders before what lies in them. Those of a project begin with a dot where the template's do
// not, so that no tool takes the template for a project.
static const struct {
    const char *from; // NULL: a folder
    const char *to;
} files[] = {
    {NULL, "conf"},
    {"conf/moongate.lua", "conf/moongate.lua"},
    {NULL, "lua"},
    {"lua/app.lua", "lua/app.lua"},
    {"lua/timed.lua", "lua/timed.lua"},
    {NULL, "lua/routes"},
    {"lua/routes/hello.lua", "lua/routes/hello.lua"},
    {NULL, "public"},
    {"public/about.txt", "public/about.txt"},
    {NULL, "spec"},
    {"spec/app_spec.lua", "spec/app_spec.lua"},
    {"luarc.json", ".luarc.json"},
    {"gitignore", ".gitignore"},
    {"Dockerfile", "Dockerfile"},
};

typedef struct making {
    const char *folder;       // the project's
    char framework[PATH_MAX]; // where the template lies
    mg_error err;
} making;

static int fault(making *m, const char *path, int code) {
    return mg_error_set(&m->err, code, "%s: %s", path, mg_strerror(code));
}

static int is_empty(making *m) {
    DIR *d = opendir(m->folder);
    if (d == NULL) {
        return fault(m, m->folder, -errno);
    }
    int rc = MG_OK;
    for (struct dirent *e; rc == MG_OK && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rc = mg_error_set(&m->err, -EEXIST, "%s is not empty: a new or empty folder is wanted",
                              m->folder);
        }
    }
    closedir(d);
    return rc;
}

static int make_folder(making *m, const char *path) {
    if (mkdir(path, 0777) == 0) {
        return MG_OK;
    }
    return errno == EEXIST ? is_empty(m) : fault(m, path, -errno);
}

// The text with the folder of the declarations for LuaLS in place of @API@.
static void append_filled(mg_buf *out, mg_str text, const char *framework) {
    static const char mark[] = "@API@";
    const char *at;
    while (text.n > 0 && (at = memmem(text.p, text.n, mark, sizeof mark - 1)) != NULL) {
        size_t before = (size_t)(at - text.p);
        mg_buf_append(out, text.p, before);
        mg_buf_printf(out, "%s/moongate/api", framework);
        text.p += before + sizeof mark - 1;
        text.n -= before + sizeof mark - 1;
    }
    mg_buf_append_str(out, text);
}

static int read_template(making *m, const char *from, mg_buf *out) {
    char path[PATH_MAX * 2];
    snprintf(path, sizeof path, "%s/moongate/template/%s", m->framework, from);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return fault(m, path, -errno);
    }
    mg_buf text = {0};
    text.n = fread(mg_buf_reserve(&text, FILE_BYTES), 1, FILE_BYTES, f);
    int rc = ferror(f) ? fault(m, path, -EIO) : MG_OK;
    fclose(f);
    append_filled(out, mg_buf_str(&text), m->framework);
    mg_buf_deinit(&text);
    return rc;
}

static int write_file(making *m, const char *path, mg_str text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return fault(m, path, -errno);
    }
    ssize_t n = write(fd, text.p, text.n);
    int rc = n == (ssize_t)text.n ? MG_OK : fault(m, path, n < 0 ? -errno : -ENOSPC);
    if (close(fd) != 0 && rc == MG_OK) {
        rc = fault(m, path, -errno);
    }
    return rc;
}

static int make_one(making *m, const char *from, const char *to) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", m->folder, to) >= (int)sizeof path) {
        return fault(m, m->folder, -ENAMETOOLONG);
    }
    if (from == NULL) {
        return mkdir(path, 0777) == 0 ? MG_OK : fault(m, path, -errno);
    }
    mg_buf text = {0};
    int rc = read_template(m, from, &text);
    if (rc == MG_OK) {
        rc = write_file(m, path, mg_buf_str(&text));
    }
    mg_buf_deinit(&text);
    return rc;
}

int mg_new_main(const mg_cli *cli) {
    making m = {.folder = cli->folder};
    int rc = mg_lua_framework(m.framework, &m.err);
    if (rc == MG_OK) {
        rc = make_folder(&m, m.folder);
    }
    for (size_t i = 0; rc == MG_OK && i < sizeof files / sizeof *files; i++) {
        rc = make_one(&m, files[i].from, files[i].to);
    }
    if (rc != MG_OK) {
        fprintf(stderr, "moongate: %s\n", m.err.text);
        return 1;
    }
    printf("%s is a project now. Next:\n\n  cd %s\n  moongate test   # its specs\n"
           "  moongate dev    # serve it; scripts are loaded again when saved\n",
           m.folder, m.folder);
    return 0;
}
