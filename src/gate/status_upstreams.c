#include "gate/status_upstreams.h"

#include "proxy/circuit.h"
#include "proxy/state.h"

#include <stdio.h>

// --- as JSON ---

static void add_text(mg_buf *out, const char *name, const char *text, size_t most) {
    mg_buf_printf(out, "\"%s\":", name);
    mg_json_write_replaced(out, (mg_str){text, strnlen(text, most)});
    mg_buf_append_char(out, ',');
}

static void add_server(const mg_server_view *v, uint64_t now_ms, mg_buf *out) {
    char why[MG_STATE_WHY_BYTES];
    const char *state = mg_server_state_text(v->cell, now_ms, why);
    mg_buf_append_char(out, '{');
    add_text(out, "server", v->cell->address, sizeof v->cell->address);
    add_text(out, "state", state, MG_STATE_WHY_BYTES);
    add_text(out, "why", why, sizeof why);
    mg_buf_printf(out, "\"in_flight\":%u,\"tries\":%llu,\"failed\":%llu,\"reused\":%llu}",
                  v->in_flight, (unsigned long long)v->tries, (unsigned long long)v->failed,
                  (unsigned long long)v->reused);
}

static void add_servers(void *room, const mg_upstream_cell *u, uint64_t now_ms, mg_buf *out) {
    mg_server_view v;
    bool first = true;
    for (uint32_t place = 0; mg_shared_next_server(room, &place, &v);) {
        if (strncmp(v.cell->upstream, u->name, sizeof u->name) == 0) {
            mg_buf_append_str(out, first ? MG_STR("") : MG_STR(","));
            add_server(&v, now_ms, out);
            first = false;
        }
    }
}

static void add_upstream(void *room, const mg_upstream_view *v, uint64_t now_ms, mg_buf *out) {
    static const char *const circuits[] = {
        [MG_CIRCUIT_CLOSED] = "closed",
        [MG_CIRCUIT_OPEN] = "open",
        [MG_CIRCUIT_HALF_OPEN] = "half open",
    };
    mg_buf_append_char(out, '{');
    add_text(out, "upstream", v->cell->name, sizeof v->cell->name);
    add_text(out, "circuit", circuits[mg_circuit_of(v->cell, now_ms)], MG_SHARED_NAME);
    mg_buf_printf(out, "\"in_flight\":%u,\"waiting\":%u,\"requests\":%llu,\"retries\":%llu,",
                  v->now.in_flight, v->now.waiting, (unsigned long long)v->requests,
                  (unsigned long long)v->retries);
    mg_buf_printf(out, "\"hedges\":%llu,\"mirrored\":%llu,\"mirror_dropped\":%llu,",
                  (unsigned long long)v->hedges, (unsigned long long)v->mirrored,
                  (unsigned long long)v->mirror_dropped);
    mg_buf_printf(out, "\"refused\":%llu,\"servers\":[", (unsigned long long)v->refused);
    add_servers(room, v->cell, now_ms, out);
    mg_buf_append_str(out, MG_STR("]}"));
}

void mg_status_append_upstreams(void *room, uint64_t now_ms, mg_buf *out) {
    mg_upstream_view v;
    bool first = true;
    for (uint32_t place = 0; mg_shared_next_upstream(room, &place, &v);) {
        mg_buf_append_str(out, first ? MG_STR(",\"upstreams\":[") : MG_STR(","));
        add_upstream(room, &v, now_ms, out);
        first = false;
    }
    mg_buf_append_str(out, first ? MG_STR("") : MG_STR("]"));
}

// --- as text ---

typedef struct line {
    char name[MG_SHARED_ADDRESS], state[24], why[MG_STATE_WHY_BYTES];
    double in_flight, tries, failed, reused; // of a server
    double waiting, requests, retries, hedges, mirrored, mirror_dropped, refused;
} line;

static void take(line *l, const char *key, const mg_json_reader *r, mg_json_token t) {
    const struct {
        const char *name;
        double *number;
    } numbers[] = {
        {"in_flight", &l->in_flight}, {"tries", &l->tries},
        {"failed", &l->failed},       {"reused", &l->reused},
        {"waiting", &l->waiting},     {"requests", &l->requests},
        {"retries", &l->retries},     {"hedges", &l->hedges},
        {"mirrored", &l->mirrored},   {"mirror_dropped", &l->mirror_dropped},
        {"refused", &l->refused},
    };
    if (strcmp(key, "server") == 0 || strcmp(key, "upstream") == 0) {
        mg_json_copy_text(r, l->name, sizeof l->name);
    } else if (strcmp(key, "state") == 0 || strcmp(key, "circuit") == 0) {
        mg_json_copy_text(r, l->state, sizeof l->state);
    } else if (strcmp(key, "why") == 0) {
        mg_json_copy_text(r, l->why, sizeof l->why);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(key, numbers[i].name) == 0) {
            *numbers[i].number = mg_json_double(r, t);
        }
    }
}

static void append_server(const line *l, mg_buf *out) {
    mg_buf_printf(out, "  %-40s  %-8s  %4.0f in flight  %8.0f tries  %6.0f failed", l->name,
                  l->state, l->in_flight, l->tries, l->failed);
    if (l->tries > 0) {
        mg_buf_printf(out, "  %3.0f %% on a kept connection", 100 * l->reused / l->tries);
    }
    mg_buf_printf(out, "%s%s\n", l->why[0] != '\0' ? ": " : "", l->why);
}

static void read_server(mg_json_reader *r, mg_buf *out) {
    line l = {.name = ""};
    while (mg_json_next(r) == MG_JSON_KEY) {
        char key[24];
        mg_json_copy_text(r, key, sizeof key);
        mg_json_token t = mg_json_next(r);
        take(&l, key, r, t);
    }
    append_server(&l, out);
}

static void append_count(double n, const char *what, mg_buf *out) {
    if (n > 0) {
        mg_buf_printf(out, ", %.0f %s", n, what);
    }
}

// What few upstreams have is told of those.
static void append_upstream(const line *l, mg_buf *out) {
    mg_buf_printf(out, "\nupstream %s: circuit %s, %.0f in flight, %.0f requests, %.0f retries",
                  l->name, l->state, l->in_flight, l->requests, l->retries);
    append_count(l->waiting, "waiting", out);
    append_count(l->hedges, "hedges", out);
    append_count(l->refused, "refused", out);
    append_count(l->mirrored, "copies", out);
    append_count(l->mirror_dropped, "copies dropped", out);
    mg_buf_append_char(out, '\n');
}

void mg_status_read_upstream(mg_json_reader *r, mg_buf *out) {
    line l = {.name = ""};
    mg_buf servers = {0};
    while (mg_json_next(r) == MG_JSON_KEY) {
        char key[24];
        mg_json_copy_text(r, key, sizeof key);
        mg_json_token t = mg_json_next(r);
        if (t == MG_JSON_ARRAY) {
            while (mg_json_next(r) == MG_JSON_OBJECT) {
                read_server(r, &servers);
            }
        } else {
            take(&l, key, r, t);
        }
    }
    append_upstream(&l, out);
    mg_buf_append_str(out, mg_buf_str(&servers));
    mg_buf_deinit(&servers);
}
