// Fills a store: reads and checks the files that endpoints name.

#include "base/mem.h"
#include "event/ticket_ring.h"
#include "event/tls.h"
#include "event/tls_store_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_MOST = 1 << 20,   // bytes of a certificate's file
    CA_MOST = 16 << 20,    // of those who may issue clients' certificates
    CERTIFICATES = 100000, // of all endpoints
    WARNED = 10,           // names that are shown as given twice
};

// A name of a certificate of the source at hand.
typedef struct naming {
    char *name;
    uint32_t id;
    uint32_t order; // that of its certificate in the source
} naming;

typedef struct collecting {
    mg_snapshot_writer out;
    const mg_snapshot *before; // NULL: nothing
    mg_buf *warnings;
    mg_error *err;
    const mg_tls_wanted *at; // the endpoint at hand
    uint32_t count;          // of certificates
    uint32_t issued;         // of the one at hand
    mg_tls_key_reader reader;
    // the source at hand
    naming *namings;
    size_t naming_count, naming_room;
    uint32_t *ids;
    int32_t *kinds;
    uint32_t id_count;
    uint32_t doubles;
} collecting;

// --- files ---

static int fault(collecting *c, const char *file, const char *what) {
    return mg_error_set(c->err, MG_ECONFIG, "%s: %s: %s", c->at->where, file, what);
}

// `err` says what; where it is wanted comes before it.
static int fault_at(collecting *c, const mg_error *err) {
    return mg_error_set(c->err, MG_ECONFIG, "%s: %s", c->at->where, err->text);
}

static int read_file(collecting *c, const char *path, size_t most, mg_buf *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : 0;
    if (fd >= 0) {
        do {
            n = read(fd, mg_buf_reserve(out, 16 << 10), 16 << 10);
            out->n += n > 0 ? (size_t)n : 0;
        } while ((n > 0 && out->n <= most) || (n < 0 && errno == EINTR));
    }
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return fault(c, path, mg_strerror(-why));
    }
    return out->n > most ? fault(c, path, "too large to be a file of certificates") : MG_OK;
}

static void warn_if_open(collecting *c, const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        mg_buf_printf(c->warnings,
                      "%s: %s: everybody on this machine can read this key: chmod 600\n",
                      c->at->where, path);
    }
}

// --- one certificate ---

static void put(collecting *c, const char *format, uint32_t id, mg_str text) {
    char place[MG_TLS_PLACE];
    mg_snapshot_add(&c->out, mg_tls_place(place, format, id), text);
}

static void put_named(collecting *c, const char *prefix, mg_str name, const void *value, size_t n) {
    mg_buf place = {0};
    mg_buf_append_str(&place, mg_str_of(prefix));
    mg_buf_append_str(&place, name);
    mg_snapshot_add(&c->out, mg_buf_str(&place), (mg_str){value, n});
    mg_buf_deinit(&place);
}

static void append_name(void *arg, mg_str name) {
    mg_buf *names = arg;
    mg_buf_append_str(names, name);
    mg_buf_append_char(names, '\0');
}

// What is put down of a certificate, whether it was read now or before.
typedef struct certificate {
    mg_str cert, key, names;
    mg_tls_about about;
} certificate;

static void remember_name(collecting *c, mg_str name, uint32_t id) {
    if (c->naming_count == c->naming_room) {
        c->naming_room = c->naming_room == 0 ? 64 : c->naming_room * 2;
        c->namings = mg_realloc(c->namings, c->naming_room * sizeof *c->namings);
    }
    c->namings[c->naming_count++] = (naming){mg_strndup(name.p, name.n), id, c->id_count};
}

static void remember(collecting *c, uint32_t id, const certificate *x) {
    if ((c->id_count & (c->id_count - 1)) == 0) { // a power of two: full
        size_t room = c->id_count == 0 ? 1 : c->id_count * 2;
        c->ids = mg_realloc(c->ids, room * sizeof *c->ids);
        c->kinds = mg_realloc(c->kinds, room * sizeof *c->kinds);
    }
    for (mg_str rest = x->names; rest.n > 0;) {
        size_t n = strlen(rest.p);
        remember_name(c, (mg_str){rest.p, n}, id);
        mg_str_skip(&rest, n + 1);
    }
    c->kinds[c->id_count] = x->about.kind;
    c->ids[c->id_count++] = id;
}

