// The end of a reload that has come through: what all workers have ready serves, and sockets and
// workers become what the configuration says.

#include "config/endpoint.h"
#include "gate/reload_inside.h"

#include <stdio.h>
#include <unistd.h>

static void fit_workers(mg_master *m, uint32_t before) {
    for (uint32_t slot = m->wanted; slot < before; slot++) {
        mg_place_stop(mg_place_at(m, slot), true);
    }
    for (uint32_t slot = before; slot < m->wanted; slot++) {
        mg_place *p = mg_place_at(m, slot);
        if (p->life.state == MG_PLACE_EMPTY) {
            mg_place_start(p, m->snapshot, m->generation, (mg_str){0});
        }
    }
}

static void take_logs(mg_master *m, const mg_config *before) {
    mg_logs logs;
    mg_error err;
    mg_config_log own = m->config.log;
    own.access = NULL;
    if (before != NULL && mg_logs_same(&before->log, &m->config.log)) {
        return;
    }
    if (mg_logs_open(&logs, &own, &err) == MG_OK) {
        mg_logs_close(&m->logs);
        m->logs = logs;
    } else {
        mg_master_log(m, MG_LOG_ERROR, "%s", err.text);
    }
}

static void announce(mg_master *m) {
    for (size_t i = 0; i < m->socket_count; i++) {
        const mg_master_socket *s = &m->sockets[i];
        if (s->slot == 0 || s->slot == MG_SLOT_ALL) {
            const mg_endpoint *e = mg_endpoint_find(&m->config, s->address);
            mg_master_log(m, MG_LOG_INFO, "listening on %s%s%s (pid %ld)",
                          s->is_unix ? "" : mg_endpoint_scheme(e), s->is_unix ? "" : "://",
                          s->shown, (long)getpid());
        }
    }
}

static void swap(mg_reload *r) {
    mg_master *m = r->master;
    mg_config before = m->config;
    uint32_t wanted = m->wanted;
    mg_snapshot_unref(m->snapshot);
    m->snapshot = r->snapshot;
    mg_snapshot_rest(m->snapshot);
    r->snapshot = NULL;
    m->config = r->config;
    r->config = (mg_config){0};
    m->generation = r->number;
    mg_orders_prune(&m->orders, &m->config.upstreams);
    m->wanted = r->wanted;
    mg_tls_store *keys = r->keys;
    r->keys = NULL;
    if (m->has_config) {
        take_logs(m, &before);
        mg_config_deinit(&before);
        mg_keys_take(m, keys, &r->changes.text);
        mg_sockets_commit(m, &r->changes.text);
    } else {
        m->has_config = true;
        mg_keys_take(m, keys, NULL);
        mg_sockets_commit(m, NULL);
        wanted = m->wanted; // they are there already
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p != NULL && p->asked == r->number) {
            p->asked = 0;
            mg_place_serve(p, r->number);
        }
    }
    fit_workers(m, wanted);
    mg_places_lend(m);
    mg_acme_fit(m);
}

static void note_changes(mg_reload *r) {
    const mg_master *m = r->master;
    mg_changes_between(&r->changes, &(mg_changes_side){m->snapshot, &m->config, m->wanted},
                       &(mg_changes_side){r->snapshot, &r->config, r->wanted});
}

static double milliseconds(const mg_reload *r) {
    return (double)(mg_loop_now_us(r->master->loop) - r->start_us) / 1000;
}

void mg_reload_commit(mg_reload *r) {
    mg_master *m = r->master;
    bool first = m->generation == 0;
    note_changes(r);
    swap(r);
    mg_buf text = {0};
    mg_buf_printf(&text, "generation %u in %.0f ms\n", r->number, milliseconds(r));
    mg_buf_append_str(&text, r->changes.text.n > 0 ? mg_buf_str(&r->changes.text)
                                                   : MG_STR("  no file has changed\n"));
    if (first) {
        announce(m);
    } else {
        mg_master_log(m, MG_LOG_INFO, "reloaded: generation %u in %.0f ms, %zu file%s changed",
                      r->number, milliseconds(r), r->changes.files,
                      r->changes.files == 1 ? "" : "s");
    }
    mg_reload_succeed(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

void mg_reload_end_dry(mg_reload *r) {
    mg_buf text = {0};
    note_changes(r);
    mg_buf_printf(&text, "good: all workers could load it (%.0f ms); nothing has been swapped\n",
                  milliseconds(r));
    mg_buf_append_str(&text, mg_buf_str(&r->changes.text));
    mg_reload_abandon_places(r);
    mg_sockets_abandon(r->master);
    mg_reload_succeed(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
}
