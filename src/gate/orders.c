#include "gate/orders.h"

#include "base/mem.h"
#include "config/upstream.h"
#include "gate/channel.h"

typedef struct order {
    mg_str upstream, verb, what;
} order;

// --- one ---

void mg_order_write(mg_buf *out, mg_str upstream, mg_str verb, mg_str what) {
    mg_buf_append_str(out, upstream);
    mg_buf_append_char(out, '\n');
    mg_buf_append_str(out, verb);
    mg_buf_append_char(out, '\n');
    mg_buf_append_str(out, what);
}

static bool take_line(mg_str *rest, mg_str *line) {
    const char *end = memchr(rest->p, '\n', rest->n);
    if (end == NULL) {
        return false;
    }
    *line = (mg_str){rest->p, (size_t)(end - rest->p)};
    mg_str_skip(rest, line->n + 1);
    return true;
}

static bool is_verb(mg_str verb) {
    return mg_str_eq(verb, MG_STR("servers")) || mg_str_eq(verb, MG_STR("drain")) ||
           mg_str_eq(verb, MG_STR("undrain"));
}

static bool parse(mg_str text, order *out) {
    out->what = text;
    return text.n > 0 && take_line(&out->what, &out->upstream) &&
           take_line(&out->what, &out->verb) && is_verb(out->verb);
}

static bool sets_servers(const order *o) {
    return mg_str_eq(o->verb, MG_STR("servers"));
}

static int read_servers(const order *o, const char *root, mg_arena *a, mg_upstream_servers *out,
                        mg_error *err) {
    return mg_upstream_servers_read(out, a, root, o->what, err);
}

int mg_order_check(mg_str text, const char *root, mg_error *err) {
    order o;
    mg_arena a = {0};
    mg_upstream_servers servers;
    if (text.n > MG_MESSAGE_TEXT) {
        return mg_error_set(err, MG_ELIMIT, "servers: the list has %zu bytes, allowed: up to %d",
                            text.n, MG_MESSAGE_TEXT);
    }
    if (!parse(text, &o)) {
        return mg_error_set(err, MG_ECONFIG, "it is no order for an upstream");
    }
    int rc = sets_servers(&o) && o.what.n > 0 ? read_servers(&o, root, &a, &servers, err) : MG_OK;
    mg_arena_deinit(&a);
    return rc;
}

void mg_order_follow(mg_str text, const char *root, mg_upstreams *us) {
    order o;
    mg_arena a = {0};
    mg_upstream_servers servers;
    if (us == NULL || !parse(text, &o)) {
        return;
    }
    if (!sets_servers(&o)) {
        mg_upstreams_drain(us, o.upstream, o.what, mg_str_eq(o.verb, MG_STR("drain")));
    } else if (o.what.n == 0) {
        mg_upstreams_set_servers(us, o.upstream, NULL);
    } else if (read_servers(&o, root, &a, &servers, NULL) == MG_OK) { // it was checked
        mg_upstreams_set_servers(us, o.upstream, &servers);
    }
    mg_arena_deinit(&a);
}

// --- all that hold ---

static mg_str text_at(const mg_orders *o, size_t i) {
    return mg_buf_str(&o->texts[i]);
}

static void drop(mg_orders *o, size_t i) {
    mg_buf_deinit(&o->texts[i]);
    memmove(&o->texts[i], &o->texts[i + 1], (o->n - i - 1) * sizeof *o->texts);
    o->n--;
}

void mg_orders_deinit(mg_orders *o) {
    while (o->n > 0) {
        drop(o, o->n - 1);
    }
    mg_free(o->texts);
    o->texts = NULL;
}

static bool is_void_by(const order *old, const order *new) {
    return mg_str_eq(old->upstream, new->upstream) &&
           (sets_servers(new) || (!sets_servers(old) && mg_str_eq(old->what, new->what)));
}

static void drop_void(mg_orders *o, const order *new) {
    for (size_t i = o->n; i > 0; i--) {
        order old;
        if (parse(text_at(o, i - 1), &old) && is_void_by(&old, new)) {
            drop(o, i - 1);
        }
    }
}

// What says no more than the configuration need not be kept.
static bool is_default(const order *o) {
    return (sets_servers(o) && o->what.n == 0) || mg_str_eq(o->verb, MG_STR("undrain"));
}

int mg_orders_keep(mg_orders *o, mg_str text) {
    order new;
    if (!parse(text, &new)) {
        return MG_ESYNTAX;
    }
    drop_void(o, &new);
    if (is_default(&new)) {
        return MG_OK;
    }
    if (o->n >= MG_ORDERS_MOST) {
        return MG_ELIMIT;
    }
    o->texts = mg_realloc(o->texts, (o->n + 1) * sizeof *o->texts);
    o->texts[o->n] = (mg_buf){0};
    mg_buf_append_str(&o->texts[o->n++], text);
    return MG_OK;
}

static bool has_upstream(const mg_upstreams_options *all, mg_str name) {
    for (size_t i = 0; i < all->n; i++) {
        if (mg_str_eq(mg_str_of(all->items[i].name), name)) {
            return true;
        }
    }
    return false;
}

void mg_orders_prune(mg_orders *o, const mg_upstreams_options *upstreams) {
    for (size_t i = o->n; i > 0; i--) {
        order old;
        if (parse(text_at(o, i - 1), &old) && !has_upstream(upstreams, old.upstream)) {
            drop(o, i - 1);
        }
    }
}

void mg_orders_follow(const mg_orders *o, const char *root, mg_upstreams *us) {
    for (size_t i = 0; i < o->n; i++) {
        mg_order_follow(text_at(o, i), root, us);
    }
}
