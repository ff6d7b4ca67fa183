#include "gate/status.h"

#include "unit.h"

#include "base/version.h"

#include <unistd.h>

static mg_cell cell;
static mg_buf out;

static int set_up(void **state) {
    (void)state;
    memset(&cell, 0, sizeof cell);
    out = (mg_buf){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&out);
    return 0;
}

static mg_status status(const mg_status_worker *workers, size_t n) {
    static const char *const addresses[] = {"127.0.0.1:8080", "unix:/run/\"x\".sock"};
    return (mg_status){.conf = "conf/moongate.lua",
                       .pid = 7,
                       .generation = 3,
                       .now_ms = 61000,
                       .uptime_ms = 60049,
                       .addresses = addresses,
                       .address_count = 2,
                       .workers = workers,
                       .worker_count = n};
}

static mg_str told(const mg_status *s) {
    mg_status_append(s, &out);
    return mg_buf_str(&out);
}

// Of the text behind the first worker's bracket.
static const char *told_of_worker(const mg_status_worker *w) {
    mg_status s = status(w, 1);
    told(&s);
    mg_buf_append_char(&out, '\0');
    const char *text = strstr(out.p, "\"workers\":[");
    assert_non_null(text);
    return text + strlen("\"workers\":[");
}

static void a_server_without_workers_is_told(void **state) {
    (void)state;
    mg_status s = status(NULL, 0);
    s.stopping = true;
    assert_text("{\"ok\":true,\"version\":\"" MG_VERSION
                "\",\"conf\":\"conf/moongate.lua\",\"pid\":7,\"uptime\":60.0,\"generation\":3,"
                "\"stopping\":true,\"listen\":[\"127.0.0.1:8080\",\"unix:/run/\\\"x\\\".sock\"],"
                "\"workers\":[]}\n",
                told(&s));
}

static void the_certificate_that_expires_first_is_told(void **state) {
    (void)state;
    mg_status s = status(NULL, 0);
    s.served_count = 2;
    s.wall_s = 1000000;
    s.first_expiry_s = 1000000 + 86400 * 14 - 1;
    s.first_expiry_file = MG_STR("conf/tls/a.pem");
    told(&s);
    mg_buf_append_char(&out, '\0');
    assert_non_null(strstr(out.p, ",\"served_certificates\":2,\"first_expiry_days\":13,"
                                  "\"first_expiry_file\":\"conf/tls/a.pem\",\"workers\""));
}

static void a_worker_is_told_with_what_its_cell_says(void **state) {
    (void)state;
    mg_status_worker w = {
        .number = 2, .state = "serving", .uptime_ms = 1500, .restarts = 4, .cell = &cell};
    cell.pid = (uint32_t)getpid();
    cell.generation = 3;
    cell.traffic = (mg_traffic){1, 2, 3, 4, 5, 6};
    cell.lua_bytes = 6;
    cell.topics = (mg_cell_topics){1, 2, 3, 4, 5, 6};
    cell.generations[0] = (mg_cell_generation){3, 1, 0, 2};
    cell.generations[1] = (mg_cell_generation){1, 0, 1, 0};
    char want[300];
    const char *text = told_of_worker(&w);
    snprintf(want, sizeof want,
             "{\"worker\":2,\"pid\":%d,\"state\":\"serving\",\"uptime\":1.5,\"generation\":3,"
             "\"connections\":1,\"requests\":3,\"accepted\":2,\"bytes_in\":4,\"bytes_out\":5,"
             "\"failed_handshakes\":6,\"memory\":",
             getpid());
    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    assert_int_not_equal(text[strlen(want)], '0'); // read from /proc
    assert_non_null(strstr(
        text, "\"lua_memory\":6,\"restarts\":4,\"event_streams\":1,\"topics\":2,\"published\":3,"
              "\"delivered\":4,\"lost_messages\":5,\"slow_streams\":6,\"generations\":["
              "{\"generation\":3,\"requests\":1,\"streams\":0,\"background\":2},"
              "{\"generation\":1,\"requests\":0,\"streams\":1,\"background\":0}],\"jobs\":[],"
              "\"redis\":[],\"sockets\":[]}]}"));
}

static void one_whose_process_is_gone_has_neither_age_nor_memory(void **state) {
    (void)state;
    mg_status_worker w = {.number = 1, .state = "serving", .uptime_ms = 1500, .cell = &cell};
    const char *text = told_of_worker(&w);
    assert_non_null(strstr(text, "\"uptime\":0.0,"));
    assert_non_null(strstr(text, "\"memory\":0,"));
}

static void jobs_are_told_however_a_worker_scribbles(void **state) {
    (void)state;
    mg_status_worker w = {.number = 1, .state = "serving", .cell = &cell};
    strcpy(cell.jobs[0].name, "sweep");
    cell.jobs[0].since_ms = 58500;
    memset(cell.jobs[1].name, 'x', sizeof cell.jobs[1].name); // without its end
    cell.jobs[1].since_ms = 99000;                            // in the future
    const char *text = told_of_worker(&w);
    assert_non_null(strstr(text, "\"jobs\":[{\"job\":\"sweep\",\"seconds\":2.5},{\"job\":\"xxx"));
    assert_non_null(strstr(text, "xxx\",\"seconds\":0.0}],"));
}

static void redis_is_told_however_a_worker_scribbles(void **state) {
    (void)state;
    mg_status_worker w = {.number = 1, .state = "serving", .cell = &cell};
    strcpy(cell.redis[0].name, "default");
    strcpy(cell.redis[0].state, "ready");
    cell.redis[0].waiting = 3;
    memset(&cell.redis[1], 'x', sizeof cell.redis[1]);
    assert_non_null(strstr(told_of_worker(&w),
                           "\"redis\":[{\"redis\":\"default\",\"state\":\"ready\","
                           "\"waiting\":3},{\"redis\":\"xxx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_without_workers_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_is_told_with_what_its_cell_says, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_certificate_that_expires_first_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_whose_process_is_gone_has_neither_age_nor_memory,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(redis_is_told_however_a_worker_scribbles, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(jobs_are_told_however_a_worker_scribbles, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
