#include "http/range.h"

// Reads "5-9", "5-" or "-5". False if it is none of them; `r->length` 0 if it lies behind the end.
static bool parse_one(mg_str s, uint64_t size, mg_range *r) {
    const char *dash = memchr(s.p, '-', s.n);
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

static uint64_t end_of(mg_range r) {
    return r.first + r.length;
}

static bool touch(mg_range a, mg_range b) {
    return a.first <= end_of(b) && b.first <= end_of(a);
}

static mg_range joined(mg_range a, mg_range b) {
    uint64_t first = a.first < b.first ? a.first : b.first;
    uint64_t end = end_of(a) > end_of(b) ? end_of(a) : end_of(b);
    return (mg_range){first, end - first};
}

// Adds `r`, joined with all that it overlaps or adjoins, where the first of these was.
static void add(mg_range *ranges, size_t *count, mg_range r) {
    size_t at = *count;
    for (size_t i = 0; i < *count;) {
        if (!touch(ranges[i], r)) {
            i++;
            continue;
        }
        r = joined(ranges[i], r);
        at = i < at ? i : at;
        (*count)--;
        memmove(ranges + i, ranges + i + 1, (*count - i) * sizeof *ranges);
        i = 0; // grown, it may reach those that were passed
    }
    at = at < *count ? at : *count;
    memmove(ranges + at + 1, ranges + at, (*count - at) * sizeof *ranges);
    ranges[at] = r;
    (*count)++;
}

mg_range_verdict mg_range_parse(mg_str value, uint64_t size, mg_range ranges[MG_RANGES_MAX],
                                size_t *count) {
    *count = 0;
    if (size == 0 || !mg_str_istarts(value, MG_STR("bytes="))) {
        return MG_RANGE_IGNORE;
    }
    mg_str rest = {value.p + 6, value.n - 6};
    mg_str item;
    size_t seen = 0;
    while (mg_str_next_item(&rest, &item)) {
        mg_range r;
        if (seen++ == MG_RANGES_MAX || !parse_one(item, size, &r)) {
            *count = 0;
            return MG_RANGE_IGNORE;
        }
        if (r.length > 0) {
            add(ranges, count, r);
        }
    }
    return seen == 0 ? MG_RANGE_IGNORE : *count > 0 ? MG_RANGE_SOME : MG_RANGE_UNSATISFIABLE;
}

void mg_range_write(mg_buf *out, mg_range r, uint64_t size) {
    mg_buf_append_str(out, MG_STR("bytes "));
    mg_buf_append_u64(out, r.first);
    mg_buf_append_char(out, '-');
    mg_buf_append_u64(out, end_of(r) - 1);
    mg_buf_append_char(out, '/');
    mg_buf_append_u64(out, size);
}
