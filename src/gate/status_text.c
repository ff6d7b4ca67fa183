#include "gate/status_text.h"

#include "base/json.h"
#include "gate/status_certificates.h"
#include "gate/status_upstreams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MOST = 1e15;

int mg_reply_text(mg_str json, bool *ok, mg_buf *text) {
    mg_json_reader r;
    mg_buf decoded = {0};
    mg_json_reader_init(&r, json, &decoded, 4);
    mg_json_token t = mg_json_next(&r);
    bool good = t == MG_JSON_OBJECT;
    while (good && mg_json_next(&r) == MG_JSON_KEY) {
        bool is_ok = mg_str_eq(r.text, MG_STR("ok"));
        t = mg_json_next(&r);
        if (is_ok) {
            *ok = t == MG_JSON_TRUE;
        } else if (t == MG_JSON_STRING) {
            mg_buf_append_str(text, r.text);
        }
    }
    mg_buf_deinit(&decoded);
    return good ? MG_OK : MG_ESYNTAX;
}

// --- values of a flat object ---

typedef struct row {
    int64_t worker, pid, generation, connections, requests, memory, lua_memory, restarts,
        failed_handshakes, event_streams, lost_messages;
    double uptime;
    char state[24];
} row;

typedef struct server {
    int64_t pid, generation, served_certificates, first_expiry_days;
    double uptime;
    char first_expiry_file[256];
    char version[24];
    char conf[256];
} server;

// Within what every kind of number here can hold.
static double as_number(const mg_json_reader *r, mg_json_token t) {
    double v = mg_json_double(r, t);
    return v > MOST ? MOST : (v < 0 ? 0 : v);
}

static void take_number(row *w, const char *key, double v) {
    struct {
        const char *name;
        int64_t *at;
    } places[] = {
        {"worker", &w->worker},
        {"pid", &w->pid},
        {"generation", &w->generation},
        {"connections", &w->connections},
        {"requests", &w->requests},
        {"memory", &w->memory},
        {"lua_memory", &w->lua_memory},
        {"restarts", &w->restarts},
        {"failed_handshakes", &w->failed_handshakes},
        {"event_streams", &w->event_streams},
        {"lost_messages", &w->lost_messages},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(places[i].name, key) == 0) {
            *places[i].at = (int64_t)v;
        }
    }
    if (strcmp(key, "uptime") == 0) {
        w->uptime = v;
    }
}

static void append_time(mg_buf *out, double seconds) {
    char text[32];
    int64_t s = (int64_t)seconds;
    if (s < 60) {
        snprintf(text, sizeof text, "%.1f s", seconds);
    } else if (s < 3600) {
        snprintf(text, sizeof text, "%d min %02d s", (int)(s / 60), (int)(s % 60));
    } else {
        snprintf(text, sizeof text, "%lld h %02d min", (long long)(s / 3600), (int)(s / 60 % 60));
    }
    mg_buf_append_str(out, mg_str_of(text));
}

static void append_row(mg_buf *out, const row *w) {
    mg_buf up = {0};
    append_time(&up, w->uptime);
    mg_buf_append_char(&up, '\0');
    mg_buf_printf(out, "%6lld  %7lld  %-11s  %12s  %10lld  %11lld  %11lld  %7.1f MiB  %6.1f MiB",
                  (long long)w->worker, (long long)w->pid, w->state, up.p, (long long)w->generation,
                  (long long)w->connections, (long long)w->requests, (double)w->memory / 1048576,
                  (double)w->lua_memory / 1048576);
    if (w->restarts > 0) {
        mg_buf_printf(out, "  restarted %lld x", (long long)w->restarts);
    }
    if (w->failed_handshakes > 0) {
        mg_buf_printf(out, "  %lld TLS handshakes failed", (long long)w->failed_handshakes);
    }
    if (w->event_streams > 0) {
        mg_buf_printf(out, "  %lld event stream%s", (long long)w->event_streams,
                      w->event_streams > 1 ? "s" : "");
    }
    if (w->lost_messages > 0) {
        mg_buf_printf(out, "  %lld messages lost", (long long)w->lost_messages);
    }
    mg_buf_append_char(out, '\n');
    mg_buf_deinit(&up);
}

