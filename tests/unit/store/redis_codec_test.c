#include "store/redis_codec.h"

#include "base/buf.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 1000, VALUES = 100 };

static mg_buf shown;

static uint32_t show(const mg_redis_reply *r, uint32_t at);

static uint32_t show_many(const mg_redis_reply *r, uint32_t at, const char *around) {
    uint32_t n = r->values[at++].n;
    mg_buf_append_char(&shown, around[0]);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            mg_buf_append_char(&shown, ' ');
        }
        at = show(r, at);
    }
    mg_buf_append_char(&shown, around[1]);
    return at;
}

static uint32_t show(const mg_redis_reply *r, uint32_t at) {
    static const char *const around[] = {"[]", "{}", "()", "<>"};
    const mg_redis_value *v = &r->values[at];
    if (v->type >= MG_REDIS_ARRAY) {
        return show_many(r, at, around[v->type - MG_REDIS_ARRAY]);
    }
    if (mg_redis_is_text(v)) {
        mg_str text = mg_redis_text(r, v);
        mg_buf_append_char(&shown, v->type == MG_REDIS_STRING  ? '\''
                                   : v->type == MG_REDIS_ERROR ? '!'
                                                               : 'n');
        mg_buf_append_str(&shown, text);
    } else if (v->type == MG_REDIS_INTEGER) {
        mg_buf_printf(&shown, "%lld", (long long)v->integer);
    } else if (v->type == MG_REDIS_DOUBLE) {
        mg_buf_printf(&shown, "%g", v->number);
    } else {
        mg_buf_append_str(&shown, v->type == MG_REDIS_NULL ? MG_STR("null")
                                  : v->integer             ? MG_STR("true")
                                                           : MG_STR("false"));
    }
    return at + 1;
}

// All replies of `text`, given in pieces of `piece` bytes.
static mg_str read_in_pieces(mg_str text, size_t piece) {
    mg_redis_reader reader = {.limits = {BYTES, VALUES}};
    const char *fault = NULL;
    shown.n = 0;
    while (text.n > 0 && fault == NULL) {
        size_t n = piece < text.n ? piece : text.n;
        mg_str in = {text.p, n};
        mg_redis_reply reply;
        mg_str_skip(&text, n);
        while (mg_redis_read(&reader, &in, &reply, &fault)) {
            if (shown.n > 0) {
                mg_buf_append_char(&shown, ' ');
            }
            if (reply.count == 0) {
                mg_buf_append_str(&shown, MG_STR("lost"));
            } else {
                assert_int_equal(show(&reply, 0), reply.count);
                assert_int_equal(mg_redis_behind(&reply, 0), reply.count);
            }
        }
    }
    if (fault != NULL) {
        mg_buf_printf(&shown, "%sfault: %s", shown.n > 0 ? " " : "", fault);
    }
    mg_redis_reader_deinit(&reader);
    return mg_buf_str(&shown);
}

static void reads_bytes(mg_str text, const char *want) {
    for (size_t piece = text.n; piece > 0; piece = piece > 7 ? piece / 2 : piece - 1) {
        assert_text(want, read_in_pieces(text, piece));
    }
}

static void reads(const char *text, const char *want) {
    reads_bytes(mg_str_of(text), want);
}

static void every_type_of_resp2(void **state) {
    (void)state;
    reads("+OK\r\n", "'OK");
    reads("+\r\n", "'");
    reads("-ERR no such thing\r\n", "!ERR no such thing");
    reads(":0\r\n:-9223372036854775808\r\n:9223372036854775807\r\n:+5\r\n",
          "0 -9223372036854775808 9223372036854775807 5");
    reads("$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n", "'a\r\n ' null");
    reads("*0\r\n*-1\r\n*2\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n", "[] null [1 ['a null]]");
}

static void every_type_of_resp3(void **state) {
    (void)state;
    reads("_\r\n#t\r\n#f\r\n", "null true false");
    reads(",1.5\r\n,10\r\n,-1e3\r\n,inf\r\n,-inf\r\n", "1.5 10 -1000 inf -inf");
    reads(",nan\r\n,-nan\r\n", "nan nan");
    reads("(3492890328409238509324850943850943825024385\r\n(-1\r\n",
          "n3492890328409238509324850943850943825024385 n-1");
    reads("!8\r\nERR a\r\nb\r\n=7\r\ntxt:a\r\n\r\n=4\r\nmkd:\r\n", "!ERR a\r\nb 'a\r\n '");
    reads("%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:1\r\n:2\r\n", "{'a 1 'b (1 2)}");
    reads("%0\r\n~0\r\n>0\r\n", "{} () <>");
    reads(">2\r\n+message\r\n*1\r\n+x\r\n+OK\r\n", "<'message ['x]> 'OK");
}

