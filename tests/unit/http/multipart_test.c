#include "http/multipart.h"

#include "unit.h"

#define TYPE       "multipart/form-data; boundary=sep"
#define PART(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

// Events as text: "(name|filename|type|content)"; pieces of content are joined.
static void on_part(void *arg, const mg_part *part) {
    mg_buf *out = arg;
    mg_buf_append_char(out, '(');
    mg_buf_append_str(out, part->name);
    mg_buf_append_char(out, '|');
    mg_buf_append_str(out, part->has_filename ? part->filename : MG_STR("-"));
    mg_buf_append_char(out, '|');
    mg_buf_append_str(out, part->content_type);
    if (part->transfer_encoding.p != NULL) {
        mg_buf_append_char(out, ',');
        mg_buf_append_str(out, part->transfer_encoding);
    }
    mg_buf_append_char(out, '|');
}

static void on_data(void *arg, mg_str piece) {
    assert_true(piece.n > 0);
    mg_buf_append_str(arg, piece);
}

static void on_part_end(void *arg) {
    mg_buf_append_char(arg, ')');
}

static const mg_multipart_events events = {on_part, on_data, on_part_end};

// Feeds `body` in pieces: [0, first), then `step` bytes at a time. The events, and a fault behind
// them.
static void parse(const char *type, mg_str body, size_t first, size_t step, mg_buf *out) {
    mg_multipart m;
    mg_buf_clear(out);
    int rc = mg_multipart_init(&m, mg_str_of(type), &events, out);
    for (size_t at = 0; rc == MG_OK && at < body.n;) {
        size_t n = at == 0 && first > 0 ? first : step;
        n = n < body.n - at ? n : body.n - at;
        rc = mg_multipart_feed(&m, (mg_str){body.p + at, n});
        at += n;
    }
    if (rc == MG_OK) {
        rc = mg_multipart_finish(&m);
    }
    if (rc != MG_OK) {
        assert_int_equal(mg_multipart_feed(&m, MG_STR("x")), rc);
        assert_int_equal(mg_multipart_finish(&m), rc);
        mg_buf_printf(out, "!%s", m.error);
    }
    mg_multipart_deinit(&m);
}

// However the body is split, the events are the same.
static void reads(const char *body, const char *want) {
    mg_buf got = {0};
    mg_str text = mg_str_of(body);
    for (size_t split = 0; split <= text.n; split++) {
        parse(TYPE, text, split, text.n, &got);
        assert_text(want, mg_buf_str(&got));
    }
    for (size_t step = 1; step < 9; step++) {
        parse(TYPE, text, 0, step, &got);
        assert_text(want, mg_buf_str(&got));
    }
    mg_buf_deinit(&got);
}

static void reads_fields_and_files(void **state) {
    (void)state;
    reads("--sep\r\n" PART(
              "a") "one\r\n"
                   "--sep\r\ncontent-type:  image/png \r\nContent-Disposition: Form-Data; "
                   "filename=\"b.png\"; name=b\r\nX-Other: 1\r\n\r\ntwo\r\n"
                   "--sep--\r\n",
          "(a|-|text/plain|one)(b|b.png|image/png|two)");
}

static void reads_an_empty_form_and_empty_parts(void **state) {
    (void)state;
    reads("--sep--", "");
    reads("--sep--\r\n", "");
    reads("--sep\r\n" PART("") "\r\n--sep--", "(|-|text/plain|)");
    reads("--sep\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n--sep--",
          "(f||text/plain|)");
}

static void content_may_look_like_a_delimiter(void **state) {
    (void)state;
    static const char *const contents[] = {
        "\r\n--se",
        "\r\n--se\r\n--s",
        "\r\r\n\r\n-",
        "--sep",
        "\n--sep",
        "\r--sep--",
        "\r\n--sepa\r\n",
        "\r\n--separate\r\n--sep-x\r\n--sep -\r\n--sep--x",
        "\r\n--sep\r\r\n--sep \t\r\r",
        "\r\n--sep\n",
        "\r\n--sep--\r",
        "\r\n--sep --",
        "\r\n--sep-- - ",
        "\r\n--sepsep",
        "\r\n--\r\n--se",
        "x\r\n\r\n--sxp",
        "\r\n--seP ",
        "\r",
        "\r\n\r\n\r\n\r",
        "\r\n -",
    };
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        char body[256];
        char want[256];
        snprintf(body, sizeof body, "--sep\r\n%s%s\r\n--sep--", PART("a"), contents[i]);
        snprintf(want, sizeof want, "(a|-|text/plain|%s)", contents[i]);
        reads(body, want);
    }
}

