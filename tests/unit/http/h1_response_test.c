#include "../../fuzz/response_rig.h"
#include "unit.h"

#define FOLDED "a line begins with white space: a field is folded, which RFC 9112 forbids"

static void read_split(mg_str input, unsigned heads, size_t cut, mg_buf *out) {
    response_rig r;
    response_rig_init(&r, heads, out);
    response_rig_feed(&r, input.p, cut);
    response_rig_feed(&r, input.p + cut, input.n - cut);
    response_rig_fin(&r);
    response_rig_deinit(&r);
}

static void read_bytewise(mg_str input, unsigned heads, mg_buf *out) {
    response_rig r;
    response_rig_init(&r, heads, out);
    for (size_t i = 0; i < input.n; i++) {
        response_rig_feed(&r, input.p + i, 1);
    }
    response_rig_fin(&r);
    response_rig_deinit(&r);
}

// Whole, split at every byte, and byte by byte. `heads`: bit i is set if the i-th answers a HEAD.
static void reads_heads(mg_str input, unsigned heads, const char *want) {
    mg_buf got = {0};
    for (size_t cut = 0; cut <= input.n; cut++) {
        mg_buf_clear(&got);
        read_split(input, heads, cut, &got);
        assert_text(want, mg_buf_str(&got));
    }
    mg_buf_clear(&got);
    read_bytewise(input, heads, &got);
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void reads(const char *input, const char *want) {
    reads_heads(mg_str_of(input), 0, want);
}

static void refuses(const char *input, const char *fault) {
    char want[128];
    snprintf(want, sizeof want, "refused: %s\n", fault);
    reads(input, want);
}

#define OK     "HTTP/1.1 200 OK\r\n"
#define EMPTY  "Content-Length: 0\r\n\r\n"
#define FORM   "the status line is not: version SP status SP reason"
#define OTHER  "the version is neither HTTP/1.1 nor HTTP/1.0"
#define DIGITS "the status is not a number of three digits"
#define FIELD  "a header field is malformed"

// --- the status line (RFC 9112 section 4) ---

static void reads_responses_in_a_row(void **state) {
    (void)state;
    reads(OK "A:  b \t\r\nContent-Length: 2\r\n\r\nhi"
             "HTTP/1.0 404 Not Found\r\nE:\r\nContent-Length: 0\r\n\r\n",
          "200 1.1 keep [OK]\nA=b\nContent-Length=2\ncontent=hi\nend\n"
          "404 1.0 close [Not Found]\nE=\nContent-Length=0\nend\n");
}

static void a_reason_may_be_empty_or_missing(void **state) {
    (void)state;
    reads("HTTP/1.1 200 \r\n" EMPTY, "200 1.1 keep []\nContent-Length=0\nend\n");
    reads("HTTP/1.1 200\r\n" EMPTY, "200 1.1 keep []\nContent-Length=0\nend\n");
}

static void a_reason_holds_tabs_spaces_and_obs_text(void **state) {
    (void)state;
    reads("HTTP/1.1 299  a\tb \xe9\xff \r\n" EMPTY,
          "299 1.1 keep [ a\tb \xe9\xff ]\nContent-Length=0\nend\n");
}

static void a_reason_holds_no_controls(void **state) {
    (void)state;
    refuses("HTTP/1.1 200 a\x01\r\n" EMPTY, "the reason phrase has a control character");
    refuses("HTTP/1.1 200 \x7f\r\n" EMPTY, "the reason phrase has a control character");
    reads_heads(MG_STR("HTTP/1.1 200 a\0b\r\n" EMPTY), 0,
                "refused: the reason phrase has a control character\n");
}

static void only_http_1_1_and_1_0_are_spoken(void **state) {
    (void)state;
    refuses("HTTP/2.0 200 OK\r\n" EMPTY, OTHER);
    refuses("HTTP/0.9 200 OK\r\n" EMPTY, OTHER);
    refuses("HTTP/1.2 200 OK\r\n" EMPTY, OTHER);
    refuses("HTTP/2 200 OK\r\n" EMPTY, FORM);
    refuses("http/1.1 200 OK\r\n" EMPTY, FORM);
    refuses("HTTP/1.10 200 OK\r\n" EMPTY, FORM);
    refuses("HTTP/11.1 200 OK\r\n" EMPTY, FORM);
    refuses("ICY 200 OK\r\n" EMPTY, FORM);
}

static void a_status_is_three_digits_between_single_spaces(void **state) {
    (void)state;
    reads("HTTP/1.1 999 x\r\n" EMPTY, "999 1.1 keep [x]\nContent-Length=0\nend\n");
    refuses("HTTP/1.1 20\r\n" EMPTY, FORM);
    refuses("HTTP/1.1\r\n" EMPTY, FORM);
    refuses("HTTP/1.1\t200 OK\r\n" EMPTY, FORM);
    refuses("HTTP/1.1  200 OK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 20 OK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 2000 OK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 200\tOK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 200OK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 099 OK\r\n" EMPTY, DIGITS);
    refuses("HTTP/1.1 +20 OK\r\n" EMPTY, DIGITS);
}

static void garbage_is_refused_at_its_first_line(void **state) {
    (void)state;
    refuses("<html>\r\n", FORM);
    refuses("SSH-2.0-OpenSSH_9.2\r\n", FORM);
    refuses("GET / HTTP/1.1\r\n", FORM);
    refuses("<html>\n", "an LF without CR");
    refuses("HTTP/1.1 200 OK\rA: b\r\n", "a CR without LF");
    refuses(" HTTP/1.1 200 OK\r\n", FOLDED);
}

static void a_wrong_status_line_goes_before_faults_behind_it(void **state) {
    (void)state;
    refuses("HTTP/2.0 200 OK\r\nA: b\n", OTHER);
    refuses("HTTP/1.1 2 OK\r\n folded\r\n", DIGITS);
    refuses("HTTP/1.1 200 \x01\r\nA\rb", "the reason phrase has a control character");
}

static void a_few_empty_lines_may_come_before(void **state) {
    (void)state;
    reads("\r\n\r\n" OK EMPTY, "200 1.1 keep [OK]\nContent-Length=0\nend\n");
    refuses("\r\n\r\n\r\n\r\n\r\n" OK EMPTY, "too many empty lines before the first one");
}

// --- fields ---

static void refuses_fields(void **state) {
    (void)state;
    refuses(OK "A: b\n" EMPTY, "an LF without CR");
    refuses(OK "A: b\rc\r\n" EMPTY, "a CR without LF");
    refuses(OK "A: b\r\n c\r\n" EMPTY, FOLDED);
    refuses(OK "A: b\r\n\tc\r\n" EMPTY, FOLDED);
    refuses(OK ": b\r\n" EMPTY, "a header field without a name");
    refuses(OK "A : b\r\n" EMPTY, FIELD);
    refuses(OK "A\r\n" EMPTY, FIELD);
    refuses(OK "A(: b\r\n" EMPTY, FIELD);
    refuses(OK "A: \x01\r\n" EMPTY, FIELD);
    reads_heads(MG_STR(OK "A: b\0c\r\n" EMPTY), 0, "refused: " FIELD "\n");
}

static void fields_of_requests_mean_nothing_here(void **state) {
    (void)state;
    reads(OK "Host: a\r\nHost: b c\r\nExpect: x\r\nUpgrade: x\r\nConnection: upgrade\r\n" EMPTY,
          "200 1.1 keep [OK]\nHost=a\nHost=b c\nExpect=x\nUpgrade=x\nConnection=upgrade\n"
          "Content-Length=0\nend\n");
}

static void refuses_what_is_too_large(void **state) {
    (void)state;
    char input[2048];
    memset(input, 'a', sizeof input);
    memcpy(input, "HTTP/1.1 200 ", 13);
    reads_heads((mg_str){input, 300}, 0, "refused: the status line is too long\n");
    memcpy(input, OK "A: ", 20);
    reads_heads((mg_str){input, 1500}, 0, "refused: the header section is too large\n");
    refuses(OK "A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n" EMPTY,
            "too many header fields");
}

static void the_limits_are_exact(void **state) {
    (void)state;
    char input[512];
    mg_buf want = {0};
    memset(input, 'a', sizeof input);
    memcpy(input, "HTTP/1.1 200 ", 13);
    memcpy(input + 256, "\r\n" EMPTY, 23);
    mg_buf_printf(&want, "200 1.1 keep [%.*s]\nContent-Length=0\nend\n", 243, input + 13);
    mg_buf_append_char(&want, 0);
    reads_heads((mg_str){input, 279}, 0, want.p);
    mg_buf_deinit(&want);
}

// --- bodies (RFC 9112 section 6.3) ---

static void no_content_follows_some_statuses_whatever_they_say(void **state) {
    (void)state;
    reads("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"
          "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"
          "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
          "HTTP/1.1 304 Not Modified\r\n\r\n" OK EMPTY,
          "100 1.1 keep [Continue]\nContent-Length=5\nend\n"
          "103 1.1 keep [Early Hints]\nTransfer-Encoding=chunked\nend\n"
          "204 1.1 keep [No Content]\nTransfer-Encoding=chunked\nend\n"
          "304 1.1 keep [Not Modified]\nContent-Length=5\nend\n"
          "304 1.1 keep [Not Modified]\nend\n"
          "200 1.1 keep [OK]\nContent-Length=0\nend\n");
}

static void no_content_follows_an_answer_to_head(void **state) {
    (void)state;
    reads_heads(MG_STR(OK "Content-Length: 5\r\n\r\n" OK "\r\n" OK
                          "Transfer-Encoding: chunked\r\n\r\n" OK "Content-Length: 1\r\n\r\nx"),
                7,
                "200 1.1 keep [OK]\nContent-Length=5\nend\n"
                "200 1.1 keep [OK]\nend\n"
                "200 1.1 keep [OK]\nTransfer-Encoding=chunked\nend\n"
                "200 1.1 keep [OK]\nContent-Length=1\ncontent=x\nend\n");
}

static void reads_chunks_and_trailers(void **state) {
    (void)state;
    reads(OK
          "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: u\r\n\r\n" OK EMPTY,
          "200 1.1 keep [OK]\nTransfer-Encoding=Chunked\ncontent=abcd\nT=u\nend\n"
          "200 1.1 keep [OK]\nContent-Length=0\nend\n");
}

static void content_without_a_length_goes_on_until_the_connection_ends(void **state) {
    (void)state;
    reads(OK "\r\nall " OK "\r\n",
          "200 1.1 close [OK]\ncontent=all HTTP/1.1 200 OK\r\n\r\n\nend\n");
    reads("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx",
          "200 1.0 close [OK]\nConnection=keep-alive\ncontent=x\nend\n");
    reads("HTTP/1.1 205 Reset\r\n\r\nx", "205 1.1 close [Reset]\ncontent=x\nend\n");
}

static void ambiguous_framing_is_refused(void **state) {
    (void)state;
    const char *repeated = "Content-Length is repeated, or comes with Transfer-Encoding";
    refuses(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", repeated);
    refuses(OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", repeated);
    refuses(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", repeated);
    refuses(OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", repeated);
    refuses(OK "Content-Length: 1, 1\r\n\r\nx", FIELD);
    refuses(OK "Content-Length: +1\r\n\r\nx", FIELD);
    refuses(OK "Content-Length: 99999999999999999999\r\n\r\nx", FIELD);
    refuses(OK "Content-Length:\r\n\r\nx", FIELD);
    refuses(OK "Transfer-Encoding: chunked, chunked\r\n\r\n",
            "chunked is not the last transfer coding, or comes twice");
    refuses(OK "Transfer-Encoding: gzip, chunked\r\n\r\n", "a transfer coding other than chunked");
    refuses("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding in HTTP/1.0");
}

// The rules hold before the status is looked at: a proxy in between may have believed the fields.
static void ambiguous_framing_is_refused_without_content_too(void **state) {
    (void)state;
    refuses("HTTP/1.1 304 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "Content-Length is repeated, or comes with Transfer-Encoding");
    refuses("HTTP/1.1 204 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "a transfer coding other than chunked");
}

static void malformed_chunks_are_refused(void **state) {
    (void)state;
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD    "200 1.1 keep [OK]\nTransfer-Encoding=chunked\n"
    reads(CHUNKED "x\r\n", HEAD "refused 400\n");
    reads(CHUNKED "1\r\nab\r\n", HEAD "refused 400\n");
    reads(CHUNKED "1\nab\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\nA b\r\n\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\nA: b\n\r\n", HEAD "refused 400\n");
}

// --- the reader itself ---

// The head must not point into the input, which is only lent.
static void a_head_outlives_its_input(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_h1_response_reader r;
    mg_response response;
    size_t used;
    char text[] = OK "A: b\r\nContent-Length: 4\r\n\r\nrest";
    mg_h1_response_init(&r, &arena, &rig_head_limits, false);
    assert_int_equal(mg_h1_response_read(&r, text, sizeof text - 1, &used, &response),
                     MG_H1_RESPONSE_HEAD);
    assert_int_equal(used, sizeof text - 5);
    memset(text, '#', sizeof text);
    assert_int_equal(response.status, 200);
    assert_text("OK", response.reason);
    assert_text("b", mg_fields_find_name(&response.head.fields, MG_STR("a"))->value);
    assert_int_equal(response.head.framing, MG_FRAMING_LENGTH);
    assert_int_equal(response.head.length, 4);
    mg_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_responses_in_a_row),
        cmocka_unit_test(a_reason_may_be_empty_or_missing),
        cmocka_unit_test(a_reason_holds_tabs_spaces_and_obs_text),
        cmocka_unit_test(a_reason_holds_no_controls),
        cmocka_unit_test(only_http_1_1_and_1_0_are_spoken),
        cmocka_unit_test(a_status_is_three_digits_between_single_spaces),
        cmocka_unit_test(garbage_is_refused_at_its_first_line),
        cmocka_unit_test(a_wrong_status_line_goes_before_faults_behind_it),
        cmocka_unit_test(a_few_empty_lines_may_come_before),
        cmocka_unit_test(refuses_fields),
        cmocka_unit_test(fields_of_requests_mean_nothing_here),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(the_limits_are_exact),
        cmocka_unit_test(no_content_follows_some_statuses_whatever_they_say),
        cmocka_unit_test(no_content_follows_an_answer_to_head),
        cmocka_unit_test(reads_chunks_and_trailers),
        cmocka_unit_test(content_without_a_length_goes_on_until_the_connection_ends),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(ambiguous_framing_is_refused_without_content_too),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(a_head_outlives_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
