#include "base/log.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 60000 };

static char folder[64];
static char first_path[128];
static char second_path[128];
static char report_path[128];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(first_path, sizeof first_path, "%s/first", folder);
    snprintf(second_path, sizeof second_path, "%s/second", folder);
    snprintf(report_path, sizeof report_path, "%s/report", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(first_path);
    unlink(second_path);
    unlink(report_path);
    return rmdir(folder);
}

static mg_log *open_log(mg_log_options options) {
    mg_log *log = NULL;
    mg_error err;
    assert_int_equal(mg_log_open(&log, &options, &err), MG_OK);
    return log;
}

static void line(mg_log *log, const char *text) {
    mg_log_line(log, text, strlen(text));
}

static char *slurp(const char *path) {
    mg_buf b = {0};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n;
    while ((n = fread(mg_buf_reserve(&b, 4096), 1, 4096, f)) > 0) {
        b.n += n;
    }
    fclose(f);
    mg_buf_append_char(&b, '\0');
    return b.p;
}

static void assert_content(const char *path, const char *expected) {
    char *text = slurp(path);
    assert_string_equal(text, expected);
    mg_free(text);
}

static void assert_contains(const char *path, const char *part) {
    char *text = slurp(path);
    if (strstr(text, part) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", part, text);
    }
    mg_free(text);
}

static void writes_every_line_in_order(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path, .ring_bytes = 100000});
    mg_buf expected = {0};
    for (int i = 0; i < 5000; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "line %d\n", i);
        mg_log_line(log, text, (size_t)n);
        mg_buf_append(&expected, text, (size_t)n);
    }
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    mg_buf_append_char(&expected, '\0');
    assert_content(first_path, expected.p);
    mg_buf_deinit(&expected);
}

static void goes_around_the_end_of_the_ring(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path, .ring_bytes = 10});
    mg_buf expected = {0};
    for (int i = 0; i < 50; i++) {
        line(log, "abcd\n");
        line(log, "ef\n");
        assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
        mg_buf_append_str(&expected, MG_STR("abcd\nef\n"));
    }
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    mg_buf_append_char(&expected, '\0');
    assert_content(first_path, expected.p);
    mg_buf_deinit(&expected);
}

static void appends_to_what_is_there(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        mg_log *log = open_log((mg_log_options){.target = first_path});
        line(log, "again\n");
        assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    }
    assert_content(first_path, "again\nagain\n");
}

static void flush_returns_when_the_lines_are_out(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path});
    line(log, "one\n");
    assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
    assert_content(first_path, "one\n");
    assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
}

static void a_line_that_never_fits_is_counted(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path, .ring_bytes = 8});
    line(log, "longer than the ring\n");
    line(log, "short\n");
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_contains(first_path, "short\n");
    assert_contains(first_path, " lines=1 log=");
}

// A FIFO that is open at both ends and that nobody reads yet.
static int make_fifo(void) {
    assert_int_equal(mkfifo(first_path, 0600), 0);
    int fd = open(first_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

// Empties the pipe until the log is through.
static void read_until_flushed(int fd, mg_log *log, mg_buf *out) {
    int rc;
    do {
        ssize_t n = read(fd, mg_buf_reserve(out, 65536), 65536);
        out->n += n > 0 ? (size_t)n : 0;
        rc = mg_log_flush(log, 1);
    } while (rc == -ETIMEDOUT);
    ssize_t n = read(fd, mg_buf_reserve(out, 1 << 20), 1 << 20);
    out->n += n > 0 ? (size_t)n : 0;
    mg_buf_append_char(out, '\0');
}

static void what_a_slow_reader_loses_is_counted(void **state) {
    (void)state;
    enum { LINES = 20000 };
    int fifo = make_fifo();
    mg_log *report = open_log((mg_log_options){.target = report_path});
    mg_log *log =
        open_log((mg_log_options){.target = first_path, .ring_bytes = 1000, .report = report});
    for (int i = 0; i < LINES; i++) {
        line(log, "a line for a pipe that nobody reads\n");
    }
    mg_buf seen = {0};
    read_until_flushed(fifo, log, &seen);
    size_t arrived = count_lines(seen.p);
    assert_in_range(arrived, 1, LINES - 1);
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_int_equal(mg_log_close(report, LONG_MS), MG_OK);

    char *text = slurp(report_path);
    size_t lost = 0;
    for (char *at = strstr(text, "lines="); at != NULL; at = strstr(at + 1, "lines=")) {
        lost += strtoul(at + 6, NULL, 10);
    }
    assert_int_equal(arrived + lost, LINES);
    mg_free(text);
    mg_buf_deinit(&seen);
    close(fifo);
}

static void close_gives_up_on_a_destination_that_hangs(void **state) {
    (void)state;
    int fifo = make_fifo(); // stays open: the writer's thread hangs in it until the process ends
    mg_log *log = open_log((mg_log_options){.target = first_path});
    for (int i = 0; i < 4000; i++) {
        line(log, "more than a pipe holds, and nobody reads\n");
    }
    assert_int_equal(mg_log_close(log, 1), -ETIMEDOUT);
    assert_true(fifo >= 0);
}

static void refused_lines_are_counted(void **state) {
    (void)state;
    mg_log *report = open_log((mg_log_options){.target = report_path});
    mg_log *log = open_log((mg_log_options){.target = "/dev/full", .report = report});
    line(log, "one\n");
    assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
    line(log, "two\n");
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_int_equal(mg_log_close(report, LONG_MS), MG_OK);
    assert_contains(report_path, " warn  log lines were lost");
    assert_contains(report_path, " lines=2 log=/dev/full\n");
}

static void reopen_follows_a_moved_file_and_loses_nothing(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path});
    line(log, "before\n");
    assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
    assert_int_equal(rename(first_path, second_path), 0);
    line(log, "between\n");
    assert_int_equal(mg_log_flush(log, LONG_MS), MG_OK);
    mg_log_reopen(log);
    line(log, "after\n");
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_content(second_path, "before\nbetween\n");
    assert_content(first_path, "after\n");
}

