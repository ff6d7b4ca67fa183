// What is read lies in the input; and a cookie that may be set says exactly what was asked for. The
// first byte chooses flags, and the lines behind it are name, value, path and domain.
#include "fuzz.h"
#include "http/cookie.h"

static void check_reading(mg_str input) {
    mg_str rest = input;
    mg_str name;
    mg_str value;
    while (mg_cookie_next(&rest, &name, &value)) {
        must(name.n > 0 && name.p >= input.p);
        must(value.p > name.p && value.p + value.n <= input.p + input.n);
        must(memchr(name.p, '=', name.n) == NULL && memchr(name.p, ';', name.n) == NULL);
        must(value.n == 0 || memchr(value.p, ';', value.n) == NULL);
    }
    must(rest.n == 0);
}

static mg_str take_line(mg_str *s) {
    const char *end = s->n > 0 ? memchr(s->p, '\n', s->n) : NULL;
    mg_str line = {s->p, end != NULL ? (size_t)(end - s->p) : s->n};
    size_t skip = line.n + (end != NULL);
    *s = (mg_str){s->p + skip, s->n - skip};
    return line;
}

static int attributes_of(const mg_cookie *c) {
    return (c->path.n > 0) + (c->domain.n > 0) + c->has_max_age + c->has_expires +
           (c->same_site != MG_SAME_SITE_UNSET) + c->secure + c->http_only + c->partitioned;
}

static void check_written(const mg_cookie *c, mg_str line) {
    int semicolons = 0;
    for (size_t i = 0; i < line.n; i++) {
        must((uint8_t)line.p[i] >= 0x20 && (uint8_t)line.p[i] < 0x7f);
        semicolons += line.p[i] == ';';
    }
    must(semicolons == attributes_of(c));
    mg_str name;
    mg_str value;
    must(mg_cookie_next(&line, &name, &value));
    must(mg_str_eq(name, c->name) && mg_str_eq(value, c->value));
}

static void check_writing(uint8_t flags, mg_str input) {
    mg_cookie c = {.name = take_line(&input),
                   .value = take_line(&input),
                   .path = take_line(&input),
                   .domain = take_line(&input),
                   .secure = flags & 1,
                   .http_only = flags >> 1 & 1,
                   .partitioned = flags >> 2 & 1,
                   .has_max_age = flags >> 3 & 1,
                   .max_age_s = (int64_t)input.n - 3,
                   .has_expires = flags >> 4 & 1,
                   .expires_s = (int64_t)((uint64_t)input.n << (flags & 63)),
                   .same_site = (mg_same_site)(flags >> 5 & 3)};
    mg_buf out = {0};
    mg_error err;
    if (mg_cookie_write(&out, &c, &err) == MG_OK) {
        check_written(&c, mg_buf_str(&out));
    } else {
        must(out.n == 0 && err.text[0] != '\0');
    }
    mg_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str input = {(const char *)data + 1, size - 1};
    check_reading(input);
    check_writing(data[0], input);
    return 0;
}
