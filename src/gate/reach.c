#include "gate/reach.h"

#include "event/timer.h"

#include <inttypes.h>
#include <stdio.h>

void mg_probe_begin(mg_reach *r, mg_probe *p, const char *what, const char *where,
                    void (*free)(mg_probe *p)) {
    p->reach = r;
    p->what = mg_arena_copy(&r->arena, mg_str_of(what));
    p->where = where != NULL ? mg_arena_copy(&r->arena, mg_str_of(where)) : NULL;
    p->begun_us = mg_loop_now_us(r->loop);
    p->free = free;
    mg_link_append(&r->probes, &p->link);
    r->open++;
}

// Faults of libraries have several lines.
static void keep_reason(mg_probe *p, const char *why) {
    snprintf(p->why, sizeof p->why, "%s", *why != '\0' ? why : "for no reason that was told");
    for (char *c = p->why; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
}

void mg_probe_end(mg_probe *p, const char *why) {
    if (p->ended) {
        return;
    }
    p->ended = true;
    p->took_ms = (mg_loop_now_us(p->reach->loop) - p->begun_us) / 1000;
    p->reach->open--;
    if (why != NULL) {
        keep_reason(p, why);
    }
}

static void on_late(mg_timer *t) {
    (void)t; // that it is over is seen by the time
}

static void wait_for_all(mg_reach *r) {
    mg_timer late = {0};
    char why[64];
    uint64_t until_ms = mg_loop_now_ms(r->loop) + MG_REACH_MS;
    mg_timer_start(r->loop, &late, MG_REACH_MS, 0, on_late);
    while (r->open > 0 && mg_loop_now_ms(r->loop) < until_ms) {
        mg_loop_turn(r->loop, true, false, UINT64_MAX);
    }
    mg_timer_stop(&late);
    snprintf(why, sizeof why, "no answer within %d s", MG_REACH_MS / 1000);
    for (mg_link *l = r->probes.next; l != &r->probes; l = l->next) {
        mg_probe_end(MG_OF(l, mg_probe, link), why);
    }
}

static size_t print(const mg_reach *r, bool failed, mg_buf *out) {
    size_t n = 0;
    for (const mg_link *l = r->probes.next; l != &r->probes; l = l->next) {
        const mg_probe *p = MG_OF(l, mg_probe, link);
        if ((p->why[0] != '\0') != failed) {
            continue;
        }
        n++;
        mg_buf_printf(out, "%s%s%s ", p->what, p->where != NULL ? ": " : "",
                      p->where != NULL ? p->where : "");
        if (failed) {
            mg_buf_printf(out, "fails: %s\n", p->why);
        } else {
            mg_buf_printf(out, "works (%" PRIu64 " ms)\n", p->took_ms);
        }
    }
    return n;
}

static void free_probes(mg_reach *r) {
    mg_link *l;
    while ((l = mg_link_shift(&r->probes)) != NULL) {
        mg_probe *p = MG_OF(l, mg_probe, link);
        if (p->free != NULL) {
            p->free(p);
        }
    }
}

// What a kind cannot do without.
static int open_common(mg_reach *r, mg_error *err) {
    const mg_config_http *http = &r->config->http;
    const mg_dns_options dns = {.nameservers = http->nameservers};
    mg_link_init(&r->probes);
    int rc = mg_loop_new(&r->loop, NULL);
    if (rc == MG_OK) {
        rc = mg_dns_new(&r->dns, r->loop, &dns);
    }
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "%s", mg_strerror(rc));
    }
    r->tls = mg_tls_cache_new(r->loop, http->ca.path, http->ca.text);
    return MG_OK;
}

size_t mg_reach_all(const mg_config *config, mg_buf *out) {
    mg_reach r = {.config = config};
    mg_error err;
    size_t failed = 1;
    if (open_common(&r, &err) == MG_OK) {
        mg_reach_databases(&r);
        mg_reach_redis(&r);
        mg_reach_upstreams(&r);
        wait_for_all(&r);
        (void)print(&r, false, out);
        failed = print(&r, true, out);
    } else {
        mg_buf_printf(out, "nothing can be tried: %s\n", err.text);
    }
    free_probes(&r);
    mg_tls_cache_free(r.tls);
    mg_dns_free(r.dns);
    if (r.loop != NULL) {
        (void)mg_loop_free(r.loop);
    }
    mg_arena_deinit(&r.arena);
    return failed;
}
