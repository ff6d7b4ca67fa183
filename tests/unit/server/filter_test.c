#include "server/filter.h"

#include "base/buf.h"

#include "field_list.h"
#include "peer.h"

enum { WINDOW = 4096 };

static rig r;
static peer p;

// Writes all in upper case, each byte `times`, in pieces of `at_least` bytes.
typedef struct upper {
    mg_filter filter; // first
    int times;
    size_t at_least;
    mg_buf kept;
    int heads, ends, releases;
} upper;

static void on_head(mg_filter *f, mg_answer *a, int64_t *length) {
    upper *u = (upper *)f;
    u->heads++;
    a->content_type = MG_STR("text/upper");
    if (u->times > 1) {
        *length = -1;
    }
}

static int pass_kept(upper *u) {
    int rc = mg_filter_pass(&u->filter, mg_buf_str(&u->kept));
    mg_buf_clear(&u->kept);
    return rc;
}

static int on_content(mg_filter *f, mg_str data) {
    upper *u = (upper *)f;
    for (size_t i = 0; i < data.n; i++) {
        char c = data.p[i];
        for (int k = 0; k < u->times; k++) {
            mg_buf_append_char(&u->kept, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
        }
    }
    return u->kept.n >= u->at_least ? pass_kept(u) : MG_OK;
}

static int on_flush(mg_filter *f) {
    return pass_kept((upper *)f);
}

static void on_end(mg_filter *f, mg_fields *trailers) {
    upper *u = (upper *)f;
    u->ends++;
    pass_kept(u);
    if (u->times > 1) {
        mg_fields_add(trailers, MG_STR("X-Upper"), MG_STR("yes"));
    }
}

static void on_release(mg_filter *f) {
    upper *u = (upper *)f;
    u->releases++;
    mg_buf_deinit(&u->kept);
}

static const mg_filter_ops upper_ops = {on_head, on_content, on_flush, on_end, on_release};
static upper plain, wide;

static int set_up(void **state) {
    (void)state;
    plain = (upper){.filter = {.ops = &upper_ops}, .times = 1, .at_least = 0};
    wide = (upper){.filter = {.ops = &upper_ops}, .times = 2, .at_least = 8};
    rig_open(&r);
    r.echo = false;
    peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    return 0;
}

static mg_exchange *ask(const char *method, upper *with) {
    char text[100];
    snprintf(text, sizeof text, "%s /a HTTP/1.1\r\nHost: h\r\n\r\n", method);
    peer_send(&r, &p, text);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    mg_filter_add(x, &with->filter);
    return x;
}

static void end(mg_exchange *x) {
    mg_exchange_end(x, NULL);
    rig_settle(&r);
}

#define HEAD_OF(framing) "HTTP/1.1 200 OK\r\nContent-Type: text/upper\r\n" framing "\r\n\r\n"
#define CHUNKED          HEAD_OF("Transfer-Encoding: chunked")

static void a_complete_answer_goes_through_it(void **state) {
    (void)state;
    mg_exchange_respond(ask("GET", &plain), &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_got(&p, HEAD_OF("Content-Length: 3") "ABC");
    assert_int_equal(plain.heads, 1);
    assert_int_equal(plain.ends, 1);
    assert_int_equal(plain.releases, 1);
    assert_log(&r, "GET /a 200 3\n");
}

static void a_known_length_may_become_unknown(void **state) {
    (void)state;
    mg_exchange_respond(ask("GET", &wide), &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_got(&p, CHUNKED "6\r\nAABBCC\r\n0\r\nX-Upper: yes\r\n\r\n");
    assert_log(&r, "GET /a 200 6\n"); // what went out
}

static void a_stream_goes_through_it_with_its_trailers(void **state) {
    (void)state;
    mg_exchange *x = ask("GET", &plain);
    mg_exchange_begin(x, &rig_ok, -1);
    assert_int_equal(mg_exchange_write(x, MG_STR("ab")), MG_OK);
    assert_int_equal(mg_exchange_write(x, MG_STR("c")), MG_OK);
    mg_fields trailers = FIELD_LIST(&x->arena, "X-Own", "1");
    mg_exchange_end(x, &trailers);
    rig_settle(&r);
    assert_got(&p, CHUNKED "2\r\nAB\r\n1\r\nC\r\n0\r\nX-Own: 1\r\n\r\n");
}

static void what_it_keeps_goes_with_a_flush_or_the_end(void **state) {
    (void)state;
    mg_exchange *x = ask("GET", &wide);
    mg_exchange_begin(x, &rig_ok, 7);
    mg_exchange_write(x, MG_STR("abc"));
    rig_settle(&r);
    assert_got(&p, CHUNKED);
    assert_int_equal(mg_exchange_flush(x), MG_OK);
    rig_settle(&r);
    assert_got(&p, "6\r\nAABBCC\r\n");
    mg_exchange_write(x, MG_STR("defg"));
    rig_settle(&r);
    assert_got(&p, "8\r\nDDEEFFGG\r\n");
    end(x);
    assert_got(&p, "0\r\nX-Upper: yes\r\n\r\n");
}

static void the_last_one_added_sees_it_first(void **state) {
    (void)state;
    mg_exchange *x = ask("GET", &plain);
    mg_filter_add(x, &wide.filter);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("ab"));
    assert_int_equal(plain.kept.cap, 0); // the other one keeps it
    mg_exchange_flush(x);
    end(x);
    assert_got(&p, CHUNKED "4\r\nAABB\r\n0\r\nX-Upper: yes\r\n\r\n");
    assert_int_equal(plain.releases, 1);
    assert_int_equal(wide.releases, 1);
}

static void head_says_what_get_would(void **state) {
    (void)state;
    mg_exchange_respond(ask("HEAD", &plain), &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_got(&p, HEAD_OF("Content-Length: 3"));
    mg_exchange_respond(ask("HEAD", &wide), &rig_ok, MG_STR("abc"));
    rig_settle(&r);
    assert_got(&p, CHUNKED);
    assert_int_equal(wide.ends, 0); // nothing may come behind the head
    assert_int_equal(wide.releases, 1);
}

static void answers_without_content_have_their_head_filtered(void **state) {
    (void)state;
    static const int statuses[] = {204, 304};
    for (int i = 0; i < 2; i++) {
        plain.releases = 0;
        mg_answer a = {.status = statuses[i]};
        mg_exchange_respond(ask("GET", &plain), &a, (mg_str){NULL, 0});
        rig_settle(&r);
        assert_true(memmem(p.got.p, p.got.n, "text/upper", 10) != NULL);
        assert_true(memmem(p.got.p, p.got.n, "\r\n\r\n", 4) == p.got.p + p.got.n - 4);
        assert_int_equal(plain.releases, 1);
        mg_buf_clear(&p.got);
    }
    assert_int_equal(plain.ends, 0);
}

static void the_announced_length_is_still_the_answerers_to_keep(void **state) {
    (void)state;
    mg_exchange *x = ask("GET", &wide);
    mg_exchange_begin(x, &rig_ok, 3);
    assert_int_equal(mg_exchange_write(x, MG_STR("abcd")), MG_ELIMIT);
    assert_int_equal(mg_exchange_write(x, MG_STR("ab")), MG_OK);
    end(x); // one byte is missing
    assert_int_equal(p.ends, 1);
    assert_int_equal(wide.ends, 0);
    assert_int_equal(wide.releases, 1);
    assert_log(&r, "GET /a 200 0 aborted\n");
}

static void backpressure_is_passed_through(void **state) {
    (void)state;
    static char much[200 * 1024];
    memset(much, 'a', sizeof much);
    mg_stream_read_stop(&p.s);
    mg_exchange *x = ask("GET", &plain);
    mg_exchange_begin(x, &rig_ok, -1);
    int rc = mg_exchange_write(x, (mg_str){much, sizeof much});
    for (int i = 0; i < 3 && rc == MG_OK; i++) {
        rig_settle(&r);
        rc = mg_exchange_write(x, (mg_str){much, sizeof much});
    }
    assert_int_equal(rc, MG_EAGAIN);
    assert_int_equal(r.writables, 0);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_int_equal(r.writables, 1);
    end(x);
}

static void a_broken_off_answer_releases_it(void **state) {
    (void)state;
    mg_exchange *x = ask("GET", &wide);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("abc"));
    mg_exchange_abort(x);
    rig_settle(&r);
    assert_int_equal(wide.ends, 0);
    assert_int_equal(wide.releases, 1);
}

static void a_client_that_leaves_releases_it(void **state) {
    (void)state;
    ask("GET", &wide);
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(r.gone, 1);
    assert_int_equal(wide.heads, 0);
    assert_int_equal(wide.releases, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_complete_answer_goes_through_it),
        TEST(a_known_length_may_become_unknown),
        TEST(a_stream_goes_through_it_with_its_trailers),
        TEST(what_it_keeps_goes_with_a_flush_or_the_end),
        TEST(the_last_one_added_sees_it_first),
        TEST(head_says_what_get_would),
        TEST(answers_without_content_have_their_head_filtered),
        TEST(the_announced_length_is_still_the_answerers_to_keep),
        TEST(backpressure_is_passed_through),
        TEST(a_broken_off_answer_releases_it),
        TEST(a_client_that_leaves_releases_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
