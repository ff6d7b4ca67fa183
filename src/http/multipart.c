#include "http/multipart.h"

#include "base/codec.h"
#include "base/utf8.h"
#include "http/content_type.h"

// A body is read as if CRLF stood before it, so that the first delimiter is like the others:
//
//   PREAMBLE -delimiter-> AFTER -CRLF-> HEADER -empty line-> DATA -delimiter-> AFTER ... -"--"->
//   CLOSE -CRLF or the end-> END
//
// White space may stand in front of CRLF; with anything else the line was none, and is content.
enum { PREAMBLE, AFTER, AFTER_CR, AFTER_DASH, CLOSE, CLOSE_CR, HEADER, DATA, END };

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
    while (mg_param_next_raw(&params, &name, &value, &m->scratch)) {
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
    *m =
        (mg_multipart){.events = events, .arg = arg, .matched = 2, .max_parts = MG_MULTIPART_PARTS};
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
    return (mg_str){mg_arena_copy(&m->arena, s), s.n}; // never NULL
}

static bool has_controls(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

// What a client means by "utf-8'en'na%C3%AFve" (RFC 8187 section 3.2). False if it is malformed or
// of another charset.
static bool decode_extended(mg_multipart *m, mg_str text, mg_str *out) {
    const char *first = memchr(text.p, '\'', text.n);
    mg_str charset = {text.p, first != NULL ? (size_t)(first - text.p) : 0};
    mg_str rest = {text.p + charset.n + 1, first != NULL ? text.n - charset.n - 1 : 0};
    const char *second = rest.n > 0 ? memchr(rest.p, '\'', rest.n) : NULL;
    if (second == NULL || !mg_str_ieq(charset, MG_STR("utf-8"))) {
        return false;
    }
    mg_buf decoded = {0};
    mg_str value = {second + 1, (size_t)(rest.p + rest.n - second - 1)};
    bool good = mg_percent_decode(&decoded, value) == MG_OK &&
                mg_utf8_valid(mg_buf_str(&decoded)) && !has_controls(mg_buf_str(&decoded));
    if (good) {
        *out = keep(m, mg_buf_str(&decoded));
    }
    mg_buf_deinit(&decoded);
    return good;
}

// A name as it stands, and in its extended form. Neither may come twice, as the boundary may not.
typedef struct name_pair {
    mg_str plain;
    mg_str extended; // as it was sent
} name_pair;

static bool note_name(mg_multipart *m, mg_str text, bool extended, name_pair *pair) {
    mg_str *slot = extended ? &pair->extended : &pair->plain;
    if (slot->p != NULL) {
        return false;
    }
    *slot = keep(m, text);
    return true;
}

// Returns whether there is a name that can be read, or none at all.
static bool choose_name(mg_multipart *m, const name_pair *pair, mg_str *out) {
    *out = pair->plain;
    return pair->extended.p == NULL || decode_extended(m, pair->extended, out) ||
           pair->plain.p != NULL;
}

static mg_str without_folders(mg_str name) {
    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/' || name.p[i - 1] == '\\') {
            name = (mg_str){name.p + i, name.n - i};
            break;
        }
    }
    bool dots = mg_str_eq(name, MG_STR(".")) || mg_str_eq(name, MG_STR(".."));
    return dots ? MG_STR("") : name;
}

static bool read_disposition(mg_multipart *m, mg_str value, mg_part *part) {
    mg_str params;
    mg_str name;
    mg_str text;
    mg_str type = mg_media_type(value, &params);
    name_pair names = {0};
    name_pair files = {0};
    if (!mg_str_ieq(type, MG_STR("form-data")) || part->name.p != NULL) {
        return false;
    }
    while (mg_param_next_raw(&params, &name, &text, &m->scratch)) {
        bool extended = name.p[name.n - 1] == '*';
        name.n -= extended;
        bool is_name = mg_str_ieq(name, MG_STR("name"));
        bool is_file = mg_str_ieq(name, MG_STR("filename"));
        if ((is_name || is_file) && !note_name(m, text, extended, is_name ? &names : &files)) {
            return false;
        }
    }
    bool good = params.n == 0 && choose_name(m, &names, &part->name) &&
                choose_name(m, &files, &part->filename);
    part->filename = without_folders(part->filename);
    part->has_filename = part->filename.p != NULL;
    return good && part->name.p != NULL;
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
    } else if (mg_str_ieq(name, MG_STR("content-transfer-encoding"))) {
        part->transfer_encoding = keep(m, value);
    } else if (mg_str_ieq(name, MG_STR("content-disposition")) &&
               !read_disposition(m, value, part)) {
        fail(m, MG_ESYNTAX, "a part's Content-Disposition is not form-data with one name");
    }
}

// m->header holds all lines, each with CRLF, the empty one included.
static void begin_part(mg_multipart *m) {
    mg_part part = {.content_type = MG_STR("text/plain")};
    if (++m->parts > m->max_parts) {
        fail(m, MG_ELIMIT, "the form has too many parts");
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

static void emit(mg_multipart *m, const char *p, size_t n) {
    if (n > 0 && m->state == DATA) {
        m->events->on_data(m->arg, (mg_str){p, n});
    }
}

static void end_line(mg_multipart *m, int next) {
    if (m->outer == DATA) {
        m->events->on_part_end(m->arg);
    }
    mg_buf_clear(&m->header);
    m->state = next;
}

// The line was no delimiter: it is content, and so is what comes now. A CR may begin the next one.
static void take_back(mg_multipart *m) {
    bool cr = m->state == AFTER_CR || m->state == CLOSE_CR;
    m->state = m->outer;
    emit(m, m->delimiter, m->delimiter_n);
    emit(m, m->header.p, m->header.n);
    mg_buf_clear(&m->header);
    m->matched = cr;
}

// The next byte of a delimiter's line. False if it belongs to none.
static bool take_after(mg_multipart *m, char c) {
    bool padding = c == ' ' || c == '\t';
    if (m->state == AFTER_CR || m->state == CLOSE_CR) {
        if (c == '\n') {
            end_line(m, m->state == AFTER_CR ? HEADER : END);
        }
        return c == '\n';
    }
    if (c == '\r' && m->state != AFTER_DASH) {
        m->state = m->state == AFTER ? AFTER_CR : CLOSE_CR;
        return true; // it is kept by the state
    }
    if (m->header.n == MG_MULTIPART_HEADER_BYTES) {
        return false;
    }
    if (c == '-' && m->state == AFTER && m->header.n == 0) {
        m->state = AFTER_DASH;
    } else if (c == '-' && m->state == AFTER_DASH) {
        m->state = CLOSE;
    } else if (!padding || m->state == AFTER_DASH) {
        return false;
    }
    mg_buf_append_char(&m->header, c);
    return true;
}

static void end_content(mg_multipart *m) {
    m->outer = m->state;
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

// Returns the bytes taken: none if a delimiter turned out to be none.
static size_t take(mg_multipart *m, mg_str data) {
    if (m->state == PREAMBLE || m->state == DATA) {
        return take_content(m, data);
    }
    if (m->state == HEADER) {
        take_header(m, data.p[0]);
    } else if (!take_after(m, data.p[0])) {
        take_back(m);
        return 0;
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
    if (m->fault == MG_OK && (m->state == CLOSE || m->state == CLOSE_CR)) {
        end_line(m, END);
    }
    if (m->fault != MG_OK || m->state == END) {
        return m->fault;
    }
    return fail(m, MG_ESYNTAX, "the form ends before its closing delimiter");
}
