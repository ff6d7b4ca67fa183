#include "http/conditional.h"

#include "http/date.h"

static bool is_weak(mg_str tag) {
    return tag.n >= 2 && tag.p[0] == 'W' && tag.p[1] == '/';
}

static mg_str opaque(mg_str tag) {
    return is_weak(tag) ? (mg_str){tag.p + 2, tag.n - 2} : tag;
}

static bool matches(mg_str a, mg_str b, bool strong) {
    return !(strong && (is_weak(a) || is_weak(b))) && mg_str_eq(opaque(a), opaque(b));
}

static bool list_matches(mg_str list, mg_str etag, bool strong) {
    mg_str item;
    if (mg_str_eq(list, MG_STR("*"))) {
        return true;
    }
    while (mg_str_next_item(&list, &item)) {
        if (matches(item, etag, strong)) {
            return true;
        }
    }
    return false;
}

static mg_condition judge_match(const mg_head *h, const mg_validators *v) {
    const mg_field *f = mg_head_find(h, MG_STR("if-match"));
    int64_t date;
    if (f != NULL) {
        return list_matches(f->value, v->etag, true) ? MG_CONDITION_GO : MG_CONDITION_FAILED;
    }
    f = mg_head_find(h, MG_STR("if-unmodified-since"));
    if (f != NULL && mg_date_parse(f->value, &date) && v->last_modified > date) {
        return MG_CONDITION_FAILED;
    }
    return MG_CONDITION_GO;
}

mg_condition mg_condition_of(const mg_head *h, const mg_validators *v) {
    bool safe = h->method == MG_METHOD_GET || h->method == MG_METHOD_HEAD;
    int64_t date;
    if (judge_match(h, v) == MG_CONDITION_FAILED) {
        return MG_CONDITION_FAILED;
    }
    const mg_field *f = mg_head_find(h, MG_STR("if-none-match"));
    if (f != NULL) {
        if (!list_matches(f->value, v->etag, false)) {
            return MG_CONDITION_GO;
        }
        return safe ? MG_CONDITION_NOT_MODIFIED : MG_CONDITION_FAILED;
    }
    f = mg_head_find(h, MG_STR("if-modified-since"));
    if (f != NULL && safe && mg_date_parse(f->value, &date) && v->last_modified <= date) {
        return MG_CONDITION_NOT_MODIFIED;
    }
    return MG_CONDITION_GO;
}

bool mg_condition_range_holds(const mg_head *h, const mg_validators *v) {
    const mg_field *f = mg_head_find(h, MG_STR("if-range"));
    int64_t date;
    if (f == NULL) {
        return true;
    }
    if (mg_date_parse(f->value, &date)) {
        return v->last_modified == date;
    }
    return matches(f->value, v->etag, true);
}
