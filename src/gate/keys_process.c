#include "gate/keys_process.h"

#include "event/tls_store.h"
#include "gate/certificates.h"
#include "gate/generation.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void read_throwaway(mg_buf *out) {
    ssize_t n;
    while ((n = pread(MG_KEYS_OUT, mg_buf_reserve(out, 4096), 4096, (off_t)out->n)) > 0) {
        out->n += (size_t)n;
    }
    // Both share one place in the file.
    if (out->n > 0 && (ftruncate(MG_KEYS_OUT, 0) != 0 || lseek(MG_KEYS_OUT, 0, SEEK_SET) != 0)) {
        mg_buf_clear(out);
    }
}

int mg_keys_collect(const mg_config *config, mg_buf *doubts, mg_error *err) {
    mg_buf throwaway = {0};
    mg_tls_store *before = NULL;
    mg_error why;
    int fd = fcntl(MG_KEYS_BEFORE, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && mg_tls_store_open(&before, fd, &why) != MG_OK) {
        before = NULL; // everything is read anew
    }
    read_throwaway(&throwaway);
    int rc =
        mg_certificates_write(MG_KEYS_OUT, config, mg_buf_str(&throwaway), before, doubts, err);
    mg_tls_store_unref(before);
    mg_buf_deinit(&throwaway);
    return rc;
}

// What is doubtful has been told when the configuration was loaded.
int mg_keys_main(const mg_cli *cli) {
    mg_snapshot *s = NULL;
    mg_config c = {0};
    mg_error err = {""};
    mg_buf doubts = {0};
    setpriority(PRIO_PROCESS, 0, 10); // those who serve come first
    int rc = mg_snapshot_open(&s, MG_KEYS_SNAPSHOT, &err);
    rc = rc == MG_OK ? mg_config_of_snapshot(&c, s, cli->conf, &cli->overrides, &err) : rc;
    rc = rc == MG_OK ? mg_keys_collect(&c, &doubts, &err) : rc;
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    mg_buf_deinit(&doubts);
    mg_config_deinit(&c);
    mg_snapshot_unref(s);
    return rc == MG_OK ? 0 : 1;
}
