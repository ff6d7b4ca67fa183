// The content of a response: what its coding undone gives, within the call's limit.

#include "client/call_inside.h"

enum {
    CODED_BYTES = 65536,        // that a coded body may be larger than what it decodes to
    EXPECTED_BYTES = 64 * 1024, // of a response's body: believed until more comes
};

static const char too_large[] = "the response's body is larger than the limit (option max)";

// How many codings were applied; `*one` is the last of them.
static int count_codings(const mg_fields *fields, mg_coding *one) {
    int n = 0;
    const mg_field *f = NULL;
    while ((f = mg_fields_next(fields, f, MG_FIELD_CONTENT_ENCODING)) != NULL) {
        mg_str item;
        mg_str value = f->value;
        while (mg_str_next_item(&value, &item)) {
            if (mg_coding_of(item) != MG_CODING_IDENTITY) {
                *one = mg_coding_of(item);
                n++;
            }
        }
    }
    return n;
}

// A part of coded content (206) cannot be decoded alone.
static const char *start_decoding(mg_call *call) {
    mg_coding coding = MG_CODING_IDENTITY;
    if (!call->options.decode || call->response->status == 206) {
        return NULL;
    }
    if (count_codings(&call->response->head.fields, &coding) > 1) {
        return "the response has several content codings at once; none is undone (with decompress "
               "= false it is handed out as it is)";
    }
    if (coding == MG_CODING_GZIP || coding == MG_CODING_DEFLATE) {
        call->inflate = mg_inflate_new(coding);
    }
    return NULL;
}

const char *mg_call_begin_content(mg_call *call, const char **code) {
    const mg_head *head = &call->response->head;
    uint64_t length = head->framing == MG_FRAMING_LENGTH ? head->length : 0;
    const char *fault = head->framing != MG_FRAMING_NONE ? start_decoding(call) : NULL;
    if (call->inflate != NULL || fault != NULL) {
        *code = "protocol";
        return fault;
    }
    if (length > call->options.max_bytes) {
        *code = "limit";
        return too_large;
    }
    if (length > 0 && length <= EXPECTED_BYTES && !mg_call_is_relayed(call)) {
        mg_buf_reserve(&call->content, (size_t)length);
    }
    return NULL;
}

static size_t room_left(const mg_call *call) {
    uint64_t left = call->options.max_bytes - call->total_bytes;
    uint64_t held = call->content.n;
    return left > SIZE_MAX - held ? SIZE_MAX : (size_t)(held + left);
}

static const char *decode(mg_call *call, mg_str piece, const char **code) {
    size_t before = call->content.n;
    call->coded_bytes += piece.n;
    if (call->coded_bytes > call->options.max_bytes &&
        call->coded_bytes - call->options.max_bytes > CODED_BYTES) {
        *code = "limit";
        return "the response's coded body is larger than the limit (option max)";
    }
    int rc = mg_inflate_feed(call->inflate, piece, &call->content, room_left(call));
    call->total_bytes += call->content.n - before;
    call->decoded_bytes += call->content.n - before;
    if (rc != MG_OK) {
        *code = rc == MG_ELIMIT ? "limit" : "protocol";
        return rc == MG_ELIMIT ? too_large : "the response's content coding is broken";
    }
    return NULL;
}

const char *mg_call_count_content(mg_call *call, size_t n, const char **code) {
    if (n > call->options.max_bytes - call->total_bytes) {
        *code = "limit";
        return too_large;
    }
    call->total_bytes += n;
    return NULL;
}

const char *mg_call_add_content(mg_call *call, mg_str piece, const char **code) {
    if (call->inflate != NULL) {
        return decode(call, piece, code);
    }
    const char *fault = mg_call_count_content(call, piece.n, code);
    if (fault == NULL) {
        mg_buf_append(&call->content, piece.p, piece.n);
    }
    return fault;
}
