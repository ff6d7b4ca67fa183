// An accepted URI has a host, a port, a target that stands as it is, and nothing of what it came
// from unseen; it means itself when it is written again, and when it is resolved against itself.
// The first line is the URI, the rest a reference against it.
#include "fuzz.h"
#include "http/uri.h"
#include "http/url.h"

static void same(const mg_uri *a, const mg_uri *b) {
    must(a->tls == b->tls && a->port == b->port);
    must(mg_str_eq(a->authority, b->authority));
    must(mg_str_eq(a->host, b->host));
    must(mg_str_eq(a->target, b->target));
}

static void check_parts(const mg_uri *u) {
    must(u->host.n > 0 && u->port > 0 && mg_host_valid(u->authority));
    must(memchr(u->authority.p, '@', u->authority.n) == NULL);
    must(u->target.n > 0 && u->target.p[0] == '/');
    for (size_t i = 0; i < u->target.n; i++) {
        uint8_t c = (uint8_t)u->target.p[i];
        must(c > 0x20 && c < 0x7f && strchr("\"<>\\^`#", c) == NULL);
    }
}

static void check_text(mg_str text, const mg_uri *want, mg_arena *arena) {
    mg_uri again;
    const char *why;
    must(mg_uri_parse(text, arena, &again, &why) == MG_OK);
    same(want, &again);
}

static void check_again(const mg_uri *u, mg_arena *arena) {
    mg_buf text = {0};
    mg_buf_printf(&text, "%s://%.*s%.*s", u->tls ? "https" : "http", (int)u->authority.n,
                  u->authority.p, (int)u->target.n, u->target.p);
    check_text(mg_buf_str(&text), u, arena);
    mg_buf own = {0};
    must(mg_uri_resolve(u, mg_buf_str(&text), &own) == MG_OK);
    check_text(mg_buf_str(&own), u, arena);
    mg_buf_clear(&own);
    must(mg_uri_resolve(u, MG_STR("#x"), &own) == MG_OK);
    check_text(mg_buf_str(&own), u, arena);
    mg_buf_clear(&own);
    must(mg_uri_resolve(u, u->target, &own) == MG_OK || mg_str_starts(u->target, MG_STR("//")));
    if (!mg_str_starts(u->target, MG_STR("//"))) {
        check_text(mg_buf_str(&own), u, arena);
    }
    mg_buf_deinit(&own);
    mg_buf_deinit(&text);
}

static bool has_slashes_first(mg_str s) {
    return mg_str_starts(s, MG_STR("//")) || memmem(s.p, s.n, "://", 3) != NULL;
}

static void check_reference(const mg_uri *base, mg_str reference, mg_arena *arena) {
    mg_buf text = {0};
    mg_uri to;
    mg_uri absolute;
    const char *why = NULL;
    bool is_absolute = mg_uri_parse(reference, arena, &absolute, &why) == MG_OK;
    int rc = mg_uri_resolve(base, reference, &text);
    must(rc == MG_OK || (rc == MG_ESYNTAX && text.n == 0 && !is_absolute));
    if (rc == MG_OK && mg_uri_parse(mg_buf_str(&text), arena, &to, &why) == MG_OK) {
        check_parts(&to);
        check_again(&to, arena);
        must(memchr(reference.p, '\0', reference.n) == NULL ||
             memchr(reference.p, '#', reference.n) != NULL);
        must(has_slashes_first(reference) ||
             (to.tls == base->tls && mg_str_eq(to.authority, base->authority)));
    }
    if (is_absolute) {
        same(&absolute, &to);
    }
    mg_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_arena arena = {0};
    mg_uri u;
    const char *why = NULL;
    const uint8_t *lf = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = lf != NULL ? (size_t)(lf - data) : size;
    // A copy of its own, so that a read beyond it is seen.
    char *text = malloc(n + (n == 0));
    must(text != NULL);
    memcpy(text, size > 0 ? (const void *)data : "", n);
    if (mg_uri_parse((mg_str){text, n}, &arena, &u, &why) == MG_OK) {
        check_parts(&u);
        check_again(&u, &arena);
        if (lf != NULL) {
            check_reference(&u, (mg_str){(const char *)lf + 1, size - n - 1}, &arena);
        }
    } else {
        must(why != NULL);
    }
    free(text);
    mg_arena_deinit(&arena);
    return 0;
}