static void put_certificate(collecting *c, const certificate *x, const mg_tls_files *f) {
    uint32_t id = c->count++;
    mg_buf about = {0};
    mg_buf_append(&about, &x->about, sizeof x->about);
    mg_buf_append_str(&about, mg_str_of(f->cert));
    put(c, MG_TLS_AT_CERT, id, x->cert);
    put(c, MG_TLS_AT_KEY, id, x->key);
    put(c, MG_TLS_AT_NAMES, id, x->names);
    put(c, MG_TLS_AT_ABOUT, id, mg_buf_str(&about));
    put_named(c, MG_TLS_AT_PRINT,
              (mg_str){(const char *)x->about.fingerprint, sizeof x->about.fingerprint}, &id,
              sizeof id);
    mg_buf_deinit(&about);
    remember(c, id, x);
}

static mg_buf files_name(const mg_tls_files *f) {
    mg_buf name = {0};
    mg_buf_append(&name, f->cert, strlen(f->cert) + 1);
    mg_buf_append_str(&name, mg_str_of(f->key));
    return name;
}

static void put_read(collecting *c, const mg_tls_files *f, const mg_tls_read *read) {
    mg_buf name = files_name(f);
    put_named(c, MG_TLS_AT_FILES, mg_buf_str(&name), read, sizeof *read);
    mg_buf_deinit(&name);
}

static bool text_before(const collecting *c, const char *format, uint32_t id, mg_str *text) {
    char place[MG_TLS_PLACE];
    return mg_snapshot_find(c->before, mg_tls_place(place, format, id), text);
}

// To read a key takes OpenSSL half a millisecond; of ten thousand, few change.
static bool take_from_before(const collecting *c, const mg_tls_files *f, const mg_tls_read *now,
                             certificate *x) {
    mg_tls_read read;
    mg_str about;
    mg_buf name = files_name(f);
    bool found = c->before != NULL &&
                 mg_tls_named(c->before, MG_TLS_AT_FILES, mg_buf_str(&name), &read, sizeof read);
    mg_buf_deinit(&name);
    if (!found || !mg_stamp_same(&read.cert, &now->cert) || !mg_stamp_same(&read.key, &now->key) ||
        !text_before(c, MG_TLS_AT_CERT, (uint32_t)read.id, &x->cert) ||
        !text_before(c, MG_TLS_AT_KEY, (uint32_t)read.id, &x->key) ||
        !text_before(c, MG_TLS_AT_NAMES, (uint32_t)read.id, &x->names) ||
        !text_before(c, MG_TLS_AT_ABOUT, (uint32_t)read.id, &about)) {
        return false;
    }
    memcpy(&x->about, about.p, sizeof x->about);
    return true;
}

static void warn_if_nameless(collecting *c, const char *file, mg_str names) {
    if (names.n == 0) {
        mg_buf_printf(c->warnings,
                      "%s: %s: the certificate carries no name (subjectAltName): nobody who asks "
                      "for a server by name is meant by it\n",
                      c->at->where, file);
    }
}

static int add_pair(collecting *c, mg_str cert, mg_str key, const mg_tls_files *f) {
    mg_error err;
    mg_tls_pair pair;
    mg_buf names = {0};
    if (mg_tls_pair_read(&pair, &c->reader, cert, key, f, &err) != MG_OK) {
        return fault_at(c, &err);
    }
    certificate x = {.cert = cert, .key = key};
    mg_tls_pair_about(&pair, &x.about);
    x.about.issued = c->issued;
    mg_tls_each_name(pair.leaf, append_name, &names);
    mg_tls_pair_free(&pair);
    x.names = mg_buf_str(&names);
    warn_if_nameless(c, f->cert, x.names);
    put_certificate(c, &x, f);
    mg_buf_deinit(&names);
    return MG_OK;
}

