// client/rig.h: a client and calls that count their events.
#pragma once

#include "raw_server.h"

#include "client/client.h"

static mg_client *client;

// --- calls ---

typedef struct caller {
    mg_call *call;
    int changes;
    bool close_in_change;
    struct caller *then; // started inside the first event
    mg_call_origin origin;
    mg_call_options options; // of the origin beside it
    char target[32];
} caller;

static inline void start_call(caller *c);

static inline void on_change(void *arg, mg_call *call) {
    caller *c = arg;
    assert_ptr_equal(c->call, call);
    c->changes++;
    if (c->close_in_change) {
        mg_call_close(call);
        c->call = NULL;
    }
    if (c->then != NULL) {
        start_call(c->then);
        c->then = NULL;
    }
}

static const mg_call_events call_events = {.on_change = on_change};

// "GET /path", to be altered before its start.
static inline void prepare(caller *c, const char *method, const char *path) {
    *c = (caller){0};
    snprintf(c->target, sizeof c->target, "%s", path);
    c->origin = (mg_call_origin){.port = port, .host = MG_STR("127.0.0.1")};
    c->options = (mg_call_options){
        .origin = &c->origin,
        .timeouts = {.connect_ms = 1000, .first_byte_ms = 5000, .total_ms = 9000, .idle_ms = 3000},
        .method = mg_str_of(method),
        .target = mg_str_of(c->target),
        .authority = MG_STR("a"),
        .idempotent = strcmp(method, "POST") != 0,
        .max_bytes = 64 * 1024 * 1024,
    };
}

static inline void start_call(caller *c) {
    int before = c->changes;
    assert_int_equal(mg_call_start(&c->call, client, &c->options, &call_events, c), MG_OK);
    assert_int_equal(c->changes, before); // never inside
}

static inline void get(caller *c, const char *path) {
    prepare(c, "GET", path);
    start_call(c);
}

static inline bool is_over(const caller *c) {
    return mg_call_state_of(c->call) >= MG_CALL_DONE;
}

static inline void expect_content(caller *c, int status, const char *content) {
    UNTIL(is_over(c));
    const mg_call_fault *fault = mg_call_fault_of(c->call);
    if (fault != NULL) {
        fail_msg("%s: %s", fault->code, fault->text);
    }
    assert_int_equal(mg_call_response(c->call)->status, status);
    assert_text(content, mg_call_content(c->call));
    UNTIL(c->changes > 0);
    mg_call_close(c->call);
    c->call = NULL;
}

static inline void expect_fault(caller *c, const char *code, bool unsent) {
    UNTIL(c->changes > 0 && is_over(c));
    const mg_call_fault *fault = mg_call_fault_of(c->call);
    assert_non_null(fault);
    assert_string_equal(code, fault->code);
    assert_int_equal(fault->unsent, unsent);
    assert_memory_equal(fault->text, "http", 4);
    mg_call_close(c->call);
    c->call = NULL;
}

static inline mg_client_stats stats(void) {
    mg_client_stats s;
    mg_client_read_stats(client, &s);
    return s;
}

// --- life ---

// What is 0 or NULL in `options` gets a value that suits.
static inline void new_client_of(const mg_client_options *options) {
    mg_client_options o = *options;
    o.connections = o.connections > 0 ? o.connections : 2;
    o.waiting = o.waiting > 0 ? o.waiting : 10;
    o.idle_connections = o.idle_connections > 0 ? o.idle_connections : 2;
    o.idle_ms = 10000;
    o.nameservers = "127.0.0.1:1";
    o.head = (mg_guard_limits){.first_line_bytes = 1000, .bytes = 4000, .lines = 20};
    mg_error err;
    mg_client_free(client);
    client = NULL;
    assert_int_equal(mg_client_new(&client, loop, &o, &err), MG_OK);
}

static inline void new_client(uint32_t connections, uint32_t waiting, uint32_t idle) {
    new_client_of(&(mg_client_options){
        .connections = connections, .waiting = waiting, .idle_connections = idle});
}

static inline int set_up(void **state) {
    (void)state;
    alarm(60);
    const mg_loop_options options = {.virtual_clock = true};
    assert_int_equal(mg_loop_new(&loop, &options), 0);
    listen_here();
    new_client(2, 10, 2);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    mg_client_free(client);
    client = NULL;
    hang_up_all();
    return mg_loop_free(loop);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
