// Verdicts come only from the fields that may give them, and a list that begins with the tag
// matches it whatever follows.
#include "fuzz.h"
#include "http/conditional.h"

static const mg_field_id names[] = {MG_FIELD_IF_MATCH, MG_FIELD_IF_UNMODIFIED_SINCE,
                                    MG_FIELD_IF_NONE_MATCH, MG_FIELD_IF_MODIFIED_SINCE,
                                    MG_FIELD_IF_RANGE};

enum { LINES = 8, NAMES = sizeof names / sizeof *names };

// Each line of the input is a field: its first byte chooses the name, the rest is the value. A head
// that was read has no control characters in its values, so a line with one is left out.
static void lines_to_head(const uint8_t *data, size_t size, mg_field fields[LINES], mg_head *h) {
    mg_str rest = {(const char *)data, size};
    h->fields = (mg_fields){.at = fields};
    while (rest.n > 0 && h->fields.count < LINES) {
        const char *end = memchr(rest.p, '\n', rest.n);
        mg_str line = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
        size_t used = line.n + (end != NULL);
        rest = (mg_str){rest.p + used, rest.n - used};
        bool sound = line.n > 0;
        for (size_t i = 1; i < line.n; i++) {
            sound = sound && ((uint8_t)line.p[i] >= ' ' || line.p[i] == '\t') && line.p[i] != 0x7f;
        }
        if (sound) {
            mg_str value = mg_str_trim((mg_str){line.p + 1, line.n - 1});
            fields[h->fields.count++] =
                (mg_field){.value = value, .id = names[(uint8_t)line.p[0] % NAMES]};
        }
    }
}

static const mg_validators validators[] = {
    {{"\"a\"", 3}, 784111777}, {{"W/\"a\"", 5}, 784111777}, {{NULL, 0}, 784111777}};

static void check(const mg_head *h, const mg_validators *v) {
    mg_condition verdict = mg_condition_of(h, v);
    bool safe = h->method == MG_METHOD_GET;
    bool match = mg_fields_find(&h->fields, names[0]) != NULL;
    bool unmodified = mg_fields_find(&h->fields, names[1]) != NULL;
    bool none_match = mg_fields_find(&h->fields, names[2]) != NULL;
    bool modified = mg_fields_find(&h->fields, names[3]) != NULL;
    must(verdict != MG_CONDITION_NOT_MODIFIED || (safe && (none_match || modified)));
    must(verdict != MG_CONDITION_FAILED || match || unmodified || (none_match && !safe));
    must(mg_fields_find(&h->fields, names[4]) != NULL || mg_condition_range_holds(h, v));
}

static void check_front(mg_str junk) {
    mg_buf list = {0};
    mg_buf_append_str(&list, MG_STR("\"a\", "));
    mg_buf_append_str(&list, junk);
    mg_field field = {.value = mg_buf_str(&list), .id = names[2]};
    mg_head h = {.method = MG_METHOD_GET, .fields = {.at = &field, .count = 1, .ids = UINT64_MAX}};
    must(mg_condition_of(&h, &validators[0]) == MG_CONDITION_NOT_MODIFIED);
    must(mg_condition_of(&h, &validators[1]) == MG_CONDITION_NOT_MODIFIED);
    field.id = names[0];
    must(mg_condition_of(&h, &validators[0]) == MG_CONDITION_GO);
    mg_buf_deinit(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_field fields[LINES];
    mg_head h = {0};
    lines_to_head(data, size, fields, &h);
    for (size_t i = 0; i < 2 * (sizeof validators / sizeof *validators); i++) {
        h.method = i % 2 == 0 ? MG_METHOD_GET : MG_METHOD_PUT;
        check(&h, &validators[i / 2]);
    }
    for (uint32_t i = 0; i < h.fields.count; i++) {
        check_front(fields[i].value);
    }
    return 0;
}
