#include "http/range.h"

// Reads "5-9", "5-" or "-5". False if it is none of them; `r->length` 0 if it lies behind the end.
static bool parse_one(mg_str s, uint64_t size, mg_range *r) {
    const char *dash = s.n > 0 ? memchr(s.p, '-', s.n) : NULL;
    if (dash == NULL) {
        return false;
    }
    mg_str left = {s.p, (size_t)(dash - s.p)};
    mg_str right = {dash + 1, s.n - left.n - 1};
    uint64_t first;
    uint64_t last = INT64_MAX;
    if (left.n == 0) {
        if (!mg_str_to_u64(right, INT64_MAX, &last)) {
            return false;
        }
        uint64_t length = last < size ? last : size;
        *r = (mg_range){size - length, length};
        return true;
    }
    if (!mg_str_to_u64(left, INT64_MAX, &first) ||
        (right.n > 0 && (!mg_str_to_u64(right, INT64_MAX, &last) || last < first))) {
        return false;
    }
    uint64_t end = last < size ? last + 1 : size;
    *r = (mg_range){first, first < size ? end - first : 0};
    return true;
}

// Joins `r` with the first of the others that it overlaps or adjoins.
static bool join(mg_range *ranges, size_t count, mg_range r) {
    for (size_t i = 0; i < count; i++) {
        uint64_t end = ranges[i].first + ranges[i].length;
        uint64_t r_end = r.first + r.length;
        if (r.first <= end && ranges[i].first <= r_end) {
            uint64_t first = r.first < ranges[i].first ? r.first : ranges[i].first;
            ranges[i] = (mg_range){first, (r_end > end ? r_end : end) - first};
            return true;
        }
    }
    return false;
}

mg_range_verdict mg_range_parse(mg_str value, uint64_t size, mg_range ranges[MG_RANGES_MAX], size_t *count) {
    *count = 0;
    if (value.n < 6 || !mg_str_ieq((mg_str){value.p, 6}, MG_STR("bytes="))) {
        return MG_RANGE_IGNORE;
    }
    mg_str rest = {value.p + 6, value.n - 6};
    mg_str item;
    bool any = false;
    for (int seen = 0; mg_str_next_item(&rest, &item); seen++) {
        mg_range r;
        if (seen == MG_RANGES_MAX || !parse_one(item, size, &r)) {
            return MG_RANGE_IGNORE;
        }
        any = true;
        if (r.length > 0 && !join(ranges, *count, r)) {
            ranges[(*count)++] = r;
        }
    }
    return !any ? MG_RANGE_IGNORE : *count > 0 ? MG_RANGE_SOME : MG_RANGE_UNSATISFIABLE;
}

void mg_range_write(mg_buf *out, mg_range r, uint64_t size) {
    mg_buf_append(out, "bytes ", 6);
    mg_buf_append_u64(out, r.first);
    mg_buf_append_char(out, '-');
    mg_buf_append_u64(out, r.first + r.length - 1);
    mg_buf_append_char(out, '/');
    mg_buf_append_u64(out, size);
}
