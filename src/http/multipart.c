#include "http/multipart.h"

#include "http/content_type.h"

// A body is read as if CRLF stood before it, so that the first delimiter is like the others:
//
//   PREAMBLE -delimiter-> AFTER -CRLF-> HEADER -empty line-> DATA -delimiter-> AFTER ... -"--"->
//   END
enum { PREAMBLE, AFTER, AFTER_CR, AFTER_DASH, HEADER, DATA, END };

static int fail(mg_multipart *m, int code, const char *what) {
    m->error = what;
    m->fault = code;
    return code;
}

// --- the boundary ---

// bcharsnospace, and space, which must not be last.
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

// A boundary that comes twice would be read by one program this way and by another that way.
static bool find_boundary(mg_multipart *m, mg_str params) {
    mg_str name;
    mg_str value;
    while (mg_param_next(&params, &name, &value, &m->scratch)) {
        if (!mg_str_ieq(name, MG_STR("boundary"))) {
            continue;
        }
        if (m->delimiter_n > 0 || !is_boundary(value)) {
            return false;
        }
        memcpy(m->delimiter, "\r\n--", 4);
        memcpy(m->delimiter + 4, value.p, value.n);
        m->delimiter_n = value.n + 4;
    }
    return params.n == 0 && m->delimiter_n > 0;
}

int mg_multipart_init(mg_multipart *m, mg_str content_type, const mg_multipart_events *events,
                      void *arg) {
    *m = (mg_multipart){.events = events, .arg = arg, .matched = 2};
    mg_str params;
    mg_str type = mg_media_type(content_type, &params);
    if (!mg_str_ieq(type, MG_STR("multipart/form-data"))) {
        return fail(m, MG_ESYNTAX, "the content type is not multipart/form-data");
    }
    if (!find_boundary(m, params)) {
        return fail(m, MG_ESYNTAX, "the content type has no valid boundary");
    }
    return MG_OK;
}

void mg_multipart_deinit(mg_multipart *m) {
    mg_buf_deinit(&m->header);
    mg_buf_deinit(&m->scratch);
    mg_arena_deinit(&m->arena);
}

// --- headers of parts ---

static mg_str keep(mg_multipart *m, mg_str s) {
    return (mg_str){mg_arena_copy(&m->arena, s), s.n};
}

// Names that come twice are refused for the same reason.
static bool read_disposition(mg_multipart *m, mg_str value, mg_part *part) {
    mg_str params;
    mg_str name;
    mg_str text;
    mg_str type = mg_media_type(value, &params);
    if (!mg_str_ieq(type, MG_STR("form-data")) || part->name.p != NULL) {
        return false;
    }
    while (mg_param_next(&params, &name, &text, &m->scratch)) {
        bool is_name = mg_str_ieq(name, MG_STR("name"));
        bool is_filename = mg_str_ieq(name, MG_STR("filename"));
        if ((is_name && part->name.p != NULL) || (is_filename && part->has_filename)) {
            return false;
        }
        if (is_name) {
            part->name = keep(m, text);
        } else if (is_filename) {
            part->filename = keep(m, text);
            part->has_filename = true;
        }
    }
    return params.n == 0 && part->name.p != NULL;
}

static void read_header_line(mg_multipart *m, mg_str line, mg_part *part) {
    const char *colon = memchr(line.p, ':', line.n);
    mg_str name = {line.p, colon != NULL ? (size_t)(colon - line.p) : 0};
    if (!mg_str_is_token(name) || memchr(line.p, '\r', line.n) != NULL ||
        memchr(line.p, '\0', line.n) != NULL) {
        fail(m, MG_ESYNTAX, "a part's header field is malformed");
        return;
    }
    mg_str value = mg_str_trim((mg_str){colon + 1, line.n - name.n - 1});
    if (mg_str_ieq(name, MG_STR("content-type"))) {
        part->content_type = keep(m, value);
    } else if (mg_str_ieq(name, MG_STR("content-disposition")) &&
               !read_disposition(m, value, part)) {
        fail(m, MG_ESYNTAX, "a part's Content-Disposition is not form-data with one name");
    }
}

