#include "gate/new.h"

#include "base/io.h"
#include "base/mem.h"
#include "lua/docs.h"
#include "lua/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 64 * 1024 };

// A template is two folders of lua/moongate/template: what all have, and what is its own.
static const char *const folders[] = {
    [MG_NEW_PLAIN] = "plain",
    [MG_NEW_API] = "api",
    [MG_NEW_TYPESCRIPT] = "typescript",
};

// Files of a project that begin with a dot do not in a template, so that no tool takes that for a
// project.
static const char *const dotted[] = {"luarc.json", "gitignore", "busted"};

typedef struct making {
    const char *folder;       // the project's
    char framework[PATH_MAX]; // where the templates lie
    mg_error err;
} making;

static int fault(making *m, const char *path, int code) {
    return mg_error_set(&m->err, code, "%s: %s", path, mg_strerror(code));
}

static bool is_itself_or_parent(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int is_empty(making *m) {
    DIR *d = opendir(m->folder);
    if (d == NULL) {
        return fault(m, m->folder, -errno);
    }
    int rc = MG_OK;
    for (struct dirent *e; rc == MG_OK && (e = readdir(d)) != NULL;) {
        if (!is_itself_or_parent(e->d_name)) {
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

static int read_template(making *m, const char *path, mg_buf *out) {
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
    int rc = mg_io_write(fd, text);
    rc = rc == MG_OK ? rc : fault(m, path, rc);
    if (close(fd) != 0 && rc == MG_OK) {
        rc = fault(m, path, -errno);
    }
    return rc;
}

static int copy_file(making *m, const char *from, const char *to) {
    mg_buf text = {0};
    int rc = read_template(m, from, &text);
    if (rc == MG_OK) {
        rc = write_file(m, to, mg_buf_str(&text));
    }
    mg_buf_deinit(&text);
    return rc;
}

static const char *dot_of(const char *name) {
    for (size_t i = 0; i < sizeof dotted / sizeof *dotted; i++) {
        if (strcmp(dotted[i], name) == 0) {
            return ".";
        }
    }
    return "";
}

static int copy_folder(making *m, const char *from, const char *to);

static int copy_entry(making *m, const char *from, const char *to, const char *name) {
    char source[PATH_MAX];
    char target[PATH_MAX];
    struct stat st;
    if (snprintf(source, sizeof source, "%s/%s", from, name) >= (int)sizeof source ||
        snprintf(target, sizeof target, "%s/%s%s", to, dot_of(name), name) >= (int)sizeof target) {
        return fault(m, m->folder, -ENAMETOOLONG);
    }
    if (stat(source, &st) != 0) {
        return fault(m, source, -errno);
    }
    if (!S_ISDIR(st.st_mode)) {
        return copy_file(m, source, target);
    }
    int rc = mkdir(target, 0777) == 0 ? MG_OK : fault(m, target, -errno);
    return rc == MG_OK ? copy_folder(m, source, target) : rc;
}

// All that lies in `from`, into the folder `to`, which is there.
static int copy_folder(making *m, const char *from, const char *to) {
    DIR *d = opendir(from);
    if (d == NULL) {
        return fault(m, from, -errno);
    }
    int rc = MG_OK;
    for (struct dirent *e; rc == MG_OK && (e = readdir(d)) != NULL;) {
        if (!is_itself_or_parent(e->d_name)) {
            rc = copy_entry(m, from, to, e->d_name);
        }
    }
    closedir(d);
    return rc;
}

static int copy_template(making *m, const char *name) {
    char from[PATH_MAX * 2];
    snprintf(from, sizeof from, "%s/moongate/template/%s", m->framework, name);
    return copy_folder(m, from, m->folder);
}

// The declarations of this version.
static int write_types(making *m) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/types/moongate.d.ts", m->folder) >= (int)sizeof path) {
        return fault(m, m->folder, -ENAMETOOLONG);
    }
    mg_buf text = {0};
    int rc = mg_docs_types(&text, &m->err);
    if (rc == MG_OK) {
        rc = write_file(m, path, mg_buf_str(&text));
    }
    mg_buf_deinit(&text);
    return rc;
}

static int make(making *m, mg_new_kind kind) {
    int rc = mg_lua_framework(m->framework, &m->err);
    if (rc == MG_OK) {
        rc = make_folder(m, m->folder);
    }
    if (rc == MG_OK) {
        rc = copy_template(m, "common");
    }
    if (rc == MG_OK) {
        rc = copy_template(m, folders[kind]);
    }
    if (rc == MG_OK && kind == MG_NEW_TYPESCRIPT) {
        rc = write_types(m);
    }
    return rc;
}

int mg_new_main(const mg_cli *cli) {
    making m = {.folder = cli->folder};
    if (make(&m, cli->kind) != MG_OK) {
        fprintf(stderr, "moongate: %s\n", m.err.text);
        return 1;
    }
    printf("%s is a project now. Next:\n\n  cd %s\n%s"
           "  moongate test   # its specs\n"
           "  moongate dev    # serve it; scripts are loaded again when saved\n",
           m.folder, m.folder,
           cli->kind == MG_NEW_TYPESCRIPT ? "  npm install && npx tstl   # src/ becomes lua/\n"
                                          : "");
    return 0;
}
