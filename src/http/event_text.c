#include "http/event_text.h"

bool mg_event_is_word(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0') {
            return false;
        }
    }
    return true;
}

static size_t line_bytes(mg_str s) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n') {
        n++;
    }
    return n;
}

static void write_field(mg_buf *out, mg_str name, mg_str value) {
    mg_buf_append_str(out, name);
    mg_buf_append_str(out, value);
    mg_buf_append_char(out, '\n');
}

// An end of the last line begins another one, which is empty: the peer joins them by LF.
static void write_data(mg_buf *out, mg_str data) {
    for (;;) {
        size_t n = line_bytes(data);
        write_field(out, MG_STR("data: "), (mg_str){data.p, n});
        if (n == data.n) {
            return;
        }
        bool both = data.p[n] == '\r' && n + 1 < data.n && data.p[n + 1] == '\n';
        mg_str_skip(&data, n + 1 + both);
    }
}

void mg_event_write(mg_buf *out, const mg_event_text *e) {
    if (e->id.n > 0) {
        write_field(out, MG_STR("id: "), e->id);
    }
    if (e->retry_ms >= 0) {
        mg_buf_printf(out, "retry: %lld\n", (long long)e->retry_ms);
    }
    if (e->event.n > 0) {
        write_field(out, MG_STR("event: "), e->event);
    }
    if (e->has_data) {
        write_data(out, e->data);
    }
    mg_buf_append_char(out, '\n');
}