static void attributes_are_left_out(void **state) {
    (void)state;
    reads("|1\r\n+ttl\r\n:3600\r\n+OK\r\n", "'OK");
    reads("|0\r\n+OK\r\n", "'OK");
    reads("*2\r\n|1\r\n+a\r\n*1\r\n+deep\r\n:1\r\n$1\r\nx\r\n", "[1 'x]");
    reads("|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n+d\r\n:7\r\n", "7");
    reads("|?\r\n+a\r\n+b\r\n.\r\n:8\r\n", "8");
}

static void what_is_streamed_comes_whole(void **state) {
    (void)state;
    reads("$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;1\r\nd\r\n;0\r\n", "'Hello word");
    reads("$?\r\n;0\r\n:1\r\n", "' 1");
    reads("*?\r\n:1\r\n*?\r\n.\r\n~?\r\n:2\r\n.\r\n.\r\n", "[1 [] (2)]");
    reads("%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n", "{'a 1 'b 2}");
    reads("*1\r\n*?\r\n$?\r\n;1\r\nx\r\n;0\r\n.\r\n:9\r\n", "[['x]] 9");
}

static void what_is_no_resp_is_refused(void **state) {
    (void)state;
    reads("HTTP/1.1 400 Bad Request\r\n", "fault: it begins with no type of RESP");
    reads("\r\n", "fault: it begins with no type of RESP");
    reads("+OK\n", "fault: a line that does not end with CR LF");
    reads("+O\rK\r\n", "fault: a line that does not end with CR LF");
    reads(":1x\r\n", "fault: a number that is none");
    reads(":9223372036854775808\r\n", "fault: a number that is none");
    reads(":\r\n", "fault: a number that is none");
    reads(",1,5\r\n", "fault: a number that is none");
    reads(",\r\n", "fault: a number that is none");
    reads("(12a\r\n", "fault: a number that is none");
    reads("(\r\n", "fault: a number that is none");
    reads("#x\r\n", "fault: neither true nor false");
    reads("$-2\r\n", "fault: a length that is none");
    reads("$99999999999\r\n", "fault: a length that is none");
    reads("*-2\r\n", "fault: a length that is none");
    reads("%-1\r\n", "fault: a length that is none");
    reads("!-1\r\n", "fault: a length that is none");
    reads("=3\r\ntxt\r\n", "fault: a verbatim string without its kind");
    reads("$1\r\nab\r\n", "fault: a text that is longer than was said");
    reads("$1\r\na\n\n", "fault: a text that is longer than was said");
    reads("_x\r\n", "fault: a line with more than its type");
    reads(".\r\n", "fault: an end of what never began");
    reads("*1\r\n.\r\n", "fault: an end of what never began");
    reads("%?\r\n+a\r\n.\r\n", "fault: a key without its value");
    reads("$?\r\n+a\r\n", "fault: a chunk's length that is none");
    reads("*1\r\n>1\r\n:1\r\n", "fault: a push inside of a reply");
    reads(":1\r\n?", "1");
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    mg_buf text = {0};
    for (int i = 0; i < MG_REDIS_DEPTH; i++) {
        mg_buf_append_str(&text, MG_STR("*1\r\n"));
    }
    size_t deepest = text.n;
    mg_buf_append_str(&text, MG_STR(":1\r\n"));
    assert_int_equal(read_in_pieces(mg_buf_str(&text), 5).n, 2 * MG_REDIS_DEPTH + 1);
    text.n = deepest;
    mg_buf_append_str(&text, MG_STR("*1\r\n"));
    reads_bytes(mg_buf_str(&text), "fault: its values are nested too deeply");
    mg_buf_deinit(&text);
}

static void a_line_has_a_limit(void **state) {
    (void)state;
    mg_buf text = {0};
    mg_buf_append_char(&text, '-');
    memset(mg_buf_reserve(&text, MG_REDIS_LINE_MAX), 'x', MG_REDIS_LINE_MAX);
    text.n += MG_REDIS_LINE_MAX;
    assert_text("fault: a line is too long", read_in_pieces(mg_buf_str(&text), text.n));
    assert_text("fault: a line is too long", read_in_pieces(mg_buf_str(&text), 1000));
    mg_buf_deinit(&text);
}

