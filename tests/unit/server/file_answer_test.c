#include "server/file_answer.h"

#include "base/mem.h"
#include "http/date.h"

#include "field_list.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS     "0123456789"
#define CHANGED    "Sun, 06 Nov 1994 08:49:37 GMT"
#define VALIDATORS "Last-Modified: " CHANGED "\r\nAccept-Ranges: bytes\r\n"

enum { WINDOW = 4096, LARGE = 2 << 20, CHANGED_S = 784111777 };

static rig r;
static peer p;
static mg_conn *c;
static char folder[64];
static char etag[80];
static int dones, done_status;
static mg_fields own_fields;
static mg_arena arena;
static mg_file_answer *file; // that start_with has started and that is not done

static void on_done(void *arg, int status) {
    assert_ptr_equal(arg, &dones);
    file = NULL;
    dones++;
    done_status = status;
}

// What an app owes to a file that it has started.
static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    mg_file_answer_stop(file);
    rig_on_gone(app, x, why);
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_file(const char *name, const char *text, size_t n) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    struct timespec times[2] = {{CHANGED_S, 0}, {CHANGED_S, 0}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static int set_up(void **state) {
    (void)state;
    dones = 0;
    done_status = 0;
    file = NULL;
    own_fields = (mg_fields){0};
    strcpy(folder, "/tmp/file_answer_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    make_file("digits.txt", DIGITS, 10);
    rig_open(&r);
    r.app.on_gone = on_gone;
    r.echo = false;
    c = peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"digits.txt", "large.bin", "empty"};
    peer_close(&r, &p, false);
    rig_close(&r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(path_of(names[i]));
    }
    mg_arena_deinit(&arena);
    arena = (mg_arena){0};
    return rmdir(folder);
}

// Turns until nothing moves here or in the threads.
static void settle(void) {
    while (mg_loop_turn(r.loop, true, false, 0) == MG_LOOP_MOVED ||
           mg_loop_has_outside_work(r.loop)) {
    }
}

// Answers a request with `fields` (each with CRLF) by the file of that name.
static mg_exchange *start_with(const char *method, const char *fields, const char *name,
                               const mg_answer *a) {
    char text[512];
    snprintf(text, sizeof text, "%s /a HTTP/1.1\r\nHost: h\r\n%s\r\n", method, fields);
    peer_send(&r, &p, text);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    mg_file_answer_options o = {
        .path = path_of(name), .on_done = on_done, .arg = &dones, .fields = own_fields};
    file = mg_file_answer_start(x, a, &o);
    return x;
}

static void get(const char *fields, const char *name) {
    start_with("GET", fields, name, &rig_ok);
    settle();
}

// As assert_got, without the ETag, which goes into `etag`.
static void assert_answer(const char *want) {
    char *line = memmem(p.got.p, p.got.n, "ETag: ", 6);
    if (line != NULL) {
        char *end = memchr(line, '\n', p.got.n - (size_t)(line - p.got.p));
        snprintf(etag, sizeof etag, "%.*s", (int)(end - line - 7), line + 6);
        size_t behind = p.got.n - (size_t)(end + 1 - p.got.p);
        memmove(line, end + 1, behind);
        p.got.n -= (size_t)(end + 1 - line);
    }
    assert_got(&p, want);
}

// --- whole files ---

static void a_file_comes_with_its_type_and_validators(void **state) {
    (void)state;
    get("", "digits.txt");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "\r\n" DIGITS);
    assert_int_equal(etag[0], '"');
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, 0);
    assert_log(&r, "GET /a 200 10\n");
}

static void the_apps_type_and_fields_are_kept(void **state) {
    (void)state;
    char value[] = "y";
    mg_answer a = {
        .status = 200, .content_type = MG_STR("a/b"), .fields = FIELD_LIST(&arena, "X", value)};
    start_with("GET", "", "digits.txt", &a);
    value[0] = '?'; // borrowed for the call alone
    settle();
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 10\r\n"
                  "X: y\r\n" VALIDATORS "\r\n" DIGITS);
}

