// The content of a response: what its coding undone gives, within the call's limit.

#include "client/call_inside.h"

enum {
    CODED_BYTES = 65536,        // that a coded body may be larger than what it decodes to
    EXPECTED_BYTES = 64 * 1024, // of a response's body: believed until more comes
};

// How many codings were applied; `*one` is the last of them.
static int count_codings(const mg_head *head, mg_coding *one) {
    int n = 0;
    const mg_field *f = NULL;
    while ((f = mg_fields_next(&head->fields, f, MG_FIELD_CONTENT_ENCODING)) != NULL) {
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
static void start_decoding(mg_call *call) {
    mg_coding coding = MG_CODING_IDENTITY;
    if (!call->options.decode || call->response.status == 206) {
        return;
    }
    if (count_codings(&call->response.head, &coding) > 1) {
        mg_call_break(
            call, "protocol",
            "the response has several content codings at once; none is undone (with decompress "
            "= false it is handed out as it is)");
    } else if (coding == MG_CODING_GZIP || coding == MG_CODING_DEFLATE) {
        call->inflate = mg_inflate_new(coding);
    }
}

static size_t room_left(const mg_call *call) {
    uint64_t left = call->options.max_bytes - call->total_bytes;
    uint64_t held = call->content.n;
    return left > SIZE_MAX - held ? SIZE_MAX : (size_t)(held + left);
}

void mg_call_take_piece(mg_call *call, mg_str piece) {
    size_t before = call->content.n;
    size_t most = room_left(call);
    int rc = MG_OK;
    if (call->inflate != NULL && call->body.received > call->options.max_bytes &&
        call->body.received - call->options.max_bytes > CODED_BYTES) {
        mg_call_break(call, "limit",
                      "the response's coded body is larger than the limit (option max)");
        return;
    }
    if (call->inflate != NULL) {
        rc = mg_inflate_feed(call->inflate, piece, &call->content, most);
    } else if (piece.n > most - before) {
        rc = MG_ELIMIT;
    } else {
        mg_buf_append(&call->content, piece.p, piece.n);
    }
    call->total_bytes += call->content.n - before;
    call->decoded_bytes += call->inflate != NULL ? call->content.n - before : 0;
    if (rc == MG_ELIMIT) {
        mg_call_break(call, "limit", "the response's body is larger than the limit (option max)");
    } else if (rc != MG_OK) {
        mg_call_break(call, "protocol", "the response's content coding is broken");
    }
}

void mg_call_begin_content(mg_call *call) {
    const mg_head *head = &call->response.head;
    uint64_t length = head->framing == MG_FRAMING_LENGTH ? head->length : 0;
    if (head->framing != MG_FRAMING_NONE) {
        start_decoding(call);
    }
    if (call->inflate != NULL || call->state == MG_CALL_FAILED) {
        return;
    }
    if (length > call->options.max_bytes) {
        mg_call_break(call, "limit", "the response's body is larger than the limit (option max)");
    } else if (length > 0 && length <= EXPECTED_BYTES) {
        mg_buf_reserve(&call->content, (size_t)length);
    }
}
