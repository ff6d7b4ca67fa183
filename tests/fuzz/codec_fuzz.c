// Any bytes survive each codec; and text that a strict decoder accepts is the only text of its form
// for those bytes.
#include "base/codec.h"
#include "base/error.h"
#include "fuzz.h"

typedef void encode_fn(mg_buf *out, mg_str in);
typedef int decode_fn(mg_buf *out, mg_str in);

static void standard_encode(mg_buf *out, mg_str in) {
    mg_base64_encode(out, in, 0);
}

static int standard_decode(mg_buf *out, mg_str in) {
    return mg_base64_decode(out, in, 0);
}

static void url_encode(mg_buf *out, mg_str in) {
    mg_base64_encode(out, in, (unsigned)MG_BASE64_URL | MG_BASE64_UNPADDED);
}

static int url_decode(mg_buf *out, mg_str in) {
    return mg_base64_decode(out, in, MG_BASE64_URL);
}

static const struct {
    encode_fn *encode;
    decode_fn *decode;
} codecs[] = {
    {standard_encode, standard_decode},
    {url_encode, url_decode},
    {mg_hex_encode, mg_hex_decode},
    {mg_percent_encode, mg_percent_decode},
};
enum { CODECS = sizeof codecs / sizeof *codecs, PERCENT = CODECS - 1 };

static void check_bytes(size_t codec, mg_str bytes) {
    mg_buf text = {0};
    mg_buf back = {0};
    codecs[codec].encode(&text, bytes);
    must(codecs[codec].decode(&back, mg_buf_str(&text)) == MG_OK);
    must(mg_str_eq(bytes, mg_buf_str(&back)));
    mg_buf_deinit(&text);
    mg_buf_deinit(&back);
}

static mg_str without_padding(mg_str s) {
    while (s.n > 0 && s.p[s.n - 1] == '=') {
        s.n--;
    }
    return s;
}

// Percent encoding has many texts for the same bytes, hex has two cases, and padding may be absent.
static void check_text(size_t codec, mg_str text) {
    mg_buf bytes = {0};
    mg_buf back = {0};
    mg_buf_append_str(&bytes, MG_STR("kept"));
    if (codecs[codec].decode(&bytes, text) != MG_OK) {
        must(bytes.n == 4);
    } else if (codec != PERCENT) {
        codecs[codec].encode(&back, (mg_str){bytes.p + 4, bytes.n - 4});
        mg_str plain = without_padding(mg_buf_str(&back));
        must(codec < 2 ? mg_str_eq(without_padding(text), plain) : mg_str_ieq(text, plain));
    }
    mg_buf_deinit(&bytes);
    mg_buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str input = {(const char *)data + 1, size - 1};
    size_t codec = data[0] % CODECS;
    check_bytes(codec, input);
    check_text(codec, input);
    return 0;
}