static void an_empty_file_is_an_empty_answer(void **state) {
    (void)state;
    make_file("empty", "", 0);
    get("Range: bytes=0-\r\n", "empty");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                  "Content-Length: 0\r\n" VALIDATORS "\r\n");
    assert_int_equal(dones, 1);
}

static void head_has_the_length_of_the_whole_file(void **state) {
    (void)state;
    start_with("HEAD", "Range: bytes=0-1\r\n", "digits.txt", &rig_ok);
    settle();
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "\r\n");
    assert_int_equal(dones, 1);
}

static void the_next_request_is_served_behind_the_file(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_file_answer_options o = {.path = path_of("digits.txt"), .on_done = on_done, .arg = &dones};
    mg_file_answer_start(rig_take(&r), &rig_ok, &o);
    r.echo = true;
    settle();
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "\r\n" DIGITS
                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/b");
}

// --- ranges ---

#define PART_OF(range, length)                                                                     \
    "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain; charset=utf-8\r\n"                  \
    "Content-Length: " length "\r\n" VALIDATORS "Content-Range: bytes " range "/10\r\n\r\n"

static void a_range_is_a_part(void **state) {
    (void)state;
    get("Range: bytes=2-4\r\n", "digits.txt");
    assert_answer(PART_OF("2-4", "3") "234");
    get("Range: bytes=-2\r\n", "digits.txt");
    assert_answer(PART_OF("8-9", "2") "89");
    assert_int_equal(dones, 2);
}

static void several_ranges_are_parts_with_heads(void **state) {
    (void)state;
    get("Range: bytes=0-1, 8-\r\n", "digits.txt");
    mg_str got = mg_buf_str(&p.got);
    const char *body = (const char *)memmem(got.p, got.n, "\r\n\r\n", 4) + 4;
    char length[64];
    int n = snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n",
                     got.n - (size_t)(body - got.p));
    assert_non_null(memmem(got.p, got.n, length, (size_t)n));
    assert_true(mg_str_starts(got, MG_STR("HTTP/1.1 206 ")));
#define BOUNDARY "moongate-byteranges-3f1c9a70b2d84e65"
#define PART(range)                                                                                \
    "\r\n--" BOUNDARY "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " range \
    "/10\r\n\r\n"
    assert_text(PART("0-1") "01" PART("8-9") "89\r\n--" BOUNDARY "--\r\n",
                ((mg_str){body, got.n - (size_t)(body - got.p)}));
    static const char type[] = "\r\nContent-Type: multipart/byteranges; boundary=" BOUNDARY "\r\n";
    assert_non_null(memmem(got.p, got.n, type, sizeof type - 1));
    assert_int_equal(dones, 1);
}

static void a_range_beyond_the_end_is_refused_with_the_size(void **state) {
    (void)state;
    get("Range: bytes=10-\r\n", "digits.txt");
    assert_answer("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n" VALIDATORS
                  "Content-Range: bytes */10\r\n\r\n");
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, 0);
}

static void a_part_of_another_version_is_not_continued(void **state) {
    (void)state;
    get("Range: bytes=2-4\r\nIf-Range: \"other\"\r\n", "digits.txt");
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 200 OK\r\n")));
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "\r\n" DIGITS);
    char fields[160];
    snprintf(fields, sizeof fields, "Range: bytes=2-4\r\nIf-Range: %s\r\n", etag);
    get(fields, "digits.txt");
    assert_answer(PART_OF("2-4", "3") "234");
}

// --- conditions ---

static void what_the_client_has_is_not_sent_again(void **state) {
    (void)state;
    static const char same[] = "HTTP/1.1 304 Not Modified\r\n" VALIDATORS "\r\n";
    get("If-Modified-Since: " CHANGED "\r\n", "digits.txt");
    assert_answer(same);
    char fields[160];
    snprintf(fields, sizeof fields, "If-None-Match: \"x\", %s\r\n", etag);
    get(fields, "digits.txt");
    assert_answer(same);
    assert_int_equal(dones, 2);
    assert_int_equal(p.ends, 0);
}