static int add_files(collecting *c, const mg_tls_files *f) {
    certificate x;
    mg_buf cert = {0};
    mg_buf key = {0};
    mg_tls_read read = {c->count, mg_stamp_of(f->cert), mg_stamp_of(f->key)};
    if (c->count == CERTIFICATES) {
        return fault(c, f->cert, "there are too many certificates, allowed: 100000");
    }
    if (take_from_before(c, f, &read, &x)) {
        put_certificate(c, &x, f);
        put_read(c, f, &read);
        return MG_OK;
    }
    int rc = read_file(c, f->cert, FILE_MOST, &cert);
    rc = rc == MG_OK ? read_file(c, f->key, FILE_MOST, &key) : rc;
    rc = rc == MG_OK ? add_pair(c, mg_buf_str(&cert), mg_buf_str(&key), f) : rc;
    if (rc == MG_OK) {
        warn_if_open(c, f->key);
        put_read(c, f, &read);
    }
    mg_buf_deinit(&cert);
    mg_buf_deinit(&key);
    return rc;
}

// --- a folder ---

static int is_pem(const struct dirent *e) {
    return e->d_name[0] != '.' && mg_str_ends(mg_str_of(e->d_name), MG_STR(".pem"));
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_of_folder(collecting *c, const char *folder, const char *name) {
    mg_buf cert = {0};
    mg_buf key = {0};
    mg_buf_printf(&cert, "%s/%s", folder, name);
    mg_buf_printf(&key, "%s/%.*s.key", folder, (int)(strlen(name) - strlen(".pem")), name);
    mg_buf_append_char(&cert, '\0');
    mg_buf_append_char(&key, '\0');
    int rc = add_files(c, &(mg_tls_files){cert.p, key.p});
    mg_buf_deinit(&cert);
    mg_buf_deinit(&key);
    return rc;
}

// "default.pem" is for clients that name no server; else the first.
static int add_folder(collecting *c, const char *folder) {
    struct dirent **items;
    int n = scandir(folder, &items, is_pem, by_bytes);
    if (n < 0) {
        return fault(c, folder, mg_strerror(-errno));
    }
    int rc = n > 0 ? MG_OK : fault(c, folder, "holds no certificate, expected: NAME.pem, NAME.key");
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; rc == MG_OK && i < n; i++) {
            bool first = strcmp(items[i]->d_name, "default.pem") == 0;
            if (first == (pass == 0)) {
                rc = add_of_folder(c, folder, items[i]->d_name);
            }
        }
    }
    for (int i = 0; i < n; i++) {
        free(items[i]);
    }
    free(items);
    return rc;
}

// --- what a directory has issued ---

static int make_stand_in(collecting *c, const char *domain, const mg_tls_files *f) {
    mg_buf pem = {0};
    mg_error err;
    int rc = mg_tls_self_signed(&pem, domain, NULL, &err);
    rc = rc == MG_OK ? add_pair(c, mg_buf_str(&pem), mg_buf_str(&pem), f) : fault_at(c, &err);
    mg_buf_deinit(&pem);
    return rc;
}

// The same one as long as the file stays as it is: not there, or not readable.
static int add_stand_in(collecting *c, const char *domain, const mg_tls_files *f) {
    certificate x;
    mg_tls_read read = {c->count, mg_stamp_of(f->cert), mg_stamp_of(f->key)};
    int rc = MG_OK;
    mg_buf_printf(c->warnings,
                  "%s: %s: no certificate yet, a self-signed one is served until the directory "
                  "has issued it\n",
                  c->at->where, domain);
    if (take_from_before(c, f, &read, &x)) {
        put_certificate(c, &x, f);
    } else {
        rc = make_stand_in(c, domain, f);
    }
    if (rc == MG_OK) {
        put_read(c, f, &read);
    }
    return rc;
}

// What is there and cannot be used keeps nobody from serving: another one is asked for.
static int add_issued(collecting *c, const mg_tls_acme *a, const char *domain) {
    mg_buf path = {0};
    mg_buf_printf(&path, "%s/%s.pem", a->place, domain);
    mg_buf_append_char(&path, '\0');
    const mg_tls_files f = {path.p, path.p};
    bool there = access(path.p, F_OK) == 0;
    int rc = there ? add_files(c, &f) : MG_ECONFIG;
    if (there && rc != MG_OK) {
        mg_buf_printf(c->warnings, "%s\n", c->err->text);
    }
    rc = rc == MG_OK ? rc : add_stand_in(c, domain, &f);
    mg_buf_deinit(&path);
    return rc;
}