// One of a worker's generations; the first is the current one and needs no line.
static void append_generation(mg_buf *out, const int64_t v[4], bool current) {
    static const char *const what[] = {"request", "stream", "background task"};
    bool any = false;
    if (current) {
        return;
    }
    mg_buf_printf(out, "        generation %lld is kept by", (long long)v[0]);
    for (int i = 0; i < 3; i++) {
        if (v[i + 1] > 0) {
            mg_buf_printf(out, "%s %lld %s%s", any ? "," : "", (long long)v[i + 1], what[i],
                          v[i + 1] > 1 ? "s" : "");
            any = true;
        }
    }
    mg_buf_append_str(out, any ? MG_STR("\n") : MG_STR(" nothing: it is ending\n"));
}

static void read_generations(mg_json_reader *r, mg_buf *out) {
    static const char *const names[] = {"generation", "requests", "streams", "background"};
    bool first = true;
    while (mg_json_next(r) == MG_JSON_OBJECT) {
        int64_t v[4] = {0};
        while (mg_json_next(r) == MG_JSON_KEY) {
            int at = -1;
            for (int i = 0; i < 4; i++) {
                at = mg_str_eq(r->text, mg_str_of(names[i])) ? i : at;
            }
            mg_json_token t = mg_json_next(r);
            if (at >= 0) {
                v[at] = (int64_t)as_number(r, t);
            }
        }
        append_generation(out, v, first);
        first = false;
    }
}

static void read_jobs(mg_json_reader *r, mg_buf *out) {
    while (mg_json_next(r) == MG_JSON_OBJECT) {
        char name[64] = "";
        double seconds = 0;
        while (mg_json_next(r) == MG_JSON_KEY) {
            bool is_name = mg_str_eq(r->text, MG_STR("job"));
            bool is_seconds = mg_str_eq(r->text, MG_STR("seconds"));
            mg_json_token t = mg_json_next(r);
            if (is_name && t == MG_JSON_STRING) {
                mg_json_copy_text(r, name, sizeof name);
            } else if (is_seconds) {
                seconds = as_number(r, t);
            }
        }
        mg_buf_printf(out, "        job %s runs since ", name);
        append_time(out, seconds);
        mg_buf_append_char(out, '\n');
    }
}

static void read_redis(mg_json_reader *r, mg_buf *out) {
    while (mg_json_next(r) == MG_JSON_OBJECT) {
        char name[64] = "";
        char state[16] = "";
        while (mg_json_next(r) == MG_JSON_KEY) {
            bool is_name = mg_str_eq(r->text, MG_STR("redis"));
            mg_json_token t = mg_json_next(r);
            if (is_name && t == MG_JSON_STRING) {
                mg_json_copy_text(r, name, sizeof name);
            } else if (t == MG_JSON_STRING) {
                mg_json_copy_text(r, state, sizeof state);
            }
        }
        mg_buf_printf(out, "        redis %s is %s\n", name, state);
    }
}

static void read_sockets(mg_json_reader *r, mg_buf *out) {
    while (mg_json_next(r) == MG_JSON_OBJECT) {
        char route[64] = "";
        double generation = 0;
        double count = 0;
        while (mg_json_next(r) == MG_JSON_KEY) {
            bool is_route = mg_str_eq(r->text, MG_STR("route"));
            bool is_count = mg_str_eq(r->text, MG_STR("count"));
            mg_json_token t = mg_json_next(r);
            if (is_route && t == MG_JSON_STRING) {
                mg_json_copy_text(r, route, sizeof route);
            } else {
                *(is_count ? &count : &generation) = as_number(r, t);
            }
        }
        mg_buf_printf(out, "        %.0f WebSocket%s of %s, served by generation %.0f\n", count,
                      count == 1 ? "" : "s", route, generation);
    }
}

static void read_worker(mg_json_reader *r, mg_buf *out) {
    row w = {.worker = 0};
    mg_buf old = {0};
    while (mg_json_next(r) == MG_JSON_KEY) {
        char key[24];
        mg_json_copy_text(r, key, sizeof key);
        mg_json_token t = mg_json_next(r);
        if (t == MG_JSON_ARRAY && strcmp(key, "jobs") == 0) {
            read_jobs(r, &old);
        } else if (t == MG_JSON_ARRAY && strcmp(key, "redis") == 0) {
            read_redis(r, &old);
        } else if (t == MG_JSON_ARRAY && strcmp(key, "sockets") == 0) {
            read_sockets(r, &old);
        } else if (t == MG_JSON_ARRAY) {
            read_generations(r, &old);
        } else if (t == MG_JSON_STRING) {
            mg_json_copy_text(r, w.state, sizeof w.state);
        } else {
            take_number(&w, key, as_number(r, t));
        }
    }
    append_row(out, &w);
    mg_buf_append_str(out, mg_buf_str(&old));
    mg_buf_deinit(&old);
}

