// What a collected snapshot asks for, before anything of it is loaded.

#include "gate/reload_inside.h"

#include "base/io.h"
#include "config/options.h"
#include "config/streams.h"
#include "event/ticket_ring.h"
#include "gate/privileges.h"
#include "live/ring.h"

#include <errno.h>
#include <unistd.h>

enum { STREAMS_BYTES = 64 * 1024 };

static uint32_t workers_of(const mg_master *m, const mg_config *c) {
    return m->alone ? 1 : mg_config_workers(c);
}

// What can be done only once it is known what the first configuration says.
static int begin_service(mg_reload *r, mg_error *err) {
    mg_master *m = r->master;
    mg_config_log own = r->config.log;
    m->alone = m->cli->command == MG_COMMAND_DEV || r->config.workers == 0;
    r->wanted = workers_of(m, &r->config);
    own.access = NULL;
    int rc = mg_logs_open(&m->logs, &own, err);
    if (rc == MG_OK && m->shm == NULL) {
        rc = mg_shm_new(&m->shm, r->config.cache.bytes, err);
        rc = rc == MG_OK ? mg_cache_prepare(m->shm, err) : rc;
        if (rc == MG_OK) {
            mg_ring_draw(m->ring_seed);
            mg_ring_prepare(m->shm, m->ring_seed);
            rc = mg_ticket_ring_begin(mg_shm_tickets(m->shm));
            rc = rc == MG_OK ? rc : mg_error_set(err, rc, "there is no randomness");
        }
    }
    return rc;
}

static int open_collected(mg_reload *r, mg_error *err) {
    int fd = r->memfd;
    int keys = r->keys_fd;
    r->memfd = r->keys_fd = -1;
    int rc = mg_snapshot_open(&r->snapshot, fd, err);
    if (rc != MG_OK) {
        close(keys);
        return rc;
    }
    return mg_tls_store_open(&r->keys, keys, err);
}

int mg_reload_plan(mg_reload *r, mg_error *err) {
    mg_master *m = r->master;
    int rc = open_collected(r, err);
    if (rc == MG_OK) {
        rc = mg_config_of_snapshot(&r->config, r->snapshot, m->cli->conf, &m->cli->overrides, err);
    }
    if (rc != MG_OK) {
        return rc;
    }
    r->wanted = workers_of(m, &r->config);
    mg_ids ids;
    if (r->config.user != NULL && (rc = mg_privileges_find(r->config.user, &ids, err)) != MG_OK) {
        return rc;
    }
    mg_logs_make_files(&r->config.log, r->config.user);
    if (m->generation == 0) {
        rc = begin_service(r, err);
    } else if (!m->alone && r->config.workers == 0) {
        rc = mg_error_set(err, MG_ECONFIG,
                          "%s: workers: 0 needs a restart: this server has a master", m->cli->conf);
    } else if (r->config.cache.bytes != m->config.cache.bytes) {
        mg_master_log(m, MG_LOG_WARN, "%s: cache: another size needs a restart", m->cli->conf);
    }
    if (rc == MG_OK) {
        rc = mg_keys_judge(m, r->keys, &r->config, err);
    }
    if (rc == MG_OK) {
        rc = mg_sockets_plan(m, &r->config, r->wanted, err);
    }
    if (rc == MG_OK && m->generation == 0) {
        mg_master_open_control(
            m, r->config.control); // whoever can connect can also ask for the status
    }
    return rc;
}

// A script says them; a memfd holds them.
static int read_streams(const mg_reload *r, mg_buf *out, mg_error *err) {
    off_t n = lseek(r->streams_fd, 0, SEEK_END);
    if (n < 0 || n > STREAMS_BYTES) {
        return mg_error_set(err, MG_ELIMIT, "%s: there are too many addresses of streams",
                            r->config.app);
    }
    int rc = mg_io_read_at(r->streams_fd, mg_buf_reserve(out, (size_t)n), (size_t)n, 0);
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "addresses of streams: %s", mg_strerror(rc));
    }
    out->n = (size_t)n;
    return MG_OK;
}

int mg_reload_plan_streams(mg_reload *r, bool faulty, mg_error *err) {
    mg_master *m = r->master;
    mg_buf lines = {0};
    int rc = MG_OK;
    if (faulty) {
        mg_config_keep_streams(&r->config, &m->config);
    } else {
        rc = read_streams(r, &lines, err);
        rc = rc == MG_OK ? mg_config_join_streams(&r->config, mg_buf_str(&lines), err) : rc;
    }
    mg_buf_deinit(&lines);
    return rc == MG_OK ? mg_sockets_plan(m, &r->config, r->wanted, err) : rc;
}