static void a_change_gives_another_etag(void **state) {
    (void)state;
    get("If-Modified-Since: " CHANGED "\r\n", "digits.txt");
    assert_true(p.got.n > 0);
    assert_answer("HTTP/1.1 304 Not Modified\r\n" VALIDATORS "\r\n");
    struct timespec times[2] = {{CHANGED_S, 1}, {CHANGED_S, 1}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("digits.txt"), times, 0), 0);
    char fields[160];
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
    get(fields, "digits.txt");
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 200 ")));
}

static void lines_about_the_file_come_with_it_alone(void **state) {
    (void)state;
    own_fields = FIELD_LIST(&arena, "X-File", "1");
    get("", "digits.txt");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "X-File: 1\r\n\r\n" DIGITS);
    get("Range: bytes=0-0\r\n", "digits.txt");
    assert_answer("HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 1\r\n" VALIDATORS
                  "Content-Range: bytes 0-0/10\r\nX-File: 1\r\n\r\n0");
    get("If-None-Match: *\r\n", "digits.txt");
    assert_answer("HTTP/1.1 304 Not Modified\r\n" VALIDATORS "X-File: 1\r\n\r\n");
    get("Range: bytes=10-\r\n", "digits.txt");
    assert_answer("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n" VALIDATORS
                  "Content-Range: bytes */10\r\n\r\n");
    get("If-Match: \"other\"\r\n", "digits.txt");
    assert_answer("HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n" VALIDATORS "\r\n");
}

static void a_file_from_the_future_is_of_now(void **state) {
    (void)state;
    struct timespec times[2] = {{4102444800, 0}, {4102444800, 0}}; // 2100
    assert_int_equal(utimensat(AT_FDCWD, path_of("digits.txt"), times, 0), 0);
    char before[MG_DATE_BYTES + 1];
    char after[MG_DATE_BYTES + 1];
    mg_date_write(before, (int64_t)(mg_loop_wall_ms(r.loop) / 1000));
    get("", "digits.txt");
    mg_date_write(after, (int64_t)(mg_loop_wall_ms(r.loop) / 1000));
    const char *line = memmem(p.got.p, p.got.n, "Last-Modified: ", 15);
    assert_non_null(line);
    assert_true(memcmp(line + 15, before, MG_DATE_BYTES) == 0 ||
                memcmp(line + 15, after, MG_DATE_BYTES) == 0);
}

static void a_condition_that_fails_is_412(void **state) {
    (void)state;
    get("If-Match: \"other\"\r\n", "digits.txt");
    assert_answer("HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n" VALIDATORS "\r\n");
}

static void another_status_than_200_knows_no_conditions_and_ranges(void **state) {
    (void)state;
    mg_answer a = {.status = 404};
    start_with("GET", "If-None-Match: *\r\nRange: bytes=0-1\r\n", "digits.txt", &a);
    settle();
    assert_answer("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 10\r\n" VALIDATORS "\r\n" DIGITS);
}

// --- faults ---

static void a_file_that_cannot_be_opened_leaves_the_exchange_to_the_app(void **state) {
    (void)state;
    mg_exchange *x = start_with("GET", "", "nothing", &rig_ok);
    settle();
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, -ENOENT);
    mg_exchange_respond(x, &rig_ok, MG_STR("else"));
    x = start_with("GET", "", "", &rig_ok);
    settle();
    assert_int_equal(done_status, -EISDIR);
    mg_exchange_respond(x, &rig_ok, MG_STR("!"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nelse"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!");
}

static void a_path_beneath_a_folder_cannot_leave_it(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int status;
    } cases[] = {{"../digits.txt", -EXDEV}, {"digits.txt", 0}};
    for (int i = 0; i < 2; i++) {
        peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        mg_exchange *x = rig_take(&r);
        mg_file_answer_options o = {
            .path = cases[i].path, .beneath = folder, .on_done = on_done, .arg = &dones};
        mg_file_answer_start(x, &rig_ok, &o);
        settle();
        assert_int_equal(dones, i + 1);
        assert_int_equal(done_status, cases[i].status);
        if (done_status != 0) {
            mg_exchange_respond(x, &rig_ok, MG_STR(""));
        }
    }
    assert_log(&r, "GET /a 200 0\nGET /a 200 10\n");
}

