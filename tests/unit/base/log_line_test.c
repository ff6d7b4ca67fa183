#include "base/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { NOON_MS = 43200123 };

static void check_text(mg_str message, const mg_log_field *fields, size_t n, const char *expected) {
    mg_buf out = {0};
    mg_log_append_text(&out, &(mg_log_event){MG_LOG_INFO, NOON_MS, message, fields, n});
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
    mg_buf_deinit(&out);
}

static void check_json(mg_str message, const mg_log_field *fields, size_t n, const char *expected) {
    mg_buf out = {0};
    mg_log_append_json(&out, &(mg_log_event){MG_LOG_ERROR, NOON_MS, message, fields, n});
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
    mg_buf_deinit(&out);
}

static void text_has_time_level_message_and_fields(void **state) {
    (void)state;
    mg_log_field fields[] = {
        {MG_STR("route"), MG_STR("/users/:id"), false}, {MG_STR("why"), MG_STR("two words"), false},
        {MG_STR("empty"), MG_STR(""), false},           {MG_STR("sum"), MG_STR("a=b"), false},
        {MG_STR("count"), MG_STR("-12.5"), true},
    };
    check_text(MG_STR("it is \"fine\""), fields, 5,
               "1970-01-01T12:00:00.123Z info  it is \"fine\" route=/users/:id why=\"two words\" "
               "empty=\"\" sum=\"a=b\" count=-12.5\n");
}

static void check_people(mg_str message, bool colour, const char *expected) {
    mg_log_field fields[] = {{MG_STR("id"), MG_STR("7"), false}};
    mg_buf out = {0};
    setenv("TZ", "UTC", 1);
    tzset();
    mg_log_append_people(&out, &(mg_log_event){MG_LOG_ERROR, NOON_MS, message, fields, 1}, colour);
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
    mg_buf_deinit(&out);
}

static void people_read_a_message_of_several_lines(void **state) {
    (void)state;
    check_people(MG_STR("one"), false, "12:00:00.123 error one id=7\n");
    check_people(MG_STR("one\n\ttwo\n\n three\n"), false,
                 "12:00:00.123 error one id=7\n      two\n    \n     three\n    \n");
    check_people(MG_STR("\n"), false, "12:00:00.123 error  id=7\n    \n");
    check_people(MG_STR("\x1b[2J\r\n\x07"), false,
                 "12:00:00.123 error \\x1b[2J\\r id=7\n    \\x07\n");
    check_people(MG_STR("one"), true, "\x1b[2m12:00:00.123\x1b[0m\x1b[31m error \x1b[0mone id=7\n");
}

static void text_is_one_line_whatever_comes(void **state) {
    (void)state;
    mg_log_field fields[] = {
        {MG_STR("a b\n=\""), MG_STR("x\"y\\z"), false},
        {MG_STR("bytes"), MG_STR("\x01\x7f\xff\xc2\x9b\xc3\xa9"), false},
    };
    check_text(MG_STR("one\r\ntwo\x1b[31m \\"), fields, 2,
               "1970-01-01T12:00:00.123Z info  one\\r\\ntwo\\x1b[31m \\\\ a_b___=\"x\\\"y\\\\z\" "
               "bytes=\"\\x01\\x7f\\xff\\xc2\\x9b\xc3\xa9\"\n");
}

static void json_has_the_same(void **state) {
    (void)state;
    mg_log_field fields[] = {
        {MG_STR("why"), MG_STR("two \"words\""), false},
        {MG_STR("count"), MG_STR("12"), true},
    };
    check_json(MG_STR("m\n"), fields, 2,
               "{\"time\":\"1970-01-01T12:00:00.123Z\",\"level\":\"error\",\"message\":\"m\\n\","
               "\"why\":\"two \\\"words\\\"\",\"count\":12}\n");
}

static void json_fields_cannot_stand_for_the_level(void **state) {
    (void)state;
    mg_log_field fields[] = {{MG_STR("level"), MG_STR("debug"), false}};
    check_json(MG_STR(""), fields, 1,
               "{\"time\":\"1970-01-01T12:00:00.123Z\",\"level\":\"error\",\"message\":\"\","
               "\"level_\":\"debug\"}\n");
}

static void json_strings_are_valid_whatever_comes(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_log_append_json_string(&out, MG_STR("\x01\x7f\xff|\xc2\x9b|\xc3\xa9|\xe2\x82|\t"));
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, "\"\\u0001\\u007f\\ufffd|\\u009b|\xc3\xa9|\\ufffd|\\t\"");
    mg_buf_deinit(&out);
}

static void time_is_iso_8601_in_utc(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_log_append_time(&out, 1709210096789u); // a leap day
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, "2024-02-29T12:34:56.789Z");
    mg_buf_deinit(&out);
}

static void plain_text_ends_before_what_has_to_be_escaped(void **state) {
    (void)state;
    for (size_t at = 0; at < 20; at++) {
        for (int c = 0; c < 256; c++) {
            char text[] = "GET /users/42?a=b ~!";
            bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
            text[at] = (char)c;
            assert_int_equal(mg_log_plain_ascii((mg_str){text, 20}), plain ? 20 : at);
            assert_int_equal(mg_log_plain_ascii((mg_str){text, at}), at);
        }
    }
}

static void levels_have_names(void **state) {
    (void)state;
    for (int i = MG_LOG_DEBUG; i <= MG_LOG_ERROR; i++) {
        mg_log_level back;
        assert_true(mg_log_level_of(mg_str_of(mg_log_level_name((mg_log_level)i)), &back));
        assert_int_equal(back, i);
    }
    mg_log_level none;
    assert_false(mg_log_level_of(MG_STR("loud"), &none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_time_level_message_and_fields),
        cmocka_unit_test(people_read_a_message_of_several_lines),
        cmocka_unit_test(text_is_one_line_whatever_comes),
        cmocka_unit_test(json_has_the_same),
        cmocka_unit_test(json_fields_cannot_stand_for_the_level),
        cmocka_unit_test(json_strings_are_valid_whatever_comes),
        cmocka_unit_test(time_is_iso_8601_in_utc),
        cmocka_unit_test(plain_text_ends_before_what_has_to_be_escaped),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
