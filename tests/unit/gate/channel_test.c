#include "gate/channel.h"

#include "unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/timer.h"

#include <fcntl.h>
#include <unistd.h>

static mg_loop *loop;
static int fds[2];
static mg_channel *a, *b;
static mg_buf said;
static int ends, taken_fd;
static bool close_in_message, take_fds;

static void on_message(void *arg, mg_message *m) {
    mg_channel **own = arg;
    mg_buf_printf(&said, "%d:%u:%u:%.*s%s ", (int)m->type, m->a, m->b, (int)m->text.n, m->text.p,
                  m->fd >= 0 ? "+fd" : "");
    if (take_fds && m->fd >= 0) {
        taken_fd = m->fd;
        m->fd = -1;
    }
    if (close_in_message) {
        mg_channel_close(*own);
        *own = NULL;
    }
}

static void on_end(void *arg) {
    mg_channel **own = arg;
    ends++;
    mg_channel_close(*own);
    *own = NULL;
}

static const mg_channel_events events = {on_message, on_end};

static int set_up(void **state) {
    (void)state;
    said = (mg_buf){0};
    ends = 0;
    taken_fd = -1;
    close_in_message = take_fds = false;
    assert_int_equal(mg_loop_new(&loop, NULL), MG_OK);
    assert_int_equal(mg_channel_pair(fds), MG_OK);
    assert_int_equal(mg_channel_open(&a, loop, fds[0], &events, &a), MG_OK);
    assert_int_equal(mg_channel_open(&b, loop, fds[1], &events, &b), MG_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_channel_close(a);
    mg_channel_close(b);
    mg_buf_deinit(&said);
    return mg_loop_free(loop);
}

static void turn(int n) {
    while (n-- > 0) {
        mg_loop_turn(loop, false, false, 0);
    }
}

static void messages_arrive_whole_and_in_order(void **state) {
    (void)state;
    mg_channel_tell(a, MG_MESSAGE_READY, 7, 8);
    mg_channel_send(a, &(mg_message){MG_MESSAGE_FAILED, 1, 2, -1, MG_STR("why")});
    turn(2);
    assert_text("12:7:8: 13:1:2:why ", mg_buf_str(&said));
}

static void a_descriptor_comes_along(void **state) {
    (void)state;
    int pipes[2];
    char byte = 0;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    take_fds = true;
    mg_channel_send(a, &(mg_message){MG_MESSAGE_SOCKET, 1, 2, pipes[1], MG_STR("x")});
    turn(2);
    assert_text("3:1:2:x+fd ", mg_buf_str(&said));
    assert_true(taken_fd >= 0);
    assert_int_equal(write(taken_fd, "y", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(taken_fd);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_descriptor_that_nobody_takes_is_closed(void **state) {
    (void)state;
    int pipes[2];
    char byte;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    mg_channel_send(a, &(mg_message){MG_MESSAGE_SOCKET, 1, 2, pipes[1], MG_STR("")});
    close(pipes[1]);
    turn(2);
    assert_int_equal(read(pipes[0], &byte, 1), 0); // the end: no copy is left
    close(pipes[0]);
}

static void what_the_other_end_does_not_take_waits(void **state) {
    (void)state;
    char text[MG_MESSAGE_TEXT];
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < 500; i++) {
        mg_channel_send(a, &(mg_message){MG_MESSAGE_FAILED, i, 0, -1, {text, sizeof text}});
    }
    mg_channel_tell(a, MG_MESSAGE_READY, 9, 9);
    for (int i = 0; i < 600 && said.n < 500 * sizeof text; i++) {
        turn(1);
    }
    turn(2);
    mg_str last = {said.p + said.n - 8, 8};
    assert_text("12:9:9: ", last);
}

static void the_death_of_one_end_is_told_once(void **state) {
    (void)state;
    mg_channel_tell(a, MG_MESSAGE_READY, 1, 1);
    mg_channel_close(a);
    a = NULL;
    turn(3);
    assert_text("12:1:1: ", mg_buf_str(&said)); // what was said before is heard
    assert_int_equal(ends, 1);
    assert_null(b);
    mg_channel_tell(NULL, MG_MESSAGE_READY, 1, 1);
}

static void it_may_be_closed_while_it_delivers(void **state) {
    (void)state;
    close_in_message = true;
    mg_channel_tell(a, MG_MESSAGE_READY, 1, 1);
    mg_channel_tell(a, MG_MESSAGE_READY, 2, 2);
    turn(3);
    assert_text("12:1:1: ", mg_buf_str(&said));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(messages_arrive_whole_and_in_order),       T(a_descriptor_comes_along),
        T(a_descriptor_that_nobody_takes_is_closed), T(what_the_other_end_does_not_take_waits),
        T(the_death_of_one_end_is_told_once),        T(it_may_be_closed_while_it_delivers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
