#include "base/log_cut.h"

#include "base/mem.h"

#include <stdio.h>

enum {
    MESSAGE_BYTES = MG_LOG_EVENT_BYTES / 2, // room for a traceback behind what was raised
    MOST_FIELDS = 64,
    FIELD_BYTES = MG_LOG_EVENT_BYTES - MESSAGE_BYTES,
    KEY_BYTES = 128,
    NOTE_BYTES = 64,
};

static size_t size_of(const mg_log_event *e) {
    size_t n = e->message.n;
    for (size_t i = 0; i < e->field_count && n <= MG_LOG_EVENT_BYTES; i++) {
        n += e->fields[i].key.n + e->fields[i].value.n;
    }
    return n;
}

// Its beginning and its end, in memory that `text` has already.
static mg_str shorten(mg_buf *text, mg_str s, size_t most) {
    if (s.n <= most) {
        return s;
    }
    char note[NOTE_BYTES];
    size_t half = most / 2;
    int n = snprintf(note, sizeof note, " ...(%zu bytes are left out)... ", s.n - 2 * half);
    size_t start = text->n;
    mg_buf_append(text, s.p, half);
    mg_buf_append(text, note, (size_t)n);
    mg_buf_append(text, s.p + s.n - half, half);
    return (mg_str){text->p + start, text->n - start};
}

bool mg_log_cut_init(mg_log_cut *out, const mg_log_event *e) {
    if (size_of(e) <= MG_LOG_EVENT_BYTES) {
        return false;
    }
    size_t count = e->field_count < MOST_FIELDS ? e->field_count : MOST_FIELDS;
    *out = (mg_log_cut){.event = *e, .fields = mg_calloc(count + 1, sizeof *out->fields)};
    mg_buf_reserve(&out->text, MESSAGE_BYTES + NOTE_BYTES + FIELD_BYTES + count * NOTE_BYTES);
    out->event.message = shorten(&out->text, e->message, MESSAGE_BYTES);
    for (size_t i = 0; i < count; i++) {
        mg_log_field *f = &out->fields[i];
        *f = e->fields[i];
        f->key.n = f->key.n < KEY_BYTES ? f->key.n : KEY_BYTES;
        f->value = shorten(&out->text, f->value, FIELD_BYTES / count);
        f->literal = f->literal && f->value.n == e->fields[i].value.n;
    }
    out->event.fields = out->fields;
    out->event.field_count = count;
    return true;
}

void mg_log_cut_deinit(mg_log_cut *cut) {
    mg_buf_deinit(&cut->text);
    mg_free(cut->fields);
}
