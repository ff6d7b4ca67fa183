#include "server/folder.h"

#include "base/mem.h"
#include "http/url.h"
#include "server/file_answer.h"
#include "server/front.h"

enum { LATE_MS = 1000 }; // for the scripts, once the file did not open within the deadline

typedef struct folder {
    mg_answerer answerer; // first
    char *path;
    char *index;
    mg_arena arena; // of the fields
    mg_fields fields;
    bool dotfiles;
} folder;

// --- the path ---

static bool begins_hidden(mg_str name) {
    return name.n > 0 && name.p[0] == '.' && !mg_str_eq(name, MG_STR(".well-known"));
}

// Names that begin with a dot are hidden, but for /.well-known (RFC 8615). An empty name would be
// another spelling of the same file; a backslash is a slash elsewhere.
static bool is_served(mg_str path, bool dotfiles) {
    if (path.n == 0 || memchr(path.p, '\0', path.n) != NULL ||
        memchr(path.p, '\\', path.n) != NULL) {
        return false;
    }
    for (mg_str rest = path; rest.n > 0;) {
        mg_str name = mg_str_cut(&rest, '/');
        if (name.n == 0 || (!dotfiles && begins_hidden(name))) {
            return false;
        }
    }
    return true;
}

// Of the file, below the folder, in the arena; NULL: there is none of that name.
static const char *path_of(const folder *f, mg_exchange *x) {
    const mg_route_match *m = &x->routed->match;
    mg_str given = m->count > 0 ? m->values[m->count - 1] : (mg_str){"", 0};
    mg_buf b = {0};
    mg_url_decode(given, false, &b);
    if (b.n == 0 || b.p[b.n - 1] == '/') {
        mg_buf_append_str(&b, mg_str_of(f->index));
    }
    mg_str path = mg_buf_str(&b);
    const char *kept = is_served(path, f->dotfiles) ? mg_arena_copy(&x->arena, path) : NULL;
    mg_buf_deinit(&b);
    return kept;
}

// --- the seam ---

static void on_done(void *arg, int status) {
    mg_exchange *x = arg;
    x->app_data = NULL;
    if (status != 0 && !mg_exchange_committed(x)) {
        mg_front_pass(x);
    }
}

static void on_request(mg_app *app, mg_exchange *x) {
    const folder *f = (const folder *)app;
    const char *path = path_of(f, x);
    x->app_data = NULL;
    if (path == NULL) {
        mg_front_pass(x);
        return;
    }
    mg_answer a = {.status = 200};
    mg_file_answer_options o = {
        .path = path,
        .beneath = f->path,
        .fields = f->fields,
        .on_done = on_done,
        .arg = x,
    };
    mg_file_answer *file = mg_file_answer_start(x, &a, &o);
    if (file != NULL) {
        x->app_data = file;
    }
}

static void on_body(mg_app *app, mg_exchange *x) {
    (void)app;
    (void)x;
}

static void stop(mg_exchange *x) {
    if (x->app_data != NULL) {
        mg_file_answer_stop(x->app_data);
        x->app_data = NULL;
    }
}

static void on_deadline(mg_app *app, mg_exchange *x) {
    (void)app;
    stop(x);
    mg_exchange_set_deadline(x, LATE_MS);
    mg_front_pass(x);
}

static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    (void)app;
    (void)why;
    stop(x);
}

// --- life ---

static void folder_free(mg_answerer *a) {
    folder *f = (folder *)a;
    mg_free(f->path);
    mg_free(f->index);
    mg_arena_deinit(&f->arena);
    mg_free(f);
}

mg_answerer *mg_folder_new(const mg_folder_options *o) {
    folder *f = mg_calloc(1, sizeof *f);
    f->answerer = (mg_answerer){
        .app = {.on_request = on_request, // a file takes on_writable
                .on_body = on_body,
                .on_deadline = on_deadline,
                .on_gone = on_gone},
        .free = folder_free,
    };
    f->path = mg_strndup(o->folder.p, o->folder.n);
    f->index = mg_strndup(o->index.p, o->index.n);
    mg_fields_init(&f->fields, &f->arena);
    if (o->cache_control.n > 0) {
        mg_str kept = {mg_arena_copy(&f->arena, o->cache_control), o->cache_control.n};
        (void)mg_fields_add_id(&f->fields, MG_FIELD_CACHE_CONTROL, kept); // ours, a line
    }
    f->dotfiles = o->dotfiles;
    return &f->answerer;
}
