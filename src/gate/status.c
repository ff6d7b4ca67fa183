// Read from the shared memory and /proc: a worker that is stuck need not be asked.

#include "gate/status.h"

#include "base/json.h"
#include "base/version.h"
#include "gate/status_certificates.h"
#include "gate/status_upstreams.h"

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

static void add_jobs(const mg_cell *c, uint64_t now, mg_buf *out) {
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

static void add_redis(const mg_cell *c, mg_buf *out) {
    mg_buf_append_str(out, MG_STR(",\"redis\":["));
    for (size_t i = 0; i < MG_CELL_REDIS && c->redis[i].name[0] != '\0'; i++) {
        mg_cell_redis r = c->redis[i]; // its worker may write meanwhile
        r.name[sizeof r.name - 1] = '\0';
        r.state[sizeof r.state - 1] = '\0';
        mg_buf_append_str(out, i > 0 ? MG_STR(",{") : MG_STR("{"));
        add_text(out, "redis", r.name);
        add_text(out, "state", r.state);
        mg_buf_printf(out, "\"waiting\":%u}", r.waiting);
    }
    mg_buf_append_str(out, MG_STR("]"));
}

static void add_topics(mg_buf *out, const mg_cell_topics *t) {
    mg_buf_printf(out, "\"event_streams\":%llu,\"topics\":%llu,\"published\":%llu,",
                  (unsigned long long)t->event_streams, (unsigned long long)t->topics,
                  (unsigned long long)t->published);
    mg_buf_printf(out, "\"delivered\":%llu,\"lost_messages\":%llu,\"slow_streams\":%llu,",
                  (unsigned long long)t->delivered, (unsigned long long)t->lost,
                  (unsigned long long)t->slow);
}

static void add_sockets(const mg_cell *c, mg_buf *out) {
    mg_buf_append_str(out, MG_STR(",\"sockets\":["));
    for (size_t i = 0; i < MG_CELL_SOCKETS && c->sockets[i].route[0] != '\0'; i++) {
        mg_cell_sockets s = c->sockets[i]; // its worker may write meanwhile
        s.route[sizeof s.route - 1] = '\0';
        mg_buf_append_str(out, i > 0 ? MG_STR(",{") : MG_STR("{"));
        add_text(out, "route", s.route);
        mg_buf_printf(out, "\"generation\":%u,\"count\":%u}", s.generation, s.count);
    }
    mg_buf_append_str(out, MG_STR("]"));
}

static void add_worker(const mg_status_worker *w, uint64_t now, mg_buf *out) {
    const mg_cell *c = w->cell;
    double uptime = c->pid != 0 ? (double)w->uptime_ms / 1000 : 0;
    mg_buf_printf(out, "{\"worker\":%u,\"pid\":%u,", w->number, c->pid);
    add_text(out, "state", w->state);
    mg_buf_printf(out, "\"uptime\":%.1f,\"generation\":%u,", uptime, c->generation);
    mg_buf_printf(out, "\"connections\":%llu,\"requests\":%llu,\"accepted\":%llu,",
                  (unsigned long long)c->traffic.connections,
                  (unsigned long long)c->traffic.requests, (unsigned long long)c->traffic.accepted);
    mg_buf_printf(out, "\"bytes_in\":%llu,\"bytes_out\":%llu,",
                  (unsigned long long)c->traffic.bytes_in,
                  (unsigned long long)c->traffic.bytes_out);
    mg_buf_printf(out, "\"failed_handshakes\":%llu,",
                  (unsigned long long)c->traffic.failed_handshakes);
    mg_buf_printf(out, "\"memory\":%llu,\"lua_memory\":%llu,\"restarts\":%u,",
                  (unsigned long long)(c->pid != 0 ? resident_bytes(c->pid) : 0),
                  (unsigned long long)c->lua_bytes, w->restarts);
    add_topics(out, &c->topics);
    add_generations(out, c);
    add_jobs(c, now, out);
    add_redis(c, out);
    add_sockets(c, out);
    mg_buf_append_char(out, '}');
}

static void add_addresses(const mg_status *s, mg_buf *out) {
    mg_buf_append_str(out, MG_STR("\"listen\":["));
    for (size_t i = 0; i < s->address_count; i++) {
        mg_buf_append_str(out, i > 0 ? MG_STR(",") : MG_STR(""));
        mg_json_write_replaced(out, mg_str_of(s->addresses[i]));
    }
    mg_buf_append_str(out, MG_STR("],"));
}

static void add_served(const mg_status *s, mg_buf *out) {
    enum { DAY_S = 86400 };
    if (s->served_count > 0) {
        mg_buf_printf(
            out, "\"served_certificates\":%zu,\"first_expiry_days\":%lld,\"first_expiry_file\":",
            s->served_count, (long long)((s->first_expiry_s - s->wall_s) / DAY_S));
        mg_json_write_replaced(out, s->first_expiry_file);
        mg_buf_append_char(out, ',');
    }
}

void mg_status_append(const mg_status *s, mg_buf *out) {
    mg_buf_append_str(out, MG_STR("{\"ok\":true,"));
    add_text(out, "version", MG_VERSION);
    add_text(out, "conf", s->conf);
    mg_buf_printf(out, "\"pid\":%d,\"uptime\":%.1f,\"generation\":%u,\"stopping\":%s,", s->pid,
                  (double)s->uptime_ms / 1000, s->generation, s->stopping ? "true" : "false");
    add_addresses(s, out);
    add_served(s, out);
    mg_buf_append_str(out, MG_STR("\"workers\":["));
    for (size_t i = 0; i < s->worker_count; i++) {
        mg_buf_append_str(out, i > 0 ? MG_STR(",") : MG_STR(""));
        add_worker(&s->workers[i], s->now_ms, out);
    }
    mg_buf_append_char(out, ']');
    mg_status_append_certificates(s->certificates, s->certificate_count, out);
    if (s->proxy != NULL) {
        mg_status_append_upstreams(s->proxy, s->now_ms, out);
    }
    mg_buf_append_str(out, MG_STR("}\n"));
}