static void ignores_preamble_and_epilogue(void **state) {
    (void)state;
    reads("hello\r\n--se\r\n--sep \t\r\n" PART("a") "one\r\n--sep--\r\nbye\r\n--sep\r\n",
          "(a|-|text/plain|one)");
}

static void reads_quoted_names(void **state) {
    (void)state;
    reads("--sep\r\n" PART("a\\\"b; c=\xc3\xa4") "x\r\n--sep--",
          "(a\"b; c=\xc3\xa4|-|text/plain|x)");
}

static void takes_any_valid_boundary(void **state) {
    (void)state;
    mg_buf got = {0};
    parse("Multipart/Form-Data; charset=utf-8; Boundary=\"a b'()+_,-./:=?z\"",
          MG_STR("--a b'()+_,-./:=?z\r\n" PART("a") "x\r\n--a b'()+_,-./:=?z--"), 0, 99, &got);
    assert_text("(a|-|text/plain|x)", mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void refuses_types_without_a_valid_boundary(void **state) {
    (void)state;
    const char *none = "!the content type has no valid boundary";
    const struct {
        const char *type;
        const char *want;
    } wrong[] = {
        {"", "!the content type is not multipart/form-data"},
        {"multipart/mixed; boundary=sep", "!the content type is not multipart/form-data"},
        {"multipart/form-data", none},
        {"multipart/form-data; boundary=", none},
        {"multipart/form-data; boundary=\"\"", none},
        {"multipart/form-data; boundary=\"sep ", none},
        {"multipart/form-data; boundary=\"sep \"", none},
        {"multipart/form-data; boundary=sep; boundary=sep", none},
        {"multipart/form-data; boundary=sep; x", none},
        {"multipart/form-data; boundary=\"s*p\"", none},
        {"multipart/form-data; boundary="
         "01234567890123456789012345678901234567890123456789012345678901234567890",
         none},
    };
    mg_buf got = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        parse(wrong[i].type, MG_STR("--sep--"), 0, 99, &got);
        assert_text(wrong[i].want, mg_buf_str(&got));
    }
    mg_buf_deinit(&got);
}

static void refuses_forms_without_an_end(void **state) {
    (void)state;
    const char *end = "!the form ends before its closing delimiter";
    reads("", end);
    reads("--sep", end);
    reads("--sep-", end);
    reads("--sep\r\nContent-Disposition: form-data; name=a\r\n", end);
    reads("--sep\r\n" PART("a") "x", "(a|-|text/plain|x!the form ends before its closing "
                                     "delimiter");
    reads("--sep\r\n" PART("a") "x\r\n--sep", "(a|-|text/plain|x!the form ends before its closing "
                                              "delimiter");
}

static void a_line_that_only_begins_with_the_delimiter_is_none(void **state) {
    (void)state;
    const char *end = "!the form ends before its closing delimiter";
    reads("--separate\r\n", end);
    reads("--sep\n" PART("a"), end);
    reads("--sep\r" PART("a"), end);
    reads("--sep-x", end);
    reads("--sep--x", end);
    reads("--separate\r\n--sep\r\n" PART("a") "x\r\n--sep-- \t", "(a|-|text/plain|x)");
    reads("--sep\r\n" PART("a") "x\r\n--sep--\r", "(a|-|text/plain|x)");
}

static void a_delimiter_with_endless_white_space_is_none(void **state) {
    (void)state;
    mg_buf body = {0};
    mg_buf got = {0};
    mg_buf_printf(&body, "--sep\r\n%s\r\n--sep", PART("a"));
    memset(mg_buf_reserve(&body, MG_MULTIPART_HEADER_BYTES + 1), ' ',
           MG_MULTIPART_HEADER_BYTES + 1);
    body.n += MG_MULTIPART_HEADER_BYTES + 1;
    mg_buf_printf(&body, "\r\n--sep--");
    parse(TYPE, mg_buf_str(&body), 0, body.n, &got);
    assert_int_equal(got.n, strlen("(a|-|text/plain|\r\n--sep)") + MG_MULTIPART_HEADER_BYTES + 1);
    mg_buf_deinit(&body);
    mg_buf_deinit(&got);
}

#define DISPOSITION "--sep\r\nContent-Disposition: form-data; "

static void reads_extended_names(void **state) {
    (void)state;
    reads(DISPOSITION "name=f; filename*=utf-8''na%C3%AFve.txt\r\n\r\nx\r\n--sep--",
          "(f|na\xC3\xAFve.txt|text/plain|x)");
    reads(DISPOSITION
          "name=f; filename=\"na_ve\"; filename*=UTF-8'en'na%C3%AFve\r\n\r\nx\r\n--sep--",
          "(f|na\xC3\xAFve|text/plain|x)");
    reads(DISPOSITION "name*=utf-8''%C3%A4; FileName*=\"utf-8''a%20b\"\r\n\r\nx\r\n--sep--",
          "(\xC3\xA4|a b|text/plain|x)");
    reads(DISPOSITION "name=f; filename*=koi8-r''x%D0; filename=a\r\n\r\nx\r\n--sep--",
          "(f|a|text/plain|x)");
    reads(DISPOSITION "name=f; filename*=utf-8''\r\n\r\nx\r\n--sep--", "(f||text/plain|x)");
}

static void refuses_names_that_cannot_be_read(void **state) {
    (void)state;
    const char *value = "!a part's Content-Disposition is not form-data with one name";
    static const char *const wrong[] = {
        "filename*=koi8-r''x%D0",    "filename*=utf-8'x",
        "filename*=naive.txt",       "filename*=utf-8''%FF",
        "filename*=utf-8''a%0D%0Ab", "filename*=utf-8''a%00",
        "filename*=utf-8''%4",       "filename*=utf-8''a; filename*=utf-8''b",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char body[256];
        snprintf(body, sizeof body, DISPOSITION "name=f; %s\r\n\r\n", wrong[i]);
        reads(body, value);
    }
}

static void keeps_no_folders_of_a_files_name(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"C:\\x\\a.txt", "a.txt"},
        {"/tmp/a", "a"},
        {"a/b\\c", "c"},
        {"../../etc/passwd", "passwd"},
        {"a/", ""},
        {"..", ""},
        {"x/..", ""},
        {".", ""},
        {".profile", ".profile"},
        {"..x", "..x"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[256];
        char want[256];
        snprintf(body, sizeof body, DISPOSITION "name=f; filename=\"%s\"\r\n\r\nx\r\n--sep--",
                 names[i][0]);
        snprintf(want, sizeof want, "(f|%s|text/plain|x)", names[i][1]);
        reads(body, want);
    }
    reads(DISPOSITION "name=a[0]; filename=C:\\x\\a.txt\r\n\r\nx\r\n--sep--",
          "(a[0]|a.txt|text/plain|x)");
    reads(DISPOSITION "name=f; filename*=utf-8''..%2F..%5Ca\r\n\r\nx\r\n--sep--",
          "(f|a|text/plain|x)");
}

