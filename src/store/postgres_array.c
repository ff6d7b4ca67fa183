#include "store/postgres_array.h"

#include "base/json.h"

enum { DEPTH = 6 }; // PostgreSQL's own limit

typedef struct parsing {
    mg_buf *out;
    mg_str text;
    size_t at;
    mg_pg_element element;
} parsing;

static bool at_char(const parsing *p, char c) {
    return p->at < p->text.n && p->text.p[p->at] == c;
}

static bool is_null(mg_str word) {
    return mg_str_ieq(word, MG_STR("NULL"));
}

static bool is_finite_number(mg_str word) {
    return word.n > 0 && word.p[word.n - 1] >= '0' && word.p[word.n - 1] <= '9';
}

static void put_value(parsing *p, mg_str value, bool quoted) {
    if (!quoted && is_null(value)) {
        mg_buf_append_str(p->out, MG_STR("null"));
    } else if (p->element == MG_PG_ELEMENT_BOOL) {
        bool is_true = mg_str_eq(value, MG_STR("t"));
        mg_buf_append_str(p->out, is_true ? MG_STR("true") : MG_STR("false"));
    } else if (p->element == MG_PG_ELEMENT_JSON ||
               (p->element == MG_PG_ELEMENT_NUMBER && is_finite_number(value))) {
        mg_buf_append_str(p->out, value);
    } else {
        mg_json_write_replaced(p->out, value);
    }
}

static bool take_quoted(parsing *p) {
    mg_buf value = {0};
    p->at++;
    while (p->at < p->text.n && p->text.p[p->at] != '"') {
        p->at += p->text.p[p->at] == '\\' && p->at + 1 < p->text.n;
        mg_buf_append_char(&value, p->text.p[p->at++]);
    }
    bool closed = at_char(p, '"');
    p->at++;
    if (closed) {
        put_value(p, mg_buf_str(&value), true);
    }
    mg_buf_deinit(&value);
    return closed;
}

static bool take_word(parsing *p) {
    size_t from = p->at;
    while (p->at < p->text.n && p->text.p[p->at] != ',' && p->text.p[p->at] != '}' &&
           p->text.p[p->at] != '{' && p->text.p[p->at] != '"') {
        p->at++;
    }
    put_value(p, (mg_str){p->text.p + from, p->at - from}, false);
    return p->at > from;
}

static bool take_array(parsing *p, int depth);

static bool take_element(parsing *p, int depth) {
    return at_char(p, '{')   ? take_array(p, depth + 1)
           : at_char(p, '"') ? take_quoted(p)
                             : take_word(p);
}

static bool take_array(parsing *p, int depth) {
    if (depth > DEPTH || !at_char(p, '{')) {
        return false;
    }
    p->at++;
    mg_buf_append_char(p->out, '[');
    bool good = true;
    if (!at_char(p, '}')) {
        good = take_element(p, depth);
        while (good && at_char(p, ',')) {
            p->at++;
            mg_buf_append_char(p->out, ',');
            good = take_element(p, depth);
        }
    }
    if (!good || !at_char(p, '}')) {
        return false;
    }
    p->at++;
    mg_buf_append_char(p->out, ']');
    return true;
}

// "[2:4]={1,2,3}": where its indices begin is not kept.
static void skip_bounds(parsing *p) {
    if (at_char(p, '[')) {
        const char *equals = memchr(p->text.p, '=', p->text.n);
        p->at = equals != NULL ? (size_t)(equals - p->text.p) + 1 : p->text.n;
    }
}

bool mg_pg_array_to_json(mg_buf *out, mg_str text, mg_pg_element element) {
    parsing p = {.out = out, .text = text, .element = element};
    size_t before = out->n;
    skip_bounds(&p);
    bool good = take_array(&p, 1) && p.at == text.n;
    if (!good) {
        out->n = before;
    }
    return good;
}