static void reopen_keeps_the_old_file_when_it_must(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path});
    assert_int_equal(rename(first_path, second_path), 0);
    assert_int_equal(mkdir(first_path, 0700), 0);
    mg_log_reopen(log);
    line(log, "still here\n");
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_contains(second_path, "cannot be reopened");
    assert_contains(second_path, "still here\n");
    assert_int_equal(rmdir(first_path), 0);
}

static void a_path_that_cannot_be_opened_is_an_error(void **state) {
    (void)state;
    mg_log *log = NULL;
    mg_error err;
    mg_log_options options = {.target = "/nowhere/at/all.log"};
    assert_int_equal(mg_log_open(&log, &options, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all.log: cannot be opened"));
    assert_null(log);
}

static void *write_many(void *arg) {
    for (int i = 0; i < 1000; i++) {
        line(arg, "from a thread\n");
    }
    return NULL;
}

static void lines_of_several_threads_stay_whole(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path});
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, log), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    char *text = slurp(first_path);
    assert_int_equal(strlen(text), 4000 * strlen("from a thread\n"));
    for (char *at = text; *at != '\0'; at += strlen("from a thread\n")) {
        assert_memory_equal(at, "from a thread\n", strlen("from a thread\n"));
    }
    mg_free(text);
}

static void events_below_the_level_are_dropped(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path, .level = MG_LOG_WARN});
    assert_false(mg_log_wants(log, MG_LOG_INFO));
    assert_true(mg_log_wants(log, MG_LOG_ERROR));
    assert_false(mg_log_wants(NULL, MG_LOG_ERROR));
    mg_log_printf(log, MG_LOG_INFO, "quiet");
    mg_log_printf(NULL, MG_LOG_ERROR, "no log at all");
    mg_log_event_write(
        log, &(mg_log_event){.level = MG_LOG_WARN, .wall_ms = 1, .message = MG_STR("loud")});
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_content(first_path, "1970-01-01T00:00:00.001Z warn  loud\n");
}

static void printf_makes_json_if_asked(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path, .json = true});
    mg_log_printf(log, MG_LOG_ERROR, "%s %d", "number", 7);
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_contains(first_path, "\"level\":\"error\",\"message\":\"number 7\"}\n");
}

static void an_event_that_would_never_fit_is_cut(void **state) {
    (void)state;
    mg_log *log = open_log((mg_log_options){.target = first_path});
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("begins "));
    for (int i = 0; i < 2 << 20; i++) {
        mg_buf_append_char(&text, '\x01'); // four bytes each, once it is escaped
    }
    mg_buf_append_str(&text, MG_STR(" ends"));
    mg_log_event_write(log, &(mg_log_event){.level = MG_LOG_ERROR, .message = {text.p, text.n}});
    assert_int_equal(mg_log_close(log, LONG_MS), MG_OK);
    assert_contains(first_path, "error begins \\x01");
    assert_contains(first_path, " bytes are left out)");
    assert_contains(first_path, "\\x01 ends\n");
    mg_buf_deinit(&text);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        T(writes_every_line_in_order),
        T(goes_around_the_end_of_the_ring),
        T(appends_to_what_is_there),
        T(flush_returns_when_the_lines_are_out),
        T(a_line_that_never_fits_is_counted),
        T(what_a_slow_reader_loses_is_counted),
        T(close_gives_up_on_a_destination_that_hangs),
        T(refused_lines_are_counted),
        T(reopen_follows_a_moved_file_and_loses_nothing),
        T(reopen_keeps_the_old_file_when_it_must),
        T(a_path_that_cannot_be_opened_is_an_error),
        T(lines_of_several_threads_stay_whole),
        T(events_below_the_level_are_dropped),
        T(printf_makes_json_if_asked),
        T(an_event_that_would_never_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
