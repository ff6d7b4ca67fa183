// An accepted target has a path that begins at the root, holds no dot segment and no byte that the
// grammar refuses, and is accepted again as it stands. The first byte is the method.
#include "fuzz.h"
#include "http/url.h"

static void check_segments(mg_str path) {
    for (size_t at = 1; at <= path.n;) {
        const char *slash = at < path.n ? memchr(path.p + at, '/', path.n - at) : NULL;
        size_t end = slash != NULL ? (size_t)(slash - path.p) : path.n;
        mg_buf segment = {0};
        mg_url_decode((mg_str){path.p + at, end - at}, false, &segment);
        must(!mg_str_eq(mg_buf_str(&segment), MG_STR(".")));
        must(!mg_str_eq(mg_buf_str(&segment), MG_STR("..")));
        mg_buf_deinit(&segment);
        at = end + 1;
    }
}

static void check_path(mg_str path, mg_method m, mg_arena *arena) {
    must(path.n > 0 && path.p[0] == '/');
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = (uint8_t)path.p[i];
        must(c > 0x20 && c < 0x7f && strchr("\"<>\\^`#?", c) == NULL);
    }
    check_segments(path);
    mg_target again;
    must(mg_target_parse(path, m, arena, &again) == MG_OK && mg_str_eq(again.path, path));
}

static void check_query(mg_str query) {
    for (size_t i = 0; i < query.n; i++) {
        uint8_t c = (uint8_t)query.p[i];
        must(c > 0x20 && c < 0x7f && c != '#');
    }
    mg_str key;
    mg_str value;
    size_t n = 0;
    while (mg_query_next(&query, &key, &value)) {
        must(++n <= 100000);
    }
}

// What may be sent would be taken, but for dot segments that leave the root.
static bool is_taken(mg_str text, mg_arena *arena) {
    mg_target t;
    char *target = mg_arena_alloc(arena, text.n + 2);
    memcpy(target, "/?", 2);
    memcpy(target + 2, text.p, text.n);
    return mg_target_parse((mg_str){target, text.n + 2}, MG_METHOD_GET, arena, &t) == MG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_arena arena = {0};
    mg_method m = (mg_method)(data[0] % MG_METHOD_COUNT);
    mg_str text = {(const char *)data + 1, size - 1};
    mg_target t;
    must(!mg_host_valid(text) || text.n > 0);
    must(!mg_url_is_strict(text) || text.n == 0 || is_taken(text, &arena));
    if (mg_target_parse(text, m, &arena, &t) == MG_OK) {
        if (t.form == MG_TARGET_ORIGIN || t.form == MG_TARGET_ABSOLUTE) {
            check_path(t.path, m == MG_METHOD_CONNECT ? MG_METHOD_GET : m, &arena);
            check_query(t.query);
        }
        must(t.authority.n == 0 || mg_host_valid(t.authority));
    }
    mg_arena_deinit(&arena);
    return 0;
}
