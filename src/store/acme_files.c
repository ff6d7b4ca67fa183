#include "store/acme_files.h"

#include "base/io.h"
#include "base/mem.h"
#include "event/tls_acme.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20 };

#define ACCOUNT "_account"

// With a NUL behind it.
static mg_buf path_of(const char *place, const char *name, const char *end) {
    mg_buf path = {0};
    mg_buf_printf(&path, "%s/%s%s", place, name, end);
    mg_buf_append_char(&path, '\0');
    return path;
}

static int fault(mg_error *err, const char *path) {
    int rc = -errno;
    return mg_error_set(err, rc, "%s: %s", path, mg_strerror(rc));
}

// --- folders ---

// Whoever else may write there could put keys of their own in place of ours.
static int check_folder(const char *path, mg_error *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return fault(err, path);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return mg_error_set(err, MG_ECONFIG,
                            "%s: private keys are kept there, so it must be a folder of whoever "
                            "starts the server, and writable for nobody else",
                            path);
    }
    return MG_OK;
}

static int make_folder(const char *path, mode_t mode, mg_error *err) {
    return mkdir(path, mode) == 0 || errno == EEXIST ? MG_OK : fault(err, path);
}

// With those above it, which are as open as others are.
static int make_folders(const char *path, mg_error *err) {
    char *copy = mg_strdup(path);
    int rc = MG_OK;
    for (char *at = strchr(copy + 1, '/'); rc == MG_OK && at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        rc = make_folder(copy, 0755, err);
        *at = '/';
    }
    mg_free(copy);
    rc = rc == MG_OK ? make_folder(path, 0700, err) : rc;
    return rc == MG_OK ? check_folder(path, err) : rc;
}

// Folders whose lease this process has.
static struct {
    char *folders[16];
    size_t n;
} leases;

static bool has_lease(const char *folder) {
    for (size_t i = 0; i < leases.n; i++) {
        if (strcmp(leases.folders[i], folder) == 0) {
            return true;
        }
    }
    return false;
}

int mg_acme_lease(const char *folder, mg_error *err) {
    if (has_lease(folder)) {
        return MG_OK;
    }
    int rc = make_folders(folder, err);
    if (rc != MG_OK || leases.n == sizeof leases.folders / sizeof *leases.folders) {
        return rc != MG_OK ? rc : mg_error_set(err, MG_ELIMIT, "%s: one folder too many", folder);
    }
    mg_buf path = path_of(folder, "lock", "");
    int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        rc = fault(err, path.p);
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? MG_EAGAIN : fault(err, path.p);
        close(fd);
    } else {
        leases.folders[leases.n++] =
            mg_strdup(folder); // the descriptor stays, and with it the lock
    }
    mg_buf_deinit(&path);
    return rc;
}

// --- files ---

// False: there is none, or it cannot be read, which is told.
static int read_file(const char *path, mg_buf *out, mg_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t before = out->n;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && out->n - before <= FILE_MOST) {
        n = read(fd, mg_buf_reserve(out, 8192), 8192);
        out->n += n > 0 ? (size_t)n : 0;
    }
    int rc = n == 0 ? MG_OK : n > 0 ? MG_ELIMIT : -errno;
    if (fd >= 0) {
        close(fd);
    }
    if (rc != MG_OK) {
        out->n = before;
        mg_error_set(err, rc, "%s: %s", path, mg_strerror(rc));
    }
    return rc;
}

