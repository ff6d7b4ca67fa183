#include "http/body.h"

// chunked-body, one state a place in its grammar:
//
//   SIZE --CR--> SIZE_LF --size > 0--> DATA --> DATA_CR --> DATA_LF --> SIZE
//    |                 \-----size 0-----> TRAILERS --> END
//    ;
//    v
//   EXTENSION --> NAME --=--> VALUE --> TOKEN ---> BEHIND
//    ^                          \--"--> QUOTED --"--^  |
//    +------------------------ ; ----------------------+
//
// NAME, TOKEN and BEHIND may end in CR too; BWS (SP and HTAB) leads through SPACE behind a size,
// through NAME_SPACE behind a name.
enum {
    END,
    LENGTH,
    SIZE,
    SPACE,      // BWS behind a size
    EXTENSION,  // behind ";": BWS, then a name
    NAME,       // in a name
    NAME_SPACE, // BWS behind a name
    VALUE,      // behind "=": BWS, then a value
    TOKEN,      // in an unquoted value
    QUOTED,
    ESCAPED,
    BEHIND, // behind a value
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS,
};

enum { SIZE_DIGITS = 16 }; // leading zeros beyond these count as bytes of extensions

static mg_body_verdict bad(mg_body *b, int status, const char *reason) {
    b->refusal = (mg_refusal){.status = status, .reason = reason};
    return MG_BODY_BAD;
}

void mg_body_init(mg_body *b, const mg_head *head, const mg_body_limits *limits, mg_arena *arena) {
    *b = (mg_body){.arena = arena, .limits = limits, .left = head->length};
    switch (head->framing) {
    case MG_FRAMING_NONE:
        b->state = END;
        break;
    case MG_FRAMING_CHUNKED:
        b->state = SIZE;
        b->left = 0;
        break;
    case MG_FRAMING_LENGTH:
        b->state = LENGTH;
        break;
    case MG_FRAMING_CLOSE: // the connection's end is the body's: its reader knows
        b->state = LENGTH;
        b->left = UINT64_MAX;
        break;
    }
}

void mg_body_deinit(mg_body *b) {
    mg_buf_deinit(&b->trailer_bytes);
}

bool mg_body_complete(const mg_body *b) {
    return b->state == END;
}

static mg_body_verdict count_extension_byte(mg_body *b) {
    return ++b->extension_bytes > b->limits->extension_bytes
               ? bad(b, 400, "the chunk extensions are too large")
               : MG_BODY_MORE;
}

static mg_body_verdict take_size_digit(mg_body *b, char c) {
    int digit = mg_hex_value(c);
    if (digit < 0) {
        return bad(b, 400, "a chunk size is not a hexadecimal number");
    }
    if (b->left > (INT64_MAX >> 4)) {
        return bad(b, 400, "a chunk size is too large");
    }
    b->left = (b->left << 4) + (uint64_t)digit;
    if (b->digits < SIZE_DIGITS) {
        b->digits++;
        return MG_BODY_MORE;
    }
    return count_extension_byte(b);
}

static mg_body_verdict take_size(mg_body *b, char c) {
    bool delimiter = c == ';' || c == ' ' || c == '\t' || c == '\r';
    if (!delimiter || b->digits == 0) {
        return take_size_digit(b, c);
    }
    b->state = c == ';' ? EXTENSION : c == '\r' ? SIZE_LF : SPACE;
    return MG_BODY_MORE;
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) of RFC 9112 section 7.1.1, and BWS
// at its end: the state behind `c`, or -1.
static int behind_extension_byte(uint8_t state, char c) {
    bool space = c == ' ' || c == '\t';
    bool token = mg_tchar[(uint8_t)c];
    switch (state) {
    case EXTENSION:
        return token ? NAME : space ? EXTENSION : -1;
    case NAME:
        return token       ? NAME
               : c == '='  ? VALUE
               : c == ';'  ? EXTENSION
               : c == '\r' ? SIZE_LF
               : space     ? NAME_SPACE
                           : -1;
    case NAME_SPACE:
        return space       ? NAME_SPACE
               : c == '='  ? VALUE
               : c == ';'  ? EXTENSION
               : c == '\r' ? SIZE_LF
                           : -1;
    case VALUE:
        return token ? TOKEN : c == '"' ? QUOTED : space ? VALUE : -1;
    case TOKEN:
        return token ? TOKEN : c == ';' ? EXTENSION : c == '\r' ? SIZE_LF : space ? BEHIND : -1;
    case BEHIND:
        return c == ';' ? EXTENSION : c == '\r' ? SIZE_LF : space ? BEHIND : -1;
    default:
        return space ? SPACE : c == ';' ? EXTENSION : -1;
    }
}

static mg_body_verdict take_extension(mg_body *b, char c) {
    int next = behind_extension_byte(b->state, c);
    if (next < 0) {
        return bad(b, 400,
                   b->state == SPACE ? "a space behind a chunk size"
                                     : "a chunk extension is malformed");
    }
    b->state = (uint8_t)next;
    return MG_BODY_MORE;
}