static void giving_up_tells_nobody(void **state) {
    (void)state;
    mg_exchange *x = start_with("GET", "", "digits.txt", &rig_ok);
    mg_file_answer_stop(file);
    assert_ptr_equal(x->app, &r.app);
    mg_exchange_respond(x, &rig_ok, MG_STR("instead"));
    settle();
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ninstead");
    assert_int_equal(dones, 0);
}

static void a_client_that_leaves_while_the_file_opens_ends_it(void **state) {
    (void)state;
    start_with("GET", "", "digits.txt", &rig_ok);
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    settle();
    assert_int_equal(dones, 0);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
}

// --- large files and slow peers ---

static char *make_large(void) {
    char *text = mg_malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        text[i] = (char)(i % 251);
    }
    make_file("large.bin", text, LARGE);
    return text;
}

static void a_file_is_read_no_faster_than_the_peer_takes_it(void **state) {
    (void)state;
    char *text = make_large();
    mg_stream_read_stop(&p.s);
    get("", "large.bin");
    assert_int_equal(dones, 0);
    assert_in_range(c->stream.queued, 1, 512 * 1024);
    mg_stream_read_start(&p.s);
    settle();
    assert_int_equal(dones, 1);
    assert_int_equal(r.writables, 0); // the file's business, not the app's
    assert_true(p.got.n > LARGE);
    assert_memory_equal(p.got.p + p.got.n - LARGE, text, LARGE);
    mg_free(text);
}

static void a_file_that_shrinks_breaks_the_answer_off(void **state) {
    (void)state;
    mg_free(make_large());
    mg_stream_read_stop(&p.s);
    get("", "large.bin");
    assert_int_equal(truncate(path_of("large.bin"), LARGE / 2), 0);
    mg_stream_read_start(&p.s);
    settle();
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, -EIO);
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.gone, 0);
    assert_non_null(memmem(r.log.p, r.log.n, " aborted\n", 9));
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_client_that_leaves_midway_ends_it(void **state) {
    (void)state;
    mg_free(make_large());
    mg_stream_read_stop(&p.s);
    get("", "large.bin");
    mg_stream_close(&p.s, true);
    settle();
    assert_int_equal(dones, 0);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_range_of_a_large_file_is_exact(void **state) {
    (void)state;
    char *text = make_large();
    get("Range: bytes=1000000-1299999\r\n", "large.bin");
    assert_int_equal(dones, 1);
    assert_true(p.got.n > 300000);
    assert_memory_equal(p.got.p + p.got.n - 300000, text + 1000000, 300000);
    mg_free(text);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_comes_with_its_type_and_validators),
        TEST(the_apps_type_and_fields_are_kept),
        TEST(an_empty_file_is_an_empty_answer),
        TEST(head_has_the_length_of_the_whole_file),
        TEST(the_next_request_is_served_behind_the_file),
        TEST(a_range_is_a_part),
        TEST(several_ranges_are_parts_with_heads),
        TEST(a_range_beyond_the_end_is_refused_with_the_size),
        TEST(a_part_of_another_version_is_not_continued),
        TEST(what_the_client_has_is_not_sent_again),
        TEST(a_change_gives_another_etag),
        TEST(lines_about_the_file_come_with_it_alone),
        TEST(a_file_from_the_future_is_of_now),
        TEST(a_condition_that_fails_is_412),
        TEST(another_status_than_200_knows_no_conditions_and_ranges),
        TEST(a_file_that_cannot_be_opened_leaves_the_exchange_to_the_app),
        TEST(a_path_beneath_a_folder_cannot_leave_it),
        TEST(giving_up_tells_nobody),
        TEST(a_client_that_leaves_while_the_file_opens_ends_it),
        TEST(a_file_is_read_no_faster_than_the_peer_takes_it),
        TEST(a_file_that_shrinks_breaks_the_answer_off),
        TEST(a_client_that_leaves_midway_ends_it),
        TEST(a_range_of_a_large_file_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
