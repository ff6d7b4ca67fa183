#include "http/conditional.h"

#include "http/date.h"

// --- entity tags (RFC 9110 section 8.8.3) ---

static bool is_weak(mg_str tag) {
    return mg_str_starts(tag, MG_STR("W/"));
}

static mg_str opaque(mg_str tag) {
    return is_weak(tag) ? (mg_str){tag.p + 2, tag.n - 2} : tag;
}

static bool matches(mg_str a, mg_str b, bool strong) {
    return !(strong && (is_weak(a) || is_weak(b))) && mg_str_eq(opaque(a), opaque(b));
}

// Takes the next tag. Other than in a quoted string, a backslash in it is a plain character, and so
// is a comma. False at the end and at anything that is no tag.
static bool next_tag(mg_str *rest, mg_str *tag) {
    while (rest->n > 0 && strchr(", \t", rest->p[0]) != NULL) {
        mg_str_skip(rest, 1);
    }
    mg_str quoted = opaque(*rest);
    if (quoted.n < 2 || quoted.p[0] != '"') {
        return false;
    }
    const char *end = memchr(quoted.p + 1, '"', quoted.n - 1);
    if (end == NULL) {
        return false;
    }
    *tag = (mg_str){rest->p, (size_t)(end + 1 - rest->p)};
    mg_str_skip(rest, tag->n);
    return true;
}

// --- lists of tags ---

typedef enum list_verdict { LIST_ABSENT, LIST_MATCHES, LIST_DIFFERS } list_verdict;

static bool list_matches(mg_str list, mg_str etag, bool strong) {
    mg_str tag;
    if (mg_str_eq(list, MG_STR("*"))) {
        return true;
    }
    while (next_tag(&list, &tag)) {
        if (matches(tag, etag, strong)) {
            return true;
        }
    }
    return false;
}

// All fields of that name are one list.
static list_verdict judge_list(const mg_head *h, mg_field_id id, mg_str etag, bool strong) {
    list_verdict verdict = LIST_ABSENT;
    for (const mg_field *f = NULL; (f = mg_fields_next(&h->fields, f, id)) != NULL;) {
        verdict = LIST_DIFFERS;
        if (list_matches(f->value, etag, strong)) {
            return LIST_MATCHES;
        }
    }
    return verdict;
}

// --- conditions ---

static bool date_of(const mg_head *h, mg_field_id id, int64_t *date) {
    const mg_field *f = mg_fields_find(&h->fields, id);
    return f != NULL && mg_date_parse(f->value, date);
}

static bool precondition_fails(const mg_head *h, const mg_validators *v) {
    list_verdict list = judge_list(h, MG_FIELD_IF_MATCH, v->etag, true);
    int64_t date;
    if (list != LIST_ABSENT) {
        return list == LIST_DIFFERS;
    }
    return v->last_modified != MG_UNKNOWN_DATE && date_of(h, MG_FIELD_IF_UNMODIFIED_SINCE, &date) &&
           v->last_modified > date;
}

mg_condition mg_condition_of(const mg_head *h, const mg_validators *v) {
    if (precondition_fails(h, v)) {
        return MG_CONDITION_FAILED;
    }
    bool safe = h->method == MG_METHOD_GET || h->method == MG_METHOD_HEAD;
    list_verdict list = judge_list(h, MG_FIELD_IF_NONE_MATCH, v->etag, false);
    if (list == LIST_MATCHES) {
        return safe ? MG_CONDITION_NOT_MODIFIED : MG_CONDITION_FAILED;
    }
    int64_t date;
    bool unmodified = list == LIST_ABSENT && safe && v->last_modified != MG_UNKNOWN_DATE &&
                      date_of(h, MG_FIELD_IF_MODIFIED_SINCE, &date) && v->last_modified <= date;
    return unmodified ? MG_CONDITION_NOT_MODIFIED : MG_CONDITION_GO;
}

bool mg_condition_range_holds(const mg_head *h, const mg_validators *v) {
    const mg_field *f = mg_fields_find(&h->fields, MG_FIELD_IF_RANGE);
    int64_t date;
    if (f == NULL) {
        return true;
    }
    if (mg_date_parse(f->value, &date)) {
        return v->last_modified != MG_UNKNOWN_DATE && v->last_modified == date;
    }
    mg_str rest = f->value;
    mg_str tag;
    return next_tag(&rest, &tag) && tag.p == f->value.p && rest.n == 0 &&
           matches(tag, v->etag, true);
}