static mg_body_verdict take_quoted(mg_body *b, char c) {
    uint8_t byte = (uint8_t)c;
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
        return bad(b, 400, "a chunk extension is malformed");
    }
    if (b->state == ESCAPED) {
        b->state = QUOTED;
    } else if (c == '"') {
        b->state = BEHIND;
    } else if (c == '\\') {
        b->state = ESCAPED;
    }
    return MG_BODY_MORE;
}

static mg_body_verdict take_size_lf(mg_body *b, char c) {
    if (c != '\n') {
        return bad(b, 400, "a chunk size line does not end in CRLF");
    }
    b->state = b->left > 0 ? DATA : TRAILERS;
    b->digits = 0;
    return MG_BODY_MORE;
}

static mg_body_verdict take_data_end(mg_body *b, char c) {
    if (c != (b->state == DATA_CR ? '\r' : '\n')) {
        return bad(b, 400, "chunk data does not end in CRLF");
    }
    b->state = b->state == DATA_CR ? DATA_LF : SIZE;
    return MG_BODY_MORE;
}

// One byte of chunk framing.
static mg_body_verdict take_framing(mg_body *b, char c) {
    bool extension = b->state > SIZE && b->state < SIZE_LF;
    if (extension && count_extension_byte(b) != MG_BODY_MORE) {
        return MG_BODY_BAD;
    }
    switch (b->state) {
    case SIZE:
        return take_size(b, c);
    case QUOTED:
    case ESCAPED:
        return take_quoted(b, c);
    case SIZE_LF:
        return take_size_lf(b, c);
    case DATA_CR:
    case DATA_LF:
        return take_data_end(b, c);
    default:
        return take_extension(b, c);
    }
}

// --- trailers (RFC 9112 section 7.1.2) ---

// field-line of RFC 9112 section 5, without its CRLF. llhttp does this for heads; trailers come to
// us alone.
static bool parse_field(mg_str line, mg_fields *l) {
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL) {
        return false;
    }
    mg_str name = {line.p, (size_t)(colon - line.p)};
    mg_str value = mg_str_trim((mg_str){colon + 1, line.n - name.n - 1});
    return mg_fields_add(l, name, value) == MG_OK;
}

static mg_body_verdict parse_trailers(mg_body *b) {
    const char *at = mg_arena_copy(b->arena, mg_buf_str(&b->trailer_bytes));
    mg_fields_init(&b->trailers, b->arena);
    for (uint32_t i = 0; i < b->guard.lines; i++) {
        const char *end = strstr(at, "\r\n");
        if (end == NULL || !parse_field((mg_str){at, (size_t)(end - at)}, &b->trailers)) {
            return bad(b, 400, "a trailer field is malformed");
        }
        at = end + 2;
    }
    b->state = END;
    return MG_BODY_END;
}

static mg_body_verdict take_trailers(mg_body *b, const char *data, size_t n, size_t *used) {
    size_t before = b->trailer_bytes.n;
    size_t room = (size_t)b->limits->trailers.bytes + 64 - before;
    mg_buf_append(&b->trailer_bytes, data, n < room ? n : room);
    mg_guard_verdict verdict =
        mg_guard_scan(&b->guard, &b->limits->trailers, b->trailer_bytes.p, b->trailer_bytes.n);
    if (verdict == MG_GUARD_BAD) {
        b->refusal = b->guard.refusal;
        return MG_BODY_BAD;
    }
    if (verdict == MG_GUARD_MORE) {
        *used += n;
        return MG_BODY_MORE;
    }
    *used += b->guard.at - before;
    b->trailer_bytes.n = b->guard.at;
    return parse_trailers(b);
}

static mg_body_verdict take_content(mg_body *b, const char *data, size_t n, mg_str *piece) {
    *piece = (mg_str){data, n < b->left ? n : (size_t)b->left};
    b->left -= piece->n;
    b->received += piece->n;
    if (b->left == 0) {
        b->state = b->state == LENGTH ? END : DATA_CR;
    }
    return MG_BODY_PIECE;
}

mg_body_verdict mg_body_read(mg_body *b, const char *data, size_t n, size_t *used, mg_str *piece) {
    *used = 0;
    while (b->state != END && *used < n) {
        mg_body_verdict verdict;
        if (b->state == DATA || b->state == LENGTH) {
            verdict = take_content(b, data + *used, n - *used, piece);
            *used += piece->n;
        } else if (b->state == TRAILERS) {
            verdict = take_trailers(b, data + *used, n - *used, used);
        } else {
            verdict = take_framing(b, data[*used]);
            *used += 1;
        }
        if (verdict != MG_BODY_MORE) {
            return verdict;
        }
    }
    return b->state == END ? MG_BODY_END : MG_BODY_MORE;
}
