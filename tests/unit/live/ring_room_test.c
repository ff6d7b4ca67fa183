#include "live/ring_room.h"

#include "base/mem.h"
#include "live/ring.h"
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

static mg_ring_writer writer; // of the room that was made last

static mg_ring_room *room_new(void) {
    writer = (mg_ring_writer){0};
    mg_ring_room *r = aligned_alloc(4096, sizeof *r);
    memset(r, 0, sizeof *r);
    return r;
}

static void write_text(mg_ring_room *r, const char *topic, mg_str payload) {
    mg_publication m = {.payload = payload, .event = MG_STR("tick"), .id = MG_STR("7")};
    mg_ring_write(r, &writer, 42, mg_str_of(topic), &m);
}

static void messages_come_whole_and_in_order(void **state) {
    (void)state;
    mg_ring_room *r = room_new();
    mg_ring_reader reader;
    mg_buf copy = {0};
    uint64_t lost = 0;
    write_text(r, "early", MG_STR("x"));
    mg_ring_join(r, &reader);
    char text[3000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < 3000; i++) { // several times round
        mg_ring_head h;
        mg_str topic;
        mg_publication m;
        assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_NOTHING);
        write_text(r, "room:1", (mg_str){text, i});
        assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_MESSAGE);
        assert_true(h.hash == 42);
        assert_true(mg_ring_take(r, &reader, &h, i % 2 == 0 ? &copy : NULL, &topic, &m));
        if (i % 2 == 0) {
            assert_true(mg_str_eq(topic, MG_STR("room:1")));
            assert_true(mg_str_eq(m.event, MG_STR("tick")));
            assert_true(mg_str_eq(m.id, MG_STR("7")));
            assert_true(mg_str_eq(m.payload, (mg_str){text, i}));
        }
    }
    assert_int_equal(lost, 0);
    mg_buf_deinit(&copy);
    free(r);
}

static void who_was_overtaken_counts_what_it_lost(void **state) {
    (void)state;
    enum { WRITTEN = 1000 };
    mg_ring_room *r = room_new();
    mg_ring_reader reader;
    mg_ring_head h;
    uint64_t lost = 0;
    char *text = mg_calloc(1, 4096);
    mg_ring_join(r, &reader);
    for (int i = 0; i < WRITTEN; i++) { // some 4 MiB
        write_text(r, "room:1", (mg_str){text, 4096});
    }
    assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_OVERTAKEN);
    uint64_t read = 0;
    while (mg_ring_peek(r, &reader, &h, &lost) == MG_RING_MESSAGE) {
        assert_true(mg_ring_take(r, &reader, &h, NULL, NULL, NULL));
        read++;
    }
    assert_int_equal(read + lost, WRITTEN);
    assert_true(read > 200);
    mg_free(text);
    free(r);
}

static void what_cannot_be_is_skipped(void **state) {
    (void)state;
    mg_ring_room *r = room_new();
    mg_ring_reader reader;
    mg_ring_head h;
    uint64_t lost = 0;
    mg_ring_join(r, &reader);
    write_text(r, "room:1", MG_STR("x"));
    atomic_store(&r->words[0], UINT64_MAX); // it scribbled
    assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_OVERTAKEN);
    assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_NOTHING);
    assert_int_equal(lost, 1);
    atomic_store(&r->head, 12345678);
    mg_ring_settle(r, &writer);
    assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_OVERTAKEN);
    write_text(r, "room:1", MG_STR("good again"));
    assert_int_equal(mg_ring_peek(r, &reader, &h, &lost), MG_RING_MESSAGE);
    free(r);
}

// --- reading while it is written ---

static _Atomic bool done;

// All bytes of a message are the same, and say which one it is.
static void *write_on(void *arg) {
    char text[2048];
    for (int i = 0; i < 30000; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        write_text(arg, "room:1", (mg_str){text, 1024 + (size_t)i % 1024});
    }
    atomic_store(&done, true);
    return NULL;
}

static void read_and_check(mg_ring_room *r, mg_ring_reader *reader, mg_buf *copy, uint64_t *read,
                           uint64_t *lost) {
    mg_ring_head h;
    mg_str topic;
    mg_publication m;
    while (mg_ring_peek(r, reader, &h, lost) == MG_RING_MESSAGE &&
           mg_ring_take(r, reader, &h, copy, &topic, &m)) {
        assert_int_equal(m.payload.n, 1024 + h.sequence % 1024);
        for (size_t i = 0; i < m.payload.n; i++) {
            assert_int_equal(m.payload.p[i], 'a' + (int)(h.sequence % 26));
        }
        ++*read;
    }
}

static void what_is_read_while_it_is_written_is_whole(void **state) {
    (void)state;
    mg_ring_room *r = room_new();
    mg_ring_reader reader;
    mg_buf copy = {0};
    uint64_t lost = 0, read = 0;
    pthread_t thread;
    mg_ring_join(r, &reader);
    atomic_store(&done, false);
    assert_int_equal(pthread_create(&thread, NULL, write_on, r), 0);
    while (!atomic_load(&done)) {
        read_and_check(r, &reader, &copy, &read, &lost);
    }
    pthread_join(thread, NULL);
    read_and_check(r, &reader, &copy, &read, &lost);
    read_and_check(r, &reader, &copy, &read, &lost);
    assert_int_equal(read + lost, 30000);
    mg_buf_deinit(&copy);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_and_in_order),
        cmocka_unit_test(who_was_overtaken_counts_what_it_lost),
        cmocka_unit_test(what_cannot_be_is_skipped),
        cmocka_unit_test(what_is_read_while_it_is_written_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