// m->header holds all lines, each with CRLF, the empty one included.
static void begin_part(mg_multipart *m) {
    mg_part part = {.content_type = MG_STR("text/plain")};
    if (++m->parts > MG_MULTIPART_PARTS) {
        fail(m, MG_ELIMIT, "the form has more than 128 parts");
        return;
    }
    mg_arena_reset(&m->arena);
    for (mg_str rest = mg_buf_str(&m->header); rest.n > 2;) {
        const char *end = memmem(rest.p, rest.n, "\r\n", 2);
        mg_str line = {rest.p, (size_t)(end - rest.p)};
        read_header_line(m, line, &part);
        if (m->fault != MG_OK) {
            return;
        }
        rest = (mg_str){end + 2, rest.n - line.n - 2};
    }
    if (part.name.p == NULL) {
        fail(m, MG_ESYNTAX, "a part has no Content-Disposition");
        return;
    }
    mg_buf_clear(&m->header);
    m->state = DATA;
    m->events->on_part(m->arg, &part);
}

static bool ends_with_empty_line(mg_str header) {
    return (header.n == 2 && memcmp(header.p, "\r\n", 2) == 0) ||
           (header.n >= 4 && memcmp(header.p + header.n - 4, "\r\n\r\n", 4) == 0);
}

static void take_header(mg_multipart *m, char c) {
    if (m->header.n == MG_MULTIPART_HEADER_BYTES) {
        fail(m, MG_ELIMIT, "a part's header is larger than 8192 bytes");
        return;
    }
    mg_buf_append_char(&m->header, c);
    size_t n = m->header.n;
    if (c != '\n') {
        return;
    }
    if (n < 2 || m->header.p[n - 2] != '\r') {
        fail(m, MG_ESYNTAX, "a part's header line does not end in CRLF");
    } else if (ends_with_empty_line(mg_buf_str(&m->header))) {
        begin_part(m);
    }
}

// --- delimiters and content ---

static void take_after(mg_multipart *m, char c) {
    if (m->state == AFTER && (c == ' ' || c == '\t')) {
        return; // transport padding
    }
    if (m->state == AFTER && (c == '\r' || c == '-')) {
        m->state = c == '\r' ? AFTER_CR : AFTER_DASH;
    } else if (m->state == AFTER_CR && c == '\n') {
        m->state = HEADER;
    } else if (m->state == AFTER_DASH && c == '-') {
        m->state = END;
    } else {
        fail(m, MG_ESYNTAX, "a delimiter is followed by neither CRLF nor --");
    }
}

static void emit(mg_multipart *m, const char *p, size_t n) {
    if (n > 0 && m->state == DATA) {
        m->events->on_data(m->arg, (mg_str){p, n});
    }
}

static void end_content(mg_multipart *m) {
    if (m->state == DATA) {
        m->events->on_part_end(m->arg);
    }
    m->state = AFTER;
    m->matched = 0;
}

// Goes on with a delimiter that has begun, perhaps in an earlier input. Returns the bytes taken.
static size_t take_delimiter(mg_multipart *m, mg_str data) {
    size_t at = 0;
    while (at < data.n && m->matched < m->delimiter_n && data.p[at] == m->delimiter[m->matched]) {
        at++;
        m->matched++;
    }
    if (m->matched == m->delimiter_n) {
        end_content(m);
    } else if (at < data.n) {
        // A CR is nowhere in it but at its start, so no other delimiter began within what matched.
        emit(m, m->delimiter, m->matched);
        m->matched = 0;
    }
    return at;
}

static size_t take_content(mg_multipart *m, mg_str data) {
    if (m->matched > 0) {
        return take_delimiter(m, data);
    }
    const char *cr = memchr(data.p, '\r', data.n);
    size_t n = cr != NULL ? (size_t)(cr - data.p) : data.n;
    emit(m, data.p, n);
    if (cr == NULL) {
        return n;
    }
    m->matched = 1;
    return n + 1;
}

// Returns the bytes taken, at least one unless a delimiter turned out to be none.
static size_t take(mg_multipart *m, mg_str data) {
    if (m->state == PREAMBLE || m->state == DATA) {
        return take_content(m, data);
    }
    if (m->state == HEADER) {
        take_header(m, data.p[0]);
    } else {
        take_after(m, data.p[0]);
    }
    return 1;
}

int mg_multipart_feed(mg_multipart *m, mg_str data) {
    // What follows the end is an epilogue, which is ignored.
    while (m->fault == MG_OK && data.n > 0 && m->state != END) {
        size_t taken = take(m, data);
        data.p += taken;
        data.n -= taken;
    }
    return m->fault;
}

int mg_multipart_finish(mg_multipart *m) {
    if (m->fault != MG_OK || m->state == END) {
        return m->fault;
    }
    return fail(m, MG_ESYNTAX, "the form ends before its closing delimiter");
}
