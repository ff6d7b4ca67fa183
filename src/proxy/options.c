#include "proxy/options.h"

static const char *copy_text(mg_arena *a, const char *text) {
    return text == NULL ? NULL : mg_arena_copy(a, mg_str_of(text));
}

static void copy_servers(mg_upstream_servers *out, const mg_upstream_servers *from, mg_arena *a) {
    mg_upstream_server_options *items = mg_arena_alloc(a, (from->n + 1) * sizeof *items);
    for (size_t i = 0; i < from->n; i++) {
        items[i] = from->items[i];
        items[i].url = copy_text(a, from->items[i].url);
        items[i].host = copy_text(a, from->items[i].host);
        items[i].unix_path = copy_text(a, from->items[i].unix_path);
    }
    *out = (mg_upstream_servers){items, from->n};
}

static void copy_arms(mg_upstream_options *out, const mg_upstream_options *from, mg_arena *a) {
    mg_upstream_arm *arms = mg_arena_alloc(a, (from->arm_count + 1) * sizeof *arms);
    for (size_t i = 0; i < from->arm_count; i++) {
        arms[i].upstream = copy_text(a, from->arms[i].upstream);
        arms[i].weight = from->arms[i].weight;
    }
    out->arms = arms;
}

void mg_upstream_options_copy(mg_upstream_options *out, const mg_upstream_options *from,
                              mg_arena *a) {
    *out = *from;
    copy_servers(&out->servers, &from->servers, a);
    copy_arms(out, from, a);
    const char **const texts[] = {&out->name,         &out->hash_name,       &out->health.path,
                                  &out->health.host,  &out->health.grpc,     &out->mirror.to,
                                  &out->host_literal, &out->tls.ca,          &out->tls.cert,
                                  &out->tls.key,      &out->tls.server_name, &out->sticky};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = copy_text(a, *texts[i]);
    }
    out->rules.p = mg_arena_copy(a, from->rules);
}
