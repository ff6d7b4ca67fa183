// Ranges lie in the content, apart from each other; and written again they read the same. The first
// eight bytes are the size of the content.
#include "fuzz.h"
#include "http/range.h"

static void check_apart(const mg_range *r, size_t count, uint64_t size) {
    for (size_t i = 0; i < count; i++) {
        must(r[i].length > 0 && r[i].first < size && r[i].length <= size - r[i].first);
        for (size_t j = 0; j < i; j++) {
            must(r[i].first + r[i].length < r[j].first || r[j].first + r[j].length < r[i].first);
        }
    }
}

static void check_written(const mg_range *r, size_t count, uint64_t size) {
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("bytes="));
    for (size_t i = 0; i < count; i++) {
        mg_buf_printf(&text, "%llu-%llu,", (unsigned long long)r[i].first,
                      (unsigned long long)(r[i].first + r[i].length - 1));
    }
    mg_range again[MG_RANGES_MAX];
    size_t n;
    must(mg_range_parse(mg_buf_str(&text), size, again, &n) == MG_RANGE_SOME);
    must(n == count && memcmp(r, again, n * sizeof *r) == 0);
    mg_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t content;
    if (size < sizeof content) {
        return 0;
    }
    memcpy(&content, data, sizeof content);
    content &= INT64_MAX;
    mg_str value = {(const char *)data + sizeof content, size - sizeof content};
    mg_range ranges[MG_RANGES_MAX];
    size_t count;
    mg_range_verdict verdict = mg_range_parse(value, content, ranges, &count);
    must(count <= MG_RANGES_MAX && (verdict == MG_RANGE_SOME) == (count > 0));
    check_apart(ranges, count, content);
    if (count > 0) {
        check_written(ranges, count, content);
    }
    return 0;
}