static void read_list(mg_json_reader *r, const char *key, mg_buf *listen, mg_buf *workers) {
    mg_json_token t;
    bool is_workers = strcmp(key, "workers") == 0;
    while ((t = mg_json_next(r)) == MG_JSON_OBJECT || t == MG_JSON_STRING) {
        if (t == MG_JSON_OBJECT && is_workers) {
            read_worker(r, workers);
        } else if (t == MG_JSON_OBJECT && strcmp(key, "certificates") == 0) {
            mg_status_read_certificate(r, workers);
        } else if (t == MG_JSON_OBJECT) { // they come behind the workers
            mg_status_read_upstream(r, workers);
        } else if (t == MG_JSON_STRING) {
            mg_buf_printf(listen, "%s%.*s", listen->n > 0 ? ", " : "", (int)r->text.n, r->text.p);
        }
    }
}

static void take_server(server *s, const char *key, const mg_json_reader *r, mg_json_token t) {
    if (strcmp(key, "version") == 0) {
        mg_json_copy_text(r, s->version, sizeof s->version);
    } else if (strcmp(key, "conf") == 0) {
        mg_json_copy_text(r, s->conf, sizeof s->conf);
    } else if (strcmp(key, "pid") == 0) {
        s->pid = (int64_t)as_number(r, t);
    } else if (strcmp(key, "first_expiry_file") == 0) {
        mg_json_copy_text(r, s->first_expiry_file, sizeof s->first_expiry_file);
    } else if (strcmp(key, "first_expiry_days") == 0) {
        s->first_expiry_days = (int64_t)as_number(r, t);
    } else if (strcmp(key, "served_certificates") == 0) {
        s->served_certificates = (int64_t)as_number(r, t);
    } else if (strcmp(key, "generation") == 0) {
        s->generation = (int64_t)as_number(r, t);
    } else if (strcmp(key, "uptime") == 0) {
        s->uptime = as_number(r, t);
    }
}

static void append_served(mg_buf *out, const server *s) {
    if (s->served_certificates == 0) {
        return;
    }
    mg_buf_printf(out, "%lld certificate%s, the first expir", (long long)s->served_certificates,
                  s->served_certificates > 1 ? "s" : "");
    if (s->first_expiry_days > 0) {
        mg_buf_printf(out, "es in %lld days: %s\n", (long long)s->first_expiry_days,
                      s->first_expiry_file);
    } else {
        mg_buf_printf(out, "ed, or does so within a day: %s\n", s->first_expiry_file);
    }
}

static void lay_out(const server *s, const mg_buf *listen, const mg_buf *workers, mg_buf *out) {
    mg_buf_printf(out, "moongate %s, pid %lld, %s, up ", s->version, (long long)s->pid, s->conf);
    append_time(out, s->uptime);
    mg_buf_printf(out, ", generation %lld\nlistening on %.*s\n", (long long)s->generation,
                  (int)listen->n, listen->p);
    append_served(out, s);
    mg_buf_append_str(out, MG_STR("\nworker      pid  state        "
                                  "      uptime  generation  connections     requests      "
                                  "memory         Lua\n"));
    mg_buf_append_str(out, mg_buf_str(workers));
}

int mg_status_text(mg_str json, mg_buf *out) {
    mg_json_reader r;
    mg_buf decoded = {0};
    mg_buf listen = {0};
    mg_buf workers = {0};
    server s = {.pid = 0};
    mg_json_reader_init(&r, json, &decoded, 8);
    bool good = mg_json_next(&r) == MG_JSON_OBJECT;
    while (good && mg_json_next(&r) == MG_JSON_KEY) {
        char key[24];
        mg_json_copy_text(&r, key, sizeof key);
        mg_json_token t = mg_json_next(&r);
        if (t == MG_JSON_ARRAY) {
            read_list(&r, key, &listen, &workers);
        } else {
            take_server(&s, key, &r, t);
        }
    }
    good = good && mg_json_next(&r) == MG_JSON_END;
    if (good) {
        lay_out(&s, &listen, &workers, out);
    }
    mg_buf_deinit(&workers);
    mg_buf_deinit(&listen);
    mg_buf_deinit(&decoded);
    return good ? MG_OK : MG_ESYNTAX;
}
