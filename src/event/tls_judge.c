// What the calendar, and the order of a file, say of certificates.

#include "event/tls_store_inside.h"

#include <stdio.h>
#include <time.h>

enum { DAY_S = 86400, SHOWN = 10 };

typedef struct judging {
    const mg_tls_store *before;
    bool starts;
    int64_t now_s;
    mg_tls_verdict *out;
    uint32_t faults, errors, warnings; // lines, those that are not shown too
} judging;

static void add(mg_buf *out, uint32_t *count, mg_str file, const char *what) {
    if ((*count)++ < SHOWN) {
        mg_buf_printf(out, "%.*s: %s\n", (int)file.n, file.p, what);
    }
}

static void add_rest(mg_buf *out, uint32_t count) {
    if (count > SHOWN) {
        mg_buf_printf(out, "and %u more certificates likewise\n", count - SHOWN);
    }
}

static bool is_served(const judging *j, const mg_tls_about *about) {
    uint32_t id;
    mg_str print = {(const char *)about->fingerprint, sizeof about->fingerprint};
    return j->starts || about->issued ||
           (j->before != NULL &&
            mg_tls_named(mg_tls_store_snapshot(j->before), MG_TLS_AT_PRINT, print, &id, sizeof id));
}

static void date_of(int64_t seconds, char out[32]) {
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

// Empty: nothing.
static void blemish_of(const mg_tls_about *about, int64_t now_s, char out[160]) {
    char date[32];
    out[0] = '\0';
    if (about->not_after < now_s) {
        date_of(about->not_after, date);
        snprintf(out, 160, "the certificate has expired, on %s", date);
    } else if (about->not_before > now_s) {
        date_of(about->not_before, date);
        snprintf(out, 160, "the certificate is not valid before %s", date);
    } else if (about->broken > 0) {
        snprintf(out, 160,
                 "certificate %u of the file has not issued the one before it: each one is to be "
                 "followed by its issuer's",
                 about->broken);
    }
}

static void judge(judging *j, const mg_tls_about *about, mg_str file) {
    char what[160];
    blemish_of(about, j->now_s, what);
    if (what[0] != '\0' && is_served(j, about)) {
        add(&j->out->errors, &j->errors, file, what);
    } else if (what[0] != '\0') {
        add(&j->out->faults, &j->faults, file, what);
    } else if (!about->issued && about->not_after < j->now_s + MG_TLS_SOON_DAYS * DAY_S) {
        snprintf(what, sizeof what, "the certificate expires in %lld days",
                 (long long)((about->not_after - j->now_s) / DAY_S));
        add(&j->out->warnings, &j->warnings, file, what);
    }
}

int64_t mg_tls_first_end(const mg_tls_store *s, mg_str *file) {
    int64_t first = 0;
    *file = (mg_str){0};
    for (uint32_t id = 0; id < mg_tls_store_count(s); id++) {
        mg_tls_about about;
        mg_str name;
        mg_tls_store_about(s, id, &about, &name);
        if (id == 0 || about.not_after < first) {
            first = about.not_after;
            *file = name;
        }
    }
    return first;
}

void mg_tls_judge(const mg_tls_store *s, const mg_tls_store *before, bool starts, int64_t now_s,
                  mg_tls_verdict *out) {
    judging j = {.before = before, .starts = starts, .now_s = now_s, .out = out};
    *out = (mg_tls_verdict){.faults = {0}};
    for (uint32_t id = 0; id < mg_tls_store_count(s); id++) {
        mg_tls_about about;
        mg_str file;
        mg_tls_store_about(s, id, &about, &file);
        judge(&j, &about, file);
    }
    add_rest(&out->faults, j.faults);
    add_rest(&out->errors, j.errors);
    add_rest(&out->warnings, j.warnings);
}

void mg_tls_verdict_deinit(mg_tls_verdict *v) {
    mg_buf_deinit(&v->faults);
    mg_buf_deinit(&v->errors);
    mg_buf_deinit(&v->warnings);
}
