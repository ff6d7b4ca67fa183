// What `moongate status` is told. Read from the shared memory and /proc: a worker that is stuck
// need not be asked.

#include "gate/control.h"

#include "base/json.h"
#include "base/version.h"

#include <stdio.h>
#include <unistd.h>

static uint64_t resident_bytes(uint32_t pid) {
    char path[40];
    unsigned long all = 0;
    unsigned long resident = 0;
    snprintf(path, sizeof path, "/proc/%u/statm", pid);
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        if (fscanf(f, "%lu %lu", &all, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void add_text(mg_buf *out, const char *name, const char *text) {
    mg_buf_printf(out, "\"%s\":", name);
    mg_json_write_replaced(out, mg_str_of(text));
    mg_buf_append_char(out, ',');
}

static void add_generations(mg_buf *out, const mg_cell *c) {
    mg_buf_append_str(out, MG_STR("\"generations\":["));
    for (size_t i = 0; i < MG_CELL_GENERATIONS && c->generations[i].number != 0; i++) {
        const mg_cell_generation *g = &c->generations[i];
        mg_buf_printf(out, "%s{\"generation\":%u,\"requests\":%u,\"streams\":%u,\"background\":%u}",
                      i > 0 ? "," : "", g->number, g->requests, g->streams, g->background);
    }
    mg_buf_append_str(out, MG_STR("]"));
}

static void add_jobs(mg_master *m, const mg_cell *c, mg_buf *out) {
    uint64_t now = mg_loop_now_ms(m->loop);
    mg_buf_append_str(out, MG_STR(",\"jobs\":["));
    for (size_t i = 0; i < MG_CELL_JOBS && c->jobs[i].name[0] != '\0'; i++) {
        mg_cell_job job = c->jobs[i]; // its worker may write meanwhile
        job.name[sizeof job.name - 1] = '\0';
        mg_buf_append_str(out, i > 0 ? MG_STR(",{") : MG_STR("{"));
        add_text(out, "job", job.name);
        mg_buf_printf(out, "\"seconds\":%.1f}",
                      now > job.since_ms ? (double)(now - job.since_ms) / 1000 : 0);
    }
    mg_buf_append_str(out, MG_STR("]"));
}

static const char *state_of(const mg_place *p) {
    static const char *const names[] = {
        [MG_PLACE_EMPTY] = "gone",          [MG_PLACE_STARTING] = "starting",
        [MG_PLACE_SERVING] = "serving",     [MG_PLACE_STOPPING] = "stopping",
        [MG_PLACE_WAITING] = "backing off",
    };
    return p->stuck ? "stuck" : names[p->state];
}

static void add_worker(mg_master *m, const mg_place *p, mg_buf *out) {
    const mg_cell *c = mg_shm_cell(m->shm, p->slot);
    double uptime = c->pid == 0 || p->state != MG_PLACE_SERVING
                        ? 0
                        : (double)(mg_loop_now_ms(m->loop) - p->since_ms) / 1000;
    mg_buf_printf(out, "{\"worker\":%u,\"pid\":%u,", p->slot + 1, c->pid);
    add_text(out, "state", state_of(p));
    mg_buf_printf(out, "\"uptime\":%.1f,\"generation\":%u,", uptime, c->generation);
    mg_buf_printf(out, "\"connections\":%llu,\"requests\":%llu,\"accepted\":%llu,",
                  (unsigned long long)c->traffic.connections,
                  (unsigned long long)c->traffic.requests, (unsigned long long)c->traffic.accepted);
    mg_buf_printf(out, "\"bytes_in\":%llu,\"bytes_out\":%llu,",
                  (unsigned long long)c->traffic.bytes_in,
                  (unsigned long long)c->traffic.bytes_out);
    mg_buf_printf(out, "\"memory\":%llu,\"lua_memory\":%llu,\"restarts\":%u,",
                  (unsigned long long)(c->pid != 0 ? resident_bytes(c->pid) : 0),
                  (unsigned long long)c->lua_bytes, p->restarts);
    add_generations(out, c);
    add_jobs(m, c, out);
    mg_buf_append_char(out, '}');
}

static void add_addresses(const mg_master *m, mg_buf *out) {
    bool any = false;
    mg_buf_append_str(out, MG_STR("\"listen\":["));
    for (size_t i = 0; i < m->socket_count; i++) {
        const mg_master_socket *s = &m->sockets[i];
        if (s->slot == 0 || s->slot == MG_SLOT_ALL) {
            mg_buf_append_str(out, any ? MG_STR(",") : MG_STR(""));
            mg_json_write_replaced(out, mg_str_of(s->shown));
            any = true;
        }
    }
    mg_buf_append_str(out, MG_STR("],"));
}

void mg_status_append(mg_master *m, mg_buf *out) {
    bool any = false;
    mg_buf_append_str(out, MG_STR("{\"ok\":true,"));
    add_text(out, "version", MG_VERSION);
    add_text(out, "conf", m->cli->conf);
    mg_buf_printf(out, "\"pid\":%d,\"uptime\":%.1f,\"generation\":%u,\"stopping\":%s,", getpid(),
                  (double)(mg_loop_now_ms(m->loop) - m->started_ms) / 1000, m->generation,
                  m->stopping ? "true" : "false");
    add_addresses(m, out);
    mg_buf_append_str(out, MG_STR("\"workers\":["));
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        if (p != NULL && p->state != MG_PLACE_EMPTY) {
            mg_buf_append_str(out, any ? MG_STR(",") : MG_STR(""));
            add_worker(m, p, out);
            any = true;
        }
    }
    mg_buf_append_str(out, MG_STR("]}\n"));
}