static int add_all_issued(collecting *c, const mg_tls_acme *a) {
    int rc = MG_OK;
    c->issued = 1;
    for (size_t i = 0; a->on && rc == MG_OK && i < a->domains.n; i++) {
        rc = add_issued(c, a, a->domains.items[i]);
    }
    c->issued = 0;
    return rc;
}

// --- names of a source ---

static int by_name(const void *a, const void *b) {
    const naming *x = a;
    const naming *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static void warn_of_double(collecting *c, const naming *n) {
    if (c->doubles++ < WARNED) {
        mg_buf_printf(c->warnings,
                      "%s: several certificates are for %s: the first one with each kind of key "
                      "is used\n",
                      c->at->where, n->name);
    }
}

// The first of each kind of key.
static void choose(collecting *c, mg_tls_choice *choice, const naming *n) {
    int32_t kind = c->kinds[n->order];
    for (uint32_t i = 0; i < choice->n; i++) {
        if (choice->ids[i] == n->id) {
            return;
        }
        // Numbers of a source follow one another.
        if (c->kinds[choice->ids[i] - c->ids[0]] == kind) {
            warn_of_double(c, n);
            return;
        }
    }
    if (choice->n < MG_TLS_KINDS) {
        choice->ids[choice->n++] = n->id;
    }
}

static void put_choice(collecting *c, uint32_t source, const char *name,
                       const mg_tls_choice *choice) {
    char prefix[MG_TLS_PLACE];
    mg_tls_place(prefix, MG_TLS_AT_NAME, source);
    put_named(c, prefix, mg_str_of(name), choice, sizeof *choice);
}

static void put_names(collecting *c, uint32_t source) {
    mg_tls_choice first = {.n = 1, .ids = {c->ids[0]}};
    bool has_first = false;
    if (c->naming_count > 0) {
        qsort(c->namings, c->naming_count, sizeof *c->namings, by_name);
    }
    for (size_t i = 0; i < c->naming_count;) {
        mg_tls_choice choice = {0};
        const naming *n = &c->namings[i];
        for (; i < c->naming_count && strcmp(c->namings[i].name, n->name) == 0; i++) {
            choose(c, &choice, &c->namings[i]);
        }
        put_choice(c, source, n->name, &choice);
        if (choice.ids[0] == c->ids[0] && (!has_first || choice.n > first.n)) {
            first = choice; // the default's other kinds of key
            has_first = true;
        }
    }
    char place[MG_TLS_PLACE];
    mg_snapshot_add(&c->out, mg_tls_place(place, MG_TLS_AT_DEFAULT, source),
                    (mg_str){(const char *)&first, sizeof first});
}

static void end_source(collecting *c) {
    for (size_t i = 0; i < c->naming_count; i++) {
        mg_free(c->namings[i].name);
    }
    mg_free(c->namings);
    mg_free(c->ids);
    mg_free(c->kinds);
    c->namings = NULL;
    c->ids = NULL;
    c->kinds = NULL;
    c->naming_count = c->naming_room = 0;
    c->id_count = c->doubles = 0;
}

static int add_source(collecting *c, uint32_t source) {
    const mg_tls_settings *s = c->at->settings;
    static const mg_tls_files throwaway = {"the throw-away certificate", "the throw-away key"};
    int rc = s->throwaway.n > 0 ? add_pair(c, s->throwaway, s->throwaway, &throwaway) : MG_OK;
    for (size_t i = 0; rc == MG_OK && i < s->file_count; i++) {
        rc = add_files(c, &s->files[i]);
    }
    if (rc == MG_OK && s->folder != NULL) {
        rc = add_folder(c, s->folder);
    }
    rc = rc == MG_OK ? add_all_issued(c, &s->acme) : rc;
    if (rc == MG_OK) {
        put_names(c, source);
    }
    end_source(c);
    return rc;
}

// --- endpoints ---

static bool same_domains(const mg_tls_acme *a, const mg_tls_acme *b) {
    bool same = a->on == b->on && a->domains.n == b->domains.n &&
                (!a->on || strcmp(a->place, b->place) == 0);
    for (size_t i = 0; same && i < a->domains.n; i++) {
        same = strcmp(a->domains.items[i], b->domains.items[i]) == 0;
    }
    return same;
}

static bool same_source(const mg_tls_settings *a, const mg_tls_settings *b) {
    bool same = a->file_count == b->file_count && (a->folder == NULL) == (b->folder == NULL) &&
                (a->folder == NULL || strcmp(a->folder, b->folder) == 0) &&
                mg_str_eq(a->throwaway, b->throwaway) && same_domains(&a->acme, &b->acme);
    for (size_t i = 0; same && i < a->file_count; i++) {
        same = strcmp(a->files[i].cert, b->files[i].cert) == 0 &&
               strcmp(a->files[i].key, b->files[i].key) == 0;
    }
    return same;
}

static int add_client_ca(collecting *c) {
    const mg_tls_settings *s = c->at->settings;
    mg_buf text = {0};
    mg_error err;
    if (s->client_ca == NULL) {
        return MG_OK;
    }
    int rc = read_file(c, s->client_ca, CA_MOST, &text);
    STACK_OF(X509) *all = rc == MG_OK ? mg_tls_certificates(mg_buf_str(&text)) : NULL;
    if (rc == MG_OK && all == NULL) {
        mg_tls_fault(&err, "certificates in PEM form", s->client_ca);
        rc = fault_at(c, &err);
    }
    sk_X509_pop_free(all, X509_free);
    put_named(c, MG_TLS_AT_CLIENT_CA, mg_str_of(c->at->address), text.p, text.n);
    mg_buf_deinit(&text);
    return rc;
}

static int add_ticket_keys(collecting *c) {
    const char *file = c->at->settings->ticket_keys;
    mg_buf text = {0};
    mg_ticket_ring ring;
    mg_error err;
    if (file == NULL) {
        return MG_OK;
    }
    int rc = read_file(c, file, FILE_MOST, &text);
    if (rc == MG_OK && mg_ticket_keys_read(&ring, mg_buf_str(&text), file, &err) != MG_OK) {
        rc = fault_at(c, &err);
    }
    if (rc == MG_OK) {
        warn_if_open(c, file);
    }
    put_named(c, MG_TLS_AT_TICKETS, mg_str_of(c->at->address), text.p, text.n);
    mg_buf_deinit(&text);
    return rc;
}

static int add_endpoint(collecting *c, const mg_tls_wanted *all, size_t i) {
    mg_tls_wishes w = {(uint32_t)i, all[i].settings->minimum, all[i].settings->client};
    int rc = MG_OK;
    c->at = &all[i];
    for (size_t j = 0; j < i; j++) {
        if (same_source(all[j].settings, all[i].settings)) {
            w.source = (uint32_t)j;
            break;
        }
    }
    if (w.source == i) {
        rc = add_source(c, w.source);
    }
    rc = rc == MG_OK ? add_client_ca(c) : rc;
    rc = rc == MG_OK ? add_ticket_keys(c) : rc;
    put_named(c, MG_TLS_AT_ENDPOINT, mg_str_of(all[i].address), &w, sizeof w);
    return rc;
}

int mg_tls_store_write(int fd, const mg_tls_wanted *wanted, size_t n, const mg_tls_store *before,
                       mg_buf *warnings, mg_error *err) {
    collecting c = {
        .before = before != NULL ? mg_tls_store_snapshot(before) : NULL,
        .warnings = warnings,
        .err = err,
    };
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < n; i++) {
        rc = add_endpoint(&c, wanted, i);
    }
    mg_tls_key_reader_deinit(&c.reader);
    mg_snapshot_add(&c.out, MG_STR(MG_TLS_AT_COUNT),
                    (mg_str){(const char *)&c.count, sizeof c.count});
    if (rc == MG_OK && (rc = mg_snapshot_write(&c.out, fd)) != MG_OK) {
        mg_error_set(err, rc, "certificates cannot be gathered: %s", mg_strerror(rc));
    }
    mg_snapshot_writer_deinit(&c.out);
    return rc;
}
