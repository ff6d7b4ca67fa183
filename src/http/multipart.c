#include "http/multipart.h"

#include "http/content_type.h"

// A body is read as if CRLF stood before it, so that the first delimiter is like the others:
//
//   PREAMBLE --delimiter--> AFTER --CRLF--> HEADER --empty line--> DATA --delimiter--> AFTER ... AFTER --"--"--> END
enum { PREAMBLE, AFTER, AFTER_CR, AFTER_DASH, HEADER, DATA, END };

static int fail(mg_multipart *m, int code, const char *what) {
    m->error = what;
    return code;
}

// bcharsnospace and space, which must not be last.
static bool is_boundary(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        char l = mg_lower(c);
        bool alnum = (c >= '0' && c <= '9') || (l >= 'a' && l <= 'z');
        if (!alnum && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL)) {
            return false;
        }
    }
    return s.n > 0 && s.n <= MG_MULTIPART_BOUNDARY_BYTES && s.p[s.n - 1] != ' ';
}

int mg_multipart_init(mg_multipart *m, mg_str content_type, const mg_multipart_events *events, void *arg) {
    *m = (mg_multipart){.events = events, .arg = arg, .matched = 2};
    mg_str params;
    mg_str boundary;
    mg_buf scratch = {0};
    mg_str type = mg_media_type(content_type, &params);
    int rc = MG_ESYNTAX;
    if (!mg_str_ieq(type, MG_STR("multipart/form-data"))) {
        m->error = "the content type is not multipart/form-data";
    } else if (!mg_param_find(params, MG_STR("boundary"), &scratch, &boundary) || !is_boundary(boundary)) {
        m->error = "the content type has no valid boundary";
    } else {
        memcpy(m->delimiter, "\r\n--", 4);
        memcpy(m->delimiter + 4, boundary.p, boundary.n);
        m->delimiter_n = boundary.n + 4;
        rc = MG_OK;
    }
    mg_buf_deinit(&scratch);
    return rc;
}

void mg_multipart_deinit(mg_multipart *m) {
    mg_buf_deinit(&m->header);
    mg_arena_deinit(&m->arena);
}

// --- part headers ---

static mg_str keep(mg_multipart *m, mg_str s) {
    return (mg_str){mg_arena_copy(&m->arena, s), s.n};
}

static void read_disposition(mg_multipart *m, mg_str value, mg_part *part) {
    mg_str params;
    mg_str name;
    mg_str text;
    mg_buf scratch = {0};
    if (mg_str_ieq(mg_media_type(value, &params), MG_STR("form-data"))) {
        while (mg_param_next(&params, &name, &text, &scratch)) {
            if (mg_str_ieq(name, MG_STR("name"))) {
                part->name = keep(m, text);
            } else if (mg_str_ieq(name, MG_STR("filename"))) {
                part->filename = keep(m, text);
                part->has_filename = true;
            }
        }
    }
    mg_buf_deinit(&scratch);
}

static int read_header_line(mg_multipart *m, mg_str line, mg_part *part) {
    const char *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;
    mg_str name = {line.p, colon != NULL ? (size_t)(colon - line.p) : 0};
    if (!mg_str_is_token(name)) {
        return fail(m, MG_ESYNTAX, "a part's header field is malformed");
    }
    mg_str value = mg_str_trim((mg_str){colon + 1, line.n - name.n - 1});
    if (mg_str_ieq(name, MG_STR("content-disposition"))) {
        read_disposition(m, value, part);
    } else if (mg_str_ieq(name, MG_STR("content-type"))) {
        part->content_type = keep(m, value);
    }
    return MG_OK;
}