static void what_is_too_large_is_lost_and_the_next_is_found(void **state) {
    (void)state;
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("*2\r\n$1001\r\n"));
    memset(mg_buf_reserve(&text, BYTES + 1), 'x', BYTES + 1);
    text.n += BYTES + 1;
    mg_buf_append_str(&text, MG_STR("\r\n*1\r\n:1\r\n:2\r\n"));
    reads_bytes(mg_buf_str(&text), "lost 2");
    text.n = 0;
    mg_buf_append_str(&text, MG_STR("*101\r\n"));
    for (int i = 0; i < VALUES + 1; i++) {
        mg_buf_append_str(&text, MG_STR(":1\r\n"));
    }
    mg_buf_append_str(&text, MG_STR(":2\r\n"));
    reads_bytes(mg_buf_str(&text), "lost 2");
    mg_buf_deinit(&text);
    // What is only announced takes no memory.
    reads("*4294967295\r\n:1\r\n", "");
    reads("%4294967295\r\n$4294967295\r\n", "");
    // An attribute beyond the limits loses what it belongs to, whole or in pieces.
    reads("|1\r\n*101\r\n", "");
}

static void a_reader_begins_anew(void **state) {
    (void)state;
    mg_redis_reader reader = {.limits = {BYTES, VALUES}};
    mg_redis_reply reply;
    const char *fault;
    mg_str in = MG_STR("*2\r\n$5\r\nab");
    assert_false(mg_redis_read(&reader, &in, &reply, &fault));
    mg_redis_reader_reset(&reader);
    in = MG_STR("$?\r\n;1");
    assert_false(mg_redis_read(&reader, &in, &reply, &fault));
    mg_redis_reader_reset(&reader);
    in = MG_STR("-LOADING wait\r\n");
    assert_true(mg_redis_read(&reader, &in, &reply, &fault));
    assert_true(mg_redis_is_error(&reply, MG_STR("LOADING")));
    assert_false(mg_redis_is_error(&reply, MG_STR("LOAD")));
    in = MG_STR("+LOADING\r\n");
    assert_true(mg_redis_read(&reader, &in, &reply, &fault));
    assert_false(mg_redis_is_error(&reply, MG_STR("LOADING")));
    mg_redis_reader_deinit(&reader);
}

static void a_reply_may_be_kept(void **state) {
    (void)state;
    mg_redis_reader reader = {.limits = {BYTES, VALUES}};
    mg_redis_reply reply;
    mg_redis_kept kept;
    const char *fault;
    mg_str in = MG_STR("*2\r\n$1\r\na\r\n:1\r\n+next\r\n");
    assert_true(mg_redis_read(&reader, &in, &reply, &fault));
    mg_redis_keep(&reply, &kept);
    assert_true(mg_redis_read(&reader, &in, &reply, &fault));
    mg_redis_reader_deinit(&reader);
    mg_redis_kept again;
    mg_redis_keep(&kept.reply, &again);
    for (int i = 0; i < 2; i++) {
        mg_redis_kept *k = i == 0 ? &kept : &again;
        shown.n = 0;
        show(&k->reply, 0);
        assert_text("['a 1]", mg_buf_str(&shown));
        mg_redis_kept_deinit(k);
    }
}

static void commands_are_lists_of_words(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_redis_write(&out, (const mg_str[]){MG_STR("SET"), MG_STR("a\r\n"), {NULL, 0}}, 3);
    assert_text("*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static int free_shown(void **state) {
    (void)state;
    mg_buf_deinit(&shown);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_of_resp2),
        cmocka_unit_test(every_type_of_resp3),
        cmocka_unit_test(attributes_are_left_out),
        cmocka_unit_test(what_is_streamed_comes_whole),
        cmocka_unit_test(what_is_no_resp_is_refused),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(what_is_too_large_is_lost_and_the_next_is_found),
        cmocka_unit_test(a_reader_begins_anew),
        cmocka_unit_test(a_reply_may_be_kept),
        cmocka_unit_test(commands_are_lists_of_words),
    };
    return cmocka_run_group_tests_name("store/redis_codec", tests, NULL, free_shown);
}