static void shows_the_transfer_encoding(void **state) {
    (void)state;
    reads("--sep\r\nContent-Transfer-Encoding: base64\r\n" PART("a") "eA==\r\n--sep--",
          "(a|-|text/plain,base64|eA==)");
}

static void takes_boundaries_without_the_quotes_they_need(void **state) {
    (void)state;
    static const char *const boundaries[] = {"----=_Part_12/34", "a=b", "a/b?c", "a:(b),c"};
    mg_buf got = {0};
    for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
        char type[128];
        char body[256];
        snprintf(type, sizeof type, "multipart/form-data; boundary=%s; charset=utf-8",
                 boundaries[i]);
        snprintf(body, sizeof body, "--%s\r\n%sx\r\n--%s--", boundaries[i], PART("a"),
                 boundaries[i]);
        parse(type, mg_str_of(body), 0, 99, &got);
        assert_text("(a|-|text/plain|x)", mg_buf_str(&got));
    }
    mg_buf_deinit(&got);
}

static void refuses_malformed_part_headers(void **state) {
    (void)state;
    const char *line = "!a part's header field is malformed";
    const char *crlf = "!a part's header line does not end in CRLF";
    const char *value = "!a part's Content-Disposition is not form-data with one name";
    reads("--sep\r\nno colon\r\n\r\n", line);
    reads("--sep\r\n: empty\r\n\r\n", line);
    reads("--sep\r\nname : value\r\n\r\n", line);
    reads("--sep\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n", value);
    reads("--sep\r\nX: a\r b\r\n\r\n", line);
    reads("--sep\r\nContent-Disposition: form-data; name=a\n\r\n", crlf);
    reads("--sep\r\n\n", crlf);
    reads("--sep\r\n\r\n", "!a part has no Content-Disposition");
    reads("--sep\r\nContent-Disposition: attachment; name=a\r\n\r\n", value);
    reads("--sep\r\nContent-Disposition: form-data\r\n\r\n", value);
    reads("--sep\r\nContent-Disposition: form-data; filename=a\r\n\r\n", value);
    reads("--sep\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n", value);
    reads("--sep\r\nContent-Disposition: form-data; name=a; filename=\"b\r\n\r\n", value);
    reads("--sep\r\nContent-Disposition: form-data; name=a\r\n"
          "Content-Disposition: form-data; name=b\r\n\r\n",
          value);
}

