#include "config/config.h"

#include "of_text.h"

#include "lua/read_config.h"

#include <stdlib.h>
#include <unistd.h>

static void assert_same(const mg_config *a, const mg_config *b) {
    assert_memory_equal(&a->limits, &b->limits, sizeof a->limits);
    assert_memory_equal(&a->timeouts, &b->timeouts, sizeof a->timeouts);
    assert_int_equal(a->workers, b->workers);
    assert_string_equal(a->app, b->app);
    assert_int_equal(a->listen.n, b->listen.n);
    assert_string_equal(a->listen.items[0].address, b->listen.items[0].address);
    assert_int_equal(a->log.level, b->log.level);
    assert_string_equal(a->log.file, b->log.file);
    assert_string_equal(a->log.access, b->log.access);
}

static void printed_defaults_are_a_file_that_says_the_defaults(void **state) {
    (void)state;
    char path[] = "/tmp/moongate-defaults-XXXXXX";
    int fd = mkstemp(path);
    mg_buf text = {0};
    mg_config_print_defaults(&text);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);

    mg_buf json = {0};
    mg_error err = {.text = ""};
    if (mg_read_config(path, &json, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    unlink(path);
    mg_buf_append_char(&json, '\0');
    mg_config from_file;
    mg_config plain;
    load(&from_file, json.p);
    load(&plain, "{}");
    assert_same(&from_file, &plain);
    mg_config_deinit(&from_file);
    mg_config_deinit(&plain);
    mg_buf_deinit(&json);

    for (char *line = text.p; line < text.p + text.n;) {
        char *end = memchr(line, '\n', (size_t)(text.p + text.n - line));
        assert_non_null(end);
        if (end - line > 100) {
            fail_msg("too long: %.*s", (int)(end - line), line);
        }
        line = end + 1;
    }
    mg_buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_defaults_are_a_file_that_says_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
