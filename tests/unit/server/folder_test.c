#include "server/folder.h"

#include "server/front.h"

#include "peer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 4096, LARGE = 1 << 20 };

static rig r; // its app stands for the scripts: it echoes what is passed on to it
static peer p;
static mg_front front;
static mg_router *router;
static char root[64];

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void make_file(const char *name, size_t n) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, name, strlen(name)), (ssize_t)strlen(name));
    assert_int_equal(n == 0 ? 0 : ftruncate(fd, (off_t)n), 0);
    close(fd);
}

static mg_answerer *folder_of(bool dotfiles) {
    return mg_folder_new(&(mg_folder_options){
        .folder = mg_str_of(root),
        .index = MG_STR("index"),
        .cache_control = dotfiles ? MG_STR("max-age=3") : MG_STR(""),
        .dotfiles = dotfiles,
    });
}

static void add(mg_routes *routes, const char *pattern, uint32_t id, mg_answerer *a) {
    uint32_t existing;
    mg_error err;
    assert_int_equal(mg_router_add(router, MG_METHOD_GET, mg_str_of(pattern), id, &existing, &err),
                     0);
    mg_routes_set(routes, id,
                  &(mg_route){mg_str_of(pattern), .deadline_ms = 500, .body_bytes = -1, a});
}

static int set_up(void **state) {
    (void)state;
    strcpy(root, "/tmp/folder_test.XXXXXX");
    assert_non_null(mkdtemp(root));
    make_file("a.txt", 0);
    make_file("index", 0);
    make_file(".dot", 0);
    make_file("large", LARGE);
    mkdir(path_of("sub"), 0700);
    mkdir(path_of(".well-known"), 0700);
    make_file(".well-known/x", 0);
    router = mg_router_new();
    mg_routes *routes = mg_routes_new(router, 3);
    add(routes, "/f/*path", 1, folder_of(false));
    add(routes, "/f/", 2, folder_of(false));
    add(routes, "/all/*path", 3, folder_of(true));
    rig_open(&r);
    mg_front_init(&front, &r.app);
    mg_front_set_routes(&front, routes);
    mg_server_set_app(r.server, MG_APP_MAIN, &front.app);
    peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"a.txt", "index", ".dot", "large", ".well-known/x"};
    peer_close(&r, &p, false);
    rig_close(&r);
    assert_int_equal(front.pins.count, 0);
    mg_front_deinit(&front);
    mg_router_free(router);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(path_of(names[i]));
    }
    rmdir(path_of("sub"));
    rmdir(path_of(".well-known"));
    return rmdir(root);
}

// Turns until nothing moves here or in the threads.
static void settle(void) {
    while (mg_loop_turn(r.loop, true, false, 0) == MG_LOOP_MOVED ||
           mg_loop_has_outside_work(r.loop)) {
    }
}

static void get(const char *target) {
    char text[256];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    mg_buf_clear(&p.got);
    peer_send(&r, &p, text);
    settle();
}

// The content of what came.
static void assert_content(const char *want) {
    const char *end = memmem(p.got.p, p.got.n, "\r\n\r\n", 4);
    assert_non_null(end);
    mg_str content = {end + 4, (size_t)(p.got.p + p.got.n - end - 4)};
    assert_text(want, content);
}

static bool has_line(const char *line) {
    return memmem(p.got.p, p.got.n, line, strlen(line)) != NULL;
}

static void files_are_served_by_their_path(void **state) {
    (void)state;
    get("/f/a.txt");
    assert_content("a.txt");
    assert_true(has_line("Content-Type: text/plain; charset=utf-8\r\n"));
    assert_false(has_line("Cache-Control"));
    get("/all/%61.txt");
    assert_content("a.txt");
    assert_true(has_line("Cache-Control: max-age=3\r\n"));
    assert_log(&r, "GET /f/a.txt 200 5\nGET /all/%61.txt 200 5\n");
}

static void a_path_that_ends_with_a_slash_is_its_index(void **state) {
    (void)state;
    get("/f/");
    assert_content("index");
    get("/f/.well-known/"); // it has none
    assert_content("/f/.well-known/");
}

static void what_is_not_served_is_passed_on(void **state) {
    (void)state;
    static const char *const targets[] = {
        "/f/none",        "/f/sub",      "/f/.dot",      "/f/sub/..%2F.dot",
        "/f/..%2Fa.txt",  "/f/%2Fa.txt", "/f//a.txt",    "/f/a.txt%00",
        "/f/sub%5Ca.txt", "/f/a.txt/",   "/f/sub%2F%2F", "/all/..%2Fa.txt",
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        get(targets[i]);
        assert_content(targets[i]);
    }
    assert_int_equal(mg_front_apart(&front), 0);
}

static void names_with_a_dot_are_served_where_that_is_wanted(void **state) {
    (void)state;
    get("/all/.dot");
    assert_content(".dot");
    get("/f/.well-known/x");
    assert_content(".well-known/x");
}

static void a_client_that_leaves_ends_it(void **state) {
    (void)state;
    mg_stream_read_stop(&p.s);
    get("/f/large");
    assert_int_equal(mg_front_apart(&front), 1);
    mg_stream_close(&p.s, true);
    settle();
    assert_int_equal(mg_front_apart(&front), 0);
    assert_int_equal(front.pins.count, 0);
    assert_int_equal(r.gone, 0);
}

static void a_client_that_leaves_before_the_file_is_open_ends_it(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /f/a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_stream_close(&p.s, true);
    settle();
    assert_int_equal(front.pins.count, 0);
}

static void an_eviction_breaks_it_off(void **state) {
    (void)state;
    mg_stream_read_stop(&p.s);
    get("/f/large");
    mg_front_evict(&front);
    mg_stream_read_start(&p.s);
    settle();
    assert_int_equal(p.ends, 1);
    assert_true(p.got.n < LARGE);
    assert_int_equal(front.pins.count, 0);
}

// An app before the folder, for which the deadline passes at once.
static void on_late_request(mg_app *app, mg_exchange *x) {
    (void)app;
    x->app = &mg_routes_get(front.routes, 1)->answerer->app;
    x->app->on_request(x->app, x);
    x->app->on_deadline(x->app, x);
}

// A disk that hangs: the scripts say so.
static void a_file_that_does_not_open_in_time_is_passed_on(void **state) {
    (void)state;
    mg_answerer late = {.app = {.on_request = on_late_request}};
    mg_route *route = &front.routes->items[1];
    mg_answerer *index = route->answerer;
    route->answerer = &late;
    r.echo = false;
    peer_send(&r, &p, "GET /f/ HTTP/1.1\r\nHost: h\r\n\r\n");
    route->answerer = index;
    mg_exchange *x = rig_take(&r);
    assert_ptr_equal(x->app, &r.app);
    rig_pass(&r, 1000);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_respond(x, &rig_ok, MG_STR("late"));
    settle();
    assert_content("late");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_are_served_by_their_path),
        TEST(a_path_that_ends_with_a_slash_is_its_index),
        TEST(what_is_not_served_is_passed_on),
        TEST(names_with_a_dot_are_served_where_that_is_wanted),
        TEST(a_client_that_leaves_ends_it),
        TEST(a_client_that_leaves_before_the_file_is_open_ends_it),
        TEST(an_eviction_breaks_it_off),
        TEST(a_file_that_does_not_open_in_time_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
