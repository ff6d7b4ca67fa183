// unit/tls_server.h: what a TLS server of tests is made from: one pair of files.
#pragma once

#include "event/tls.h"

#include <errno.h>
#include <unistd.h>

// A store of one endpoint, whose address is "test".
static inline int store_of(mg_tls_store **out, const mg_tls_settings *settings, mg_error *err) {
    mg_buf warnings = {0};
    int fd = mg_snapshot_memfd();
    int rc =
        mg_tls_store_write(fd, &(mg_tls_wanted){"test", "here", settings}, 1, NULL, &warnings, err);
    mg_buf_deinit(&warnings);
    if (rc != MG_OK) {
        close(fd);
        return rc;
    }
    return mg_tls_store_open(out, fd, err);
}

static inline int server_of_settings(mg_tls_context **out, const mg_tls_settings *settings,
                                     const char *alpn, mg_error *err) {
    mg_tls_store *store = NULL;
    int rc = store_of(&store, settings, err);
    if (rc == MG_OK) {
        rc = mg_tls_server_new(
            out, &(mg_tls_server_options){.store = store, .address = "test", .alpn = alpn}, err);
        mg_tls_store_unref(store);
    }
    return rc;
}

static inline int server_of_files(mg_tls_context **out, const char *cert, const char *key,
                                  const char *alpn, mg_error *err) {
    const mg_tls_files files = {cert, key};
    return server_of_settings(out, &(mg_tls_settings){.files = &files, .file_count = 1}, alpn, err);
}