static void limits_the_count_of_parts(void **state) {
    (void)state;
    mg_buf body = {0};
    mg_buf got = {0};
    for (int i = 0; i < MG_MULTIPART_PARTS; i++) {
        mg_buf_printf(&body, "--sep\r\n%s\r\n", PART("a"));
    }
    size_t most = body.n;
    mg_buf_printf(&body, "--sep--");
    parse(TYPE, mg_buf_str(&body), 0, body.n, &got);
    assert_int_equal(got.n, MG_MULTIPART_PARTS * strlen("(a|-|text/plain|)"));
    body.n = most;
    mg_buf_printf(&body, "--sep\r\n%s", PART("a"));
    parse(TYPE, mg_buf_str(&body), 0, body.n, &got);
    assert_non_null(memmem(got.p, got.n, ")!the form has too many parts", 29));
    mg_buf_deinit(&body);
    mg_buf_deinit(&got);
}

static void limits_the_header_of_a_part(void **state) {
    (void)state;
    mg_buf body = {0};
    mg_buf got = {0};
    const char *head = "Content-Disposition: form-data; name=a\r\nX: ";
    mg_buf_printf(&body, "--sep\r\n%s", head);
    size_t fill = MG_MULTIPART_HEADER_BYTES - strlen(head) - 4;
    memset(mg_buf_reserve(&body, fill + 1), 'x', fill + 1);
    body.n += fill;
    mg_buf_printf(&body, "\r\n\r\n\r\n--sep--");
    parse(TYPE, mg_buf_str(&body), 0, body.n, &got);
    assert_text("(a|-|text/plain|)", mg_buf_str(&got));
    body.n -= 13;
    mg_buf_printf(&body, "x\r\n\r\n\r\n--sep--");
    parse(TYPE, mg_buf_str(&body), 0, body.n, &got);
    assert_text("!a part's header is larger than 8192 bytes", mg_buf_str(&got));
    mg_buf_deinit(&body);
    mg_buf_deinit(&got);
}

static void reports_limits_as_such(void **state) {
    (void)state;
    mg_multipart m;
    mg_buf out = {0};
    char line[MG_MULTIPART_HEADER_BYTES + 1];
    memset(line, 'x', sizeof line);
    assert_int_equal(mg_multipart_init(&m, MG_STR(TYPE), &events, &out), MG_OK);
    assert_int_equal(mg_multipart_feed(&m, MG_STR("--sep\r\n")), MG_OK);
    assert_int_equal(mg_multipart_feed(&m, (mg_str){line, sizeof line}), MG_ELIMIT);
    mg_multipart_deinit(&m);
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields_and_files),
        cmocka_unit_test(reads_an_empty_form_and_empty_parts),
        cmocka_unit_test(content_may_look_like_a_delimiter),
        cmocka_unit_test(ignores_preamble_and_epilogue),
        cmocka_unit_test(reads_quoted_names),
        cmocka_unit_test(takes_any_valid_boundary),
        cmocka_unit_test(refuses_types_without_a_valid_boundary),
        cmocka_unit_test(refuses_forms_without_an_end),
        cmocka_unit_test(a_line_that_only_begins_with_the_delimiter_is_none),
        cmocka_unit_test(a_delimiter_with_endless_white_space_is_none),
        cmocka_unit_test(reads_extended_names),
        cmocka_unit_test(refuses_names_that_cannot_be_read),
        cmocka_unit_test(keeps_no_folders_of_a_files_name),
        cmocka_unit_test(shows_the_transfer_encoding),
        cmocka_unit_test(takes_boundaries_without_the_quotes_they_need),
        cmocka_unit_test(refuses_malformed_part_headers),
        cmocka_unit_test(limits_the_count_of_parts),
        cmocka_unit_test(limits_the_header_of_a_part),
        cmocka_unit_test(reports_limits_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
