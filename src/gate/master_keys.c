#include "gate/master_keys.h"

#include "base/io.h"
#include "base/mem.h"
#include "event/ticket_ring.h"
#include "event/tls.h"
#include "gate/certificates.h"
#include "gate/master_inside.h"

#include <errno.h>
#include <unistd.h>

int mg_keys_begin(mg_master *m, mg_error *err) {
    if (m->cli->overrides.tls && m->throwaway.n == 0) {
        int rc = mg_tls_throwaway(&m->throwaway, err);
        if (rc != MG_OK) {
            return rc;
        }
    }
    int fd = mg_snapshot_memfd();
    int rc = fd >= 0 ? mg_io_write(fd, mg_buf_str(&m->throwaway)) : MG_OK;
    if (rc != MG_OK) {
        close(fd);
        return rc;
    }
    return fd;
}

// --- the calendar ---

static int64_t now_s(const mg_master *m) {
    return (int64_t)(mg_loop_wall_ms(m->loop) / 1000);
}

static void warn_of_root(mg_master *m, const mg_config *config) {
    if (m->generation == 0 && !m->alone && geteuid() == 0 && config->user == NULL &&
        mg_certificates_wanted(config)) {
        mg_master_log(m, MG_LOG_WARN,
                      "workers run as root, so scripts can read the private keys: set user");
    }
}

int mg_keys_judge(mg_master *m, const mg_tls_store *fresh, const mg_config *config, mg_error *err) {
    mg_tls_verdict v;
    int rc = MG_OK;
    mg_tls_judge(fresh, m->keys, m->generation == 0, now_s(m), &v);
    if (v.faults.n > 0) {
        rc = mg_error_set(err, MG_ECONFIG, "%.*s", (int)v.faults.n - 1, v.faults.p);
    } else {
        mg_master_log_lines(m, MG_LOG_ERROR, mg_buf_str(&v.errors));
        mg_master_log_lines(m, MG_LOG_WARN, mg_buf_str(&v.warnings));
        warn_of_root(m, config);
    }
    mg_tls_verdict_deinit(&v);
    return rc;
}

// --- those who serve ---

void mg_keys_tell(mg_master *m, const mg_place *p) {
    if (m->keys != NULL) {
        mg_channel_send(p->channel,
                        &(mg_message){.type = MG_MESSAGE_KEYS, .fd = mg_tls_store_fd(m->keys)});
    }
}

void mg_keys_take(mg_master *m, mg_tls_store *fresh, mg_buf *changes) {
    if (mg_tls_store_same(m->keys, fresh)) {
        mg_tls_store_unref(fresh);
        return;
    }
    mg_tls_store_unref(m->keys);
    m->keys = fresh;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL && m->places[slot]->channel != NULL) {
            mg_keys_tell(m, m->places[slot]);
        }
    }
    if (changes != NULL) {
        mg_buf_printf(changes, "  ~ certificates\n");
    }
}

void mg_keys_rotate(mg_master *m) {
    uint64_t now = mg_loop_now_ms(m->loop);
    if (m->generation == 0) {
        m->rotated_ms = now;
    } else if (now - m->rotated_ms >= m->config.timeouts.ticket_keys_ms) {
        m->rotated_ms = now;
        if (mg_ticket_ring_rotate(mg_shm_tickets(m->shm)) != MG_OK) {
            mg_master_log(m, MG_LOG_ERROR, "session tickets keep their keys: no randomness");
        }
    }
}
