#include "http/form.h"

#include "http/url.h"

// The caller has reserved the room, so that what was decoded before stays where it is.
static mg_str decoded(mg_str s, mg_buf *scratch) {
    if (s.n == 0 || (memchr(s.p, '%', s.n) == NULL && memchr(s.p, '+', s.n) == NULL)) {
        return s;
    }
    size_t start = scratch->n;
    mg_url_decode(s, true, scratch);
    return (mg_str){scratch->p + start, scratch->n - start};
}

bool mg_form_next(mg_str *rest, mg_buf *scratch, mg_str *key, mg_str *value) {
    if (!mg_query_next(rest, key, value)) {
        return false;
    }
    mg_buf_clear(scratch);
    mg_buf_reserve(scratch, key->n + value->n + 2);
    *key = decoded(*key, scratch);
    *value = decoded(*value, scratch);
    return true;
}
