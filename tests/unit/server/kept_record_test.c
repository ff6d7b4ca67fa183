#include "server/kept_record.h"

#include "server/noted.h"

#include "peer.h"

enum { WINDOW = 4096 };

static rig r;
static peer p;
static mg_buf line;

static void on_access(void *arg, const mg_access_record *a) {
    (void)arg;
    mg_buf_printf(&line, "%.*s %.*s %.*s %d %d %s", (int)a->method.n, a->method.p, (int)a->target.n,
                  a->target.p, (int)a->host.n, a->host.p, a->status, (int)a->body_bytes_out,
                  a->aborted ? "aborted" : "whole");
    for (size_t i = 0; a->noted != NULL && i < a->noted->count; i++) {
        mg_str name = a->noted->at[i].name;
        mg_str value = a->noted->at[i].value;
        mg_buf_printf(&line, " %.*s=%.*s", (int)name.n, name.p, (int)value.n, value.p);
    }
    mg_buf_append_char(&line, ';');
}

static void tells_the_line_when_it_is_told_to(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    r.server->on_access = on_access;
    peer_open(&r, &p, WINDOW);
    peer_send(&r, &p, "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    assert_int_equal(mg_exchange_note_field(x, MG_STR("user"), MG_STR("7")), MG_OK);
    mg_kept_record *k = mg_exchange_keep_record(x, 101);
    assert_non_null(k);
    mg_exchange_respond(x, &(mg_answer){.status = 204}, (mg_str){NULL, 0});
    assert_text("", mg_buf_str(&line)); // not with the end of the exchange
    mg_kept_record_tell(k, 42, true);
    assert_text("GET /a?b h 101 42 aborted user=7;", mg_buf_str(&line));
    mg_buf_clear(&line);
    peer_send(&r, &p, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"); // the next one's is not kept
    mg_exchange_respond(rig_take(&r), &(mg_answer){.status = 204}, (mg_str){NULL, 0});
    assert_text("GET /b h 204 0 whole;", mg_buf_str(&line));
    mg_buf_deinit(&line);
    peer_close(&r, &p, false);
    rig_close(&r);
}

static void keeps_nothing_where_nobody_listens(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    r.server->on_access = NULL;
    peer_open(&r, &p, WINDOW);
    peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_exchange *x = rig_take(&r);
    assert_null(mg_exchange_keep_record(x, 101));
    mg_kept_record_tell(NULL, 0, false);
    mg_exchange_respond(x, &(mg_answer){.status = 204}, (mg_str){NULL, 0});
    peer_close(&r, &p, false);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_line_when_it_is_told_to),
        cmocka_unit_test(keeps_nothing_where_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
