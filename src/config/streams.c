#include "config/streams.h"

#include "config/endpoint.h"
#include "config/path.h"

static void add(mg_config *c, const mg_endpoint *e) {
    mg_endpoint *items = mg_arena_alloc(&c->arena, (c->listen.n + 1) * sizeof *items);
    memcpy(items, c->listen.items, c->listen.n * sizeof *items);
    items[c->listen.n] = *e;
    c->listen = (mg_config_endpoints){items, c->listen.n + 1};
}

// Takes the next line: an address, and the place where it was declared.
static bool next_line(mg_str *rest, mg_str *address, mg_str *place) {
    if (rest->n == 0) {
        return false;
    }
    const char *tab = memchr(rest->p, '\t', rest->n);
    const char *end = memchr(rest->p, '\n', rest->n);
    if (tab == NULL || end == NULL || tab > end) {
        return false;
    }
    *address = (mg_str){rest->p, (size_t)(tab - rest->p)};
    *place = (mg_str){tab + 1, (size_t)(end - tab - 1)};
    mg_str_skip(rest, (size_t)(end - rest->p) + 1);
    return true;
}

static int join(mg_config *c, mg_str address, mg_str place, mg_error *err) {
    mg_error why;
    const char *text = mg_config_address(&c->arena, c->root, address, &why);
    if (text == NULL) {
        return mg_error_set(err, MG_ECONFIG, "%.*s: stream: %s", (int)place.n, place.p, why.text);
    }
    const mg_endpoint *known = mg_endpoint_find(c, text);
    if (known != NULL && !known->stream) {
        return mg_error_set(err, MG_ECONFIG,
                            "%.*s: stream: %s speaks HTTP, %s says in listen; allowed: another "
                            "address, or { address = \"%s\", stream = true } there",
                            (int)place.n, place.p, text, c->file, text);
    }
    if (known == NULL) {
        mg_endpoint e = mg_endpoint_of(text);
        e.stream = true;
        add(c, &e);
    }
    return MG_OK;
}

// Where somebody speaks, as configured addresses.
static bool is_spoken(const mg_config *c, const char *address, mg_str lines, mg_arena *a) {
    mg_str declared;
    mg_str place;
    mg_error err;
    while (next_line(&lines, &declared, &place)) {
        const char *text = mg_config_address(a, c->root, declared, &err);
        if (text != NULL && strcmp(text, address) == 0) {
            return true;
        }
    }
    return false;
}

static int check_spoken(const mg_config *c, mg_str lines, mg_error *err) {
    int rc = MG_OK;
    mg_arena a = {0};
    for (size_t i = 0; rc == MG_OK && i < c->listen.n; i++) {
        const mg_endpoint *e = &c->listen.items[i];
        if (e->stream && !is_spoken(c, e->address, lines, &a)) {
            rc = mg_error_set(err, MG_ECONFIG,
                              "%s: listen: %s has stream = true, but the app has no "
                              "app:stream(\"%s\", fn)",
                              c->file, e->address, e->address);
        }
    }
    mg_arena_deinit(&a);
    return rc;
}

int mg_config_join_streams(mg_config *c, mg_str lines, mg_error *err) {
    int rc = check_spoken(c, lines, err);
    mg_str rest = lines;
    mg_str address;
    mg_str place;
    while (rc == MG_OK && next_line(&rest, &address, &place)) {
        rc = join(c, address, place, err);
    }
    return rc;
}

void mg_config_keep_streams(mg_config *c, const mg_config *before) {
    for (size_t i = 0; i < before->listen.n; i++) {
        const mg_endpoint *e = &before->listen.items[i];
        if (e->stream && !e->secure && mg_endpoint_find(c, e->address) == NULL) {
            mg_endpoint kept = mg_endpoint_of(mg_arena_copy(&c->arena, mg_str_of(e->address)));
            kept.stream = true;
            add(c, &kept);
        }
    }
}
