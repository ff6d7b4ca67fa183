#include "gate/certificates.h"

#include "base/mem.h"
#include "event/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

bool mg_certificates_wanted(const mg_config *c) {
    for (size_t i = 0; i < c->listen.n; i++) {
        if (c->listen.items[i].secure) {
            return true;
        }
    }
    return false;
}

// Lies in `a`, as all that it names.
static mg_tls_wanted *wishes_of(const mg_config *c, mg_str throwaway, mg_arena *a, size_t *n) {
    mg_tls_wanted *wanted = mg_arena_alloc(a, c->listen.n * sizeof *wanted);
    mg_tls_settings *made = mg_arena_alloc(a, sizeof *made);
    *made = (mg_tls_settings){.throwaway = throwaway};
    *n = 0;
    for (size_t i = 0; i < c->listen.n; i++) {
        const mg_endpoint *e = &c->listen.items[i];
        if (e->secure) {
            mg_buf text = {0};
            mg_buf_printf(&text, "%s: listen[%zu].tls", c->file, i + 1);
            wanted[(*n)++] = (mg_tls_wanted){e->address, mg_arena_copy(a, mg_buf_str(&text)),
                                             e->settings != NULL ? e->settings : made};
            mg_buf_deinit(&text);
        }
    }
    return wanted;
}

// What OpenSSL would refuse to serve is found now.
static int try_endpoints(mg_tls_store *store, const mg_tls_wanted *wanted, size_t n,
                         mg_error *err) {
    for (size_t i = 0; i < n; i++) {
        mg_tls_context *c;
        mg_error fault;
        const mg_tls_server_options o = {.store = store, .address = wanted[i].address};
        if (mg_tls_server_new(&c, &o, &fault) != MG_OK) {
            return mg_error_set(err, MG_ECONFIG, "%s: %s", wanted[i].where, fault.text);
        }
        mg_tls_unref(c);
    }
    return MG_OK;
}

static int open_copy(mg_tls_store **out, int fd, mg_error *err) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? mg_error_set(err, -errno, "certificates: %s", mg_strerror(-errno))
                    : mg_tls_store_open(out, copy, err);
}

int mg_certificates_write(int fd, const mg_config *c, mg_str throwaway, const mg_tls_store *before,
                          mg_buf *doubts, mg_error *err) {
    mg_arena arena = {0};
    mg_tls_store *store = NULL;
    size_t n;
    const mg_tls_wanted *wanted = wishes_of(c, throwaway, &arena, &n);
    int rc = mg_tls_store_write(fd, wanted, n, before, doubts, err);
    rc = rc == MG_OK ? open_copy(&store, fd, err) : rc;
    rc = rc == MG_OK ? try_endpoints(store, wanted, n, err) : rc;
    mg_tls_store_unref(store);
    mg_arena_deinit(&arena);
    return rc;
}

static int judge(const mg_tls_store *store, mg_buf *doubts, mg_error *err) {
    mg_tls_verdict v;
    mg_tls_judge(store, NULL, false, (int64_t)time(NULL), &v);
    mg_buf_append_str(doubts, mg_buf_str(&v.warnings));
    int rc = MG_OK;
    if (v.faults.n > 0) {
        rc = mg_error_set(err, MG_ECONFIG, "%.*s", (int)v.faults.n - 1, v.faults.p);
    }
    mg_tls_verdict_deinit(&v);
    return rc;
}

int mg_certificates_check(const mg_config *c, mg_buf *doubts, mg_error *err) {
    mg_tls_store *store = NULL;
    if (!mg_certificates_wanted(c)) {
        return MG_OK;
    }
    int fd = mg_snapshot_memfd();
    if (fd < 0) {
        return mg_error_set(err, fd, "certificates: %s", mg_strerror(fd));
    }
    int rc = mg_certificates_write(fd, c, (mg_str){0}, NULL, doubts, err);
    if (rc == MG_OK) {
        rc = mg_tls_store_open(&store, fd, err);
    } else {
        close(fd);
    }
    rc = rc == MG_OK ? judge(store, doubts, err) : rc;
    mg_tls_store_unref(store);
    return rc;
}