// m->header holds all lines, each with CRLF, the empty one included.
static int begin_part(mg_multipart *m) {
    mg_part part = {.content_type = MG_STR("text/plain")};
    mg_arena_reset(&m->arena);
    mg_str rest = mg_buf_str(&m->header);
    for (;;) {
        const char *end = memmem(rest.p, rest.n, "\r\n", 2);
        mg_str line = {rest.p, (size_t)(end - rest.p)};
        if (line.n == 0) {
            break;
        }
        int rc = read_header_line(m, line, &part);
        if (rc != MG_OK) {
            return rc;
        }
        rest = (mg_str){end + 2, rest.n - line.n - 2};
    }
    if (part.name.p == NULL) {
        return fail(m, MG_ESYNTAX, "a part has no Content-Disposition: form-data; name=...");
    }
    if (++m->parts > MG_MULTIPART_PARTS) {
        return fail(m, MG_ELIMIT, "the form has too many parts");
    }
    m->events->on_part(m->arg, &part);
    mg_buf_clear(&m->header);
    m->state = DATA;
    m->matched = 0;
    return MG_OK;
}

static int take_header(mg_multipart *m, char c) {
    if (m->header.n >= MG_MULTIPART_HEADER_BYTES) {
        return fail(m, MG_ELIMIT, "a part's header is too large");
    }
    mg_buf_append_char(&m->header, c);
    size_t n = m->header.n;
    const char *p = m->header.p;
    if (c == '\n' && (n < 2 || p[n - 2] != '\r')) {
        return fail(m, MG_ESYNTAX, "a part's header line does not end in CRLF");
    }
    bool empty_line = n >= 2 && memcmp(p + n - 2, "\r\n", 2) == 0 &&
                      (n == 2 || (n >= 4 && memcmp(p + n - 4, "\r\n", 2) == 0));
    return empty_line ? begin_part(m) : MG_OK;
}

// --- delimiters and data ---

static int take_after(mg_multipart *m, char c) {
    if (m->state == AFTER && (c == '\r' || c == '-')) {
        m->state = c == '\r' ? AFTER_CR : AFTER_DASH;
    } else if (m->state == AFTER && (c == ' ' || c == '\t')) {
        return MG_OK; // transport padding
    } else if (m->state == AFTER_CR && c == '\n') {
        m->state = HEADER;
    } else if (m->state == AFTER_DASH && c == '-') {
        m->state = END;
    } else {
        return fail(m, MG_ESYNTAX, "a delimiter is followed by neither CRLF nor --");
    }
    return MG_OK;
}

static void emit(mg_multipart *m, const char *p, size_t n) {
    if (n > 0 && m->state == DATA) {
        m->events->on_data(m->arg, (mg_str){p, n});
    }
}

// Takes content up to the next delimiter, whose beginning may lie in the last input. Returns the bytes taken.
static size_t take_content(mg_multipart *m, mg_str data) {
    size_t start = 0;
    for (size_t i = 0; i < data.n; i++) {
        if (data.p[i] == m->delimiter[m->matched]) {
            if (m->matched == 0) {
                emit(m, data.p + start, i - start);
                start = i;
            }
            if (++m->matched == m->delimiter_n) {
                if (m->state == DATA) {
                    m->events->on_part_end(m->arg);
                }
                m->state = AFTER;
                m->matched = 0;
                return i + 1;
            }
        } else if (m->matched > 0) {
            // CR occurs in a delimiter only at its start, so what matched is content, but for a CR here.
            emit(m, m->delimiter, m->matched);
            m->matched = 0;
            start = i;
            i--;
        }
    }
    if (m->matched == 0) {
        emit(m, data.p + start, data.n - start);
    }
    return data.n;
}

int mg_multipart_feed(mg_multipart *m, mg_str data) {
    size_t at = 0;
    while (at < data.n && m->state != END) {
        int rc = MG_OK;
        if (m->state == PREAMBLE || m->state == DATA) {
            at += take_content(m, (mg_str){data.p + at, data.n - at});
        } else {
            char c = data.p[at++];
            rc = m->state == HEADER ? take_header(m, c) : take_after(m, c);
        }
        if (rc != MG_OK) {
            return rc;
        }
    }
    return MG_OK; // what follows the end is an epilogue, which is ignored
}

int mg_multipart_finish(mg_multipart *m) {
    return m->state == END ? MG_OK : fail(m, MG_ESYNTAX, "the form ends before its closing delimiter");
}