static bool sync_folder(const char *place) {
    int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

// Under another name first.
static int write_file(const char *place, const char *name, const char *end, mg_str text,
                      mg_error *err) {
    int rc = make_folders(place, err);
    if (rc != MG_OK) {
        return rc;
    }
    mg_buf path = path_of(place, name, end);
    mg_buf fresh = path_of(place, name, ".new");
    unlink(fresh.p); // of a process that has died
    int fd = open(fresh.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || mg_io_write(fd, text) != MG_OK || fsync(fd) != 0 ||
        rename(fresh.p, path.p) != 0 || !sync_folder(place)) {
        rc = fault(err, path.p);
    }
    if (fd >= 0) {
        close(fd);
    }
    mg_buf_deinit(&path);
    mg_buf_deinit(&fresh);
    return rc;
}

// --- notes ---

void mg_acme_note(const char *place, const char *name, mg_buf *out) {
    mg_error err;
    mg_buf path = path_of(place, name, ".json");
    (void)read_file(path.p, out, &err); // without one it is begun anew
    mg_buf_deinit(&path);
}

int mg_acme_set_note(const char *place, const char *name, mg_str text, mg_error *err) {
    return write_file(place, name, ".json", text, err);
}

// --- keys ---

// One that is there and no key is not replaced: an account would be lost with it.
static int load_key(const char *place, const char *name, const char *end, mg_acme_key **out,
                    mg_error *err) {
    mg_buf path = path_of(place, name, end);
    mg_buf pem = {0};
    *out = NULL;
    int rc = read_file(path.p, &pem, err);
    if (rc == MG_OK) {
        *out = mg_acme_key_read(mg_buf_str(&pem));
        rc = *out != NULL ? MG_OK
                          : mg_error_set(err, MG_ECONFIG,
                                         "%s: expected: an ECDSA key on P-256, in "
                                         "PEM form",
                                         path.p);
    }
    mg_buf_deinit(&pem);
    mg_buf_deinit(&path);
    return rc;
}

static int make_key(const char *place, const char *name, const char *end, mg_acme_key **out,
                    mg_error *err) {
    mg_buf pem = {0};
    *out = mg_acme_key_new();
    if (*out == NULL) {
        return mg_error_set(err, -EIO, "no key can be made: there is no randomness");
    }
    mg_acme_key_write(*out, &pem);
    int rc = write_file(place, name, end, mg_buf_str(&pem), err);
    mg_buf_deinit(&pem);
    if (rc != MG_OK) {
        mg_acme_key_free(*out);
        *out = NULL;
    }
    return rc;
}

static int key_of(const char *place, const char *name, const char *end, mg_acme_key **out,
                  mg_error *err) {
    int rc = load_key(place, name, end, out, err);
    return rc == -ENOENT ? make_key(place, name, end, out, err) : rc;
}

int mg_acme_account(const char *place, mg_buf *jwk, mg_buf *thumbprint, mg_error *err) {
    mg_acme_key *k;
    int rc = key_of(place, ACCOUNT, ".pem", &k, err);
    if (rc == MG_OK) {
        mg_acme_jwk(k, jwk);
        mg_acme_thumbprint(k, thumbprint);
        mg_acme_key_free(k);
    }
    return rc;
}

int mg_acme_account_sign(const char *place, mg_str head, mg_str payload, mg_buf *out,
                         mg_error *err) {
    mg_acme_key *k;
    int rc = key_of(place, ACCOUNT, ".pem", &k, err);
    if (rc == MG_OK && (rc = mg_acme_sign(k, head, payload, out)) != MG_OK) {
        mg_error_set(err, rc, "OpenSSL does not sign");
    }
    mg_acme_key_free(k);
    return rc;
}

// --- certificates ---

int mg_acme_order_request(const char *place, const char *domain, mg_buf *out, mg_error *err) {
    mg_acme_key *k;
    int rc = key_of(place, domain, ".next", &k, err);
    if (rc == MG_OK && (rc = mg_acme_request(k, domain, out)) != MG_OK) {
        mg_error_set(err, rc, "OpenSSL makes no request for %s", domain);
    }
    mg_acme_key_free(k);
    return rc;
}

int mg_acme_keep(const char *place, const char *domain, mg_str chain, mg_error *err) {
    mg_acme_key *k;
    mg_buf bundle = {0};
    mg_buf next = path_of(place, domain, ".next");
    int rc = load_key(place, domain, ".next", &k, err);
    rc = rc == MG_OK ? mg_acme_bundle(k, chain, domain, &bundle, err) : rc;
    rc = rc == MG_OK ? write_file(place, domain, ".pem", mg_buf_str(&bundle), err) : rc;
    if (rc == MG_OK) {
        unlink(next.p); // each certificate has a key of its own
    }
    mg_acme_key_free(k);
    mg_buf_deinit(&bundle);
    mg_buf_deinit(&next);
    return rc;
}

bool mg_acme_kept(const char *place, const char *domain, int64_t *not_before, int64_t *not_after,
                  mg_buf *id) {
    mg_buf path = path_of(place, domain, ".pem");
    mg_buf bundle = {0};
    mg_error err;
    bool good = read_file(path.p, &bundle, &err) == MG_OK &&
                mg_acme_dates(mg_buf_str(&bundle), not_before, not_after);
    if (good) {
        (void)mg_acme_renewal_id(mg_buf_str(&bundle), id);
    }
    mg_buf_deinit(&bundle);
    mg_buf_deinit(&path);
    return good;
}
