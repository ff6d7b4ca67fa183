#include "gate/status_certificates.h"

#include <stdio.h>
#include <time.h>

void mg_status_append_certificates(const char *const *states, size_t n, mg_buf *out) {
    for (size_t i = 0; i < n; i++) {
        mg_buf_append_str(out, i == 0 ? MG_STR(",\"certificates\":[") : MG_STR(","));
        mg_buf_append_str(out, mg_str_of(states[i]));
    }
    mg_buf_append_str(out, n > 0 ? MG_STR("]") : MG_STR(""));
}

// --- as text ---

// Times in seconds since 1970; 0: none.
typedef struct line {
    char domain[256], error[512];
    double not_after, renew_at, retry_at;
} line;

static void take(line *l, const char *key, const mg_json_reader *r, mg_json_token t) {
    const struct {
        const char *name;
        double *at;
    } times[] = {
        {"not_after", &l->not_after}, {"renew_at", &l->renew_at}, {"retry_at", &l->retry_at}};
    if (strcmp(key, "domain") == 0) {
        mg_json_copy_text(r, l->domain, sizeof l->domain);
    } else if (strcmp(key, "error") == 0) {
        mg_json_copy_text(r, l->error, sizeof l->error);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (strcmp(key, times[i].name) == 0) {
            *times[i].at = mg_json_double(r, t);
        }
    }
}

static void append_date(mg_buf *out, double seconds) {
    char text[32] = "?";
    const double last = 253402300799; // of the year 9999
    time_t t = (time_t)(seconds < 0 ? 0 : seconds > last ? last : seconds);
    struct tm tm;
    if (gmtime_r(&t, &tm) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
    mg_buf_append_str(out, mg_str_of(text));
}

static void append_line(const line *l, mg_buf *out) {
    mg_buf_printf(out, "\ncertificate %s: ", l->domain);
    if (l->not_after > 0) {
        mg_buf_append_str(out, MG_STR("until "));
        append_date(out, l->not_after);
    } else {
        mg_buf_append_str(out, MG_STR("none yet, a self-signed one is served"));
    }
    if (l->renew_at > 0) {
        mg_buf_append_str(out, MG_STR(", renewed "));
        append_date(out, l->renew_at);
    }
    if (l->error[0] != '\0') {
        mg_buf_printf(out, "\n  %s; tried again ", l->error);
        append_date(out, l->retry_at);
    }
    mg_buf_append_char(out, '\n');
}

void mg_status_read_certificate(mg_json_reader *r, mg_buf *out) {
    line l = {.domain = ""};
    while (mg_json_next(r) == MG_JSON_KEY) {
        char key[24];
        mg_json_copy_text(r, key, sizeof key);
        mg_json_token t = mg_json_next(r);
        take(&l, key, r, t);
    }
    append_line(&l, out);
}
