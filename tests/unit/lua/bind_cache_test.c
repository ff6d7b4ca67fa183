// The same scripts over the cache in memory, which answers at once, and over one that does not.

#include "lua/lua_app.h"

#include "app_folder.h"
#include "server/rig.h"

#include "slow_cache.h"
#include "store/memory_cache.h"

#include <sys/mman.h>

enum { ROOM = 1 << 20 };

static app_folder folder;
static rig r; // its loop alone
static mg_services services;
static void *room;
static slow_cache *slow;
static mg_lua_app *app;
static int readies;
static char fault[400];

static int set_up(void **state) {
    (void)state;
    r = (rig){0};
    app = NULL;
    slow = NULL;
    services = (mg_services){0};
    app_folder_open(&folder);
    assert_int_equal(mg_loop_new(&r.loop, &(mg_loop_options){.virtual_clock = true}), 0);
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_lua_app_free(app);
    mg_cache_free(services.cache);
    munmap(room, ROOM);
    app_folder_close(&folder);
    return mg_loop_free(r.loop);
}

static void have_memory(void) {
    mg_memory_cache *memory;
    assert_int_equal(mg_memory_cache_format(room, ROOM, NULL), MG_OK);
    assert_int_equal(mg_memory_cache_open(&memory, room, ROOM, NULL), MG_OK);
    services.cache = mg_memory_cache_lend(memory, r.loop, 1);
}

static void have_slow(void) {
    slow = slow_cache_new(r.loop);
    services.cache = &slow->cache;
}

static void on_ready(void *arg, const char *message) {
    (void)arg;
    readies++;
    snprintf(fault, sizeof fault, "%s", message == NULL ? "" : message);
}

// Begins `body` in a coroutine.
static void start(const char *body) {
    char source[4000];
    mg_error err;
    snprintf(source, sizeof source,
             "local moongate = require('moongate')\n"
             "local app, cache = moongate.app(), moongate.cache()\n"
             "app:on_start(function()\n%s\nend)\nreturn app\n",
             body);
    app_folder_write(&folder, source);
    const mg_lua_app_options o = {.root = folder.root,
                                  .path = folder.script,
                                  .handler_ms = 30000,
                                  .load_ms = 30000,
                                  .services = &services};
    if (mg_lua_app_new(&app, r.loop, &o, &err) != MG_OK) {
        fail_msg("%s", err.text);
    }
    readies = 0;
    mg_lua_app_attach(app);
    mg_lua_app_start(app, on_ready, NULL);
    rig_settle(&r);
}

static void assert_ended_well(void) {
    assert_int_equal(readies, 1);
    assert_string_equal(fault, "");
}

static const char all_calls[] = "assert(cache:get('k'):await() == nil)\n"
                                "assert(cache:set('k', 'text'):await() == true)\n"
                                "assert(cache:get('k'):await() == 'text')\n"
                                "cache:set('t', { n = { 1, 2 } }):await()\n"
                                "assert(cache:get('t'):await().n[2] == 2)\n"
                                "cache:set('f', false):await()\n"
                                "assert(cache:get('f'):await() == false)\n"
                                "assert(cache:delete('k'):await() == true)\n"
                                "assert(cache:delete('k'):await() == false)\n"
                                "assert(cache:increment('n', 2, { initial = 5 }):await() == 7)\n"
                                "assert(cache:increment('n'):await() == 8)\n"
                                "assert(cache:get('n'):await() == 8)\n"
                                "assert(cache:clear():await() == true)\n"
                                "assert(cache:get('t'):await() == nil)\n"
                                "assert(cache.stats().sets > 0)";

static void memory_answers_at_once(void **state) {
    (void)state;
    have_memory();
    start(all_calls);
    assert_ended_well();
    assert_int_equal(mg_lua_app_vm(app)->ops.used, 0);
}

static void another_kind_answers_later(void **state) {
    (void)state;
    have_slow();
    start(all_calls);
    assert_int_equal(readies, 0);
    rig_pass(&r, 100);
    assert_ended_well();
    assert_int_equal(slow->begun, 14);
    assert_int_equal(slow->done, 14);
}

static const char made_once[] =
    "local made = 0\n"
    "local function make() made = made + 1 moongate.sleep(0.05):await() return { made } end\n"
    "local a, b = cache:cached('k', 60, make), cache:cached('k', 60, make)\n"
    "assert(a:await()[1] == 1 and b:await()[1] == 1)\n"
    "assert(cache:cached('k', 60, make):await()[1] == 1)\n"
    "assert(made == 1)";

static void a_value_is_made_once_over_memory(void **state) {
    (void)state;
    have_memory();
    start(made_once);
    rig_pass(&r, 200);
    assert_ended_well();
}

static void a_value_is_made_once_over_another_kind(void **state) {
    (void)state;
    have_slow();
    start(made_once);
    rig_pass(&r, 200);
    assert_ended_well();
    assert_true(slow->released > 0);
}

static void whoever_has_no_lease_waits_for_the_value(void **state) {
    (void)state;
    have_slow();
    slow_find(slow, "k")->leased = true;
    start("local got = cache:cached('k', 60, function() error('not here') end):await()\n"
          "assert(got == 'theirs')");
    rig_pass(&r, 300);
    assert_int_equal(readies, 0);
    slow_store(slow_find(slow, "k"), "theirs", 1);
    rig_pass(&r, 300);
    assert_ended_well();
}

static void a_fault_of_the_way_rejects_with_its_words(void **state) {
    (void)state;
    have_slow();
    slow->broken = true;
    start("local _, err = cache:get('k'):try_await()\n"
          "assert(err.code == 'cache' and err.message == 'nobody is there', err)\n"
          "for _, f in ipairs({ cache:set('k', 1), cache:delete('k'), cache:increment('k'),\n"
          "    cache:clear() }) do\n"
          "  _, err = f:try_await()\n"
          "  assert(err.code == 'cache' and err.message == 'nobody is there', err)\n"
          "end");
    rig_pass(&r, 100);
    assert_ended_well();
}

static void without_the_cache_a_value_is_made_all_the_same(void **state) {
    (void)state;
    have_slow();
    slow->broken = true;
    start("assert(cache:cached('k', 60, function() return 'mine' end):await() == 'mine')");
    rig_pass(&r, 100);
    assert_ended_well();
}

static void a_cancelled_call_is_told_to_the_cache(void **state) {
    (void)state;
    have_slow();
    start("local f = cache:get('k')\n"
          "f:cancel()\n"
          "assert(f:state() == 'rejected')");
    assert_ended_well();
    assert_int_equal(slow->cancelled, 1);
    rig_pass(&r, 100);
    assert_int_equal(slow->done, 0);
}

static void the_end_of_the_scripts_cancels_what_is_under_way(void **state) {
    (void)state;
    have_slow();
    start("cache:set('k', 'v')");
    assert_int_equal(slow->begun, 1);
    mg_lua_app_free(app);
    app = NULL;
    assert_int_equal(slow->cancelled, 1);
    rig_pass(&r, 100);
    assert_int_equal(slow->done, 0);
}

static void without_a_cache_calls_say_so(void **state) {
    (void)state;
    start("local _, err = cache:get('k'):try_await()\n"
          "assert(err.code == 'cache' and err.message:find('no cache is configured', 1, true))\n"
          "assert(not pcall(cache.stats))\n"
          "assert(cache:clear():await() == true)");
    assert_ended_well();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(memory_answers_at_once),
        TEST(another_kind_answers_later),
        TEST(a_value_is_made_once_over_memory),
        TEST(a_value_is_made_once_over_another_kind),
        TEST(whoever_has_no_lease_waits_for_the_value),
        TEST(a_fault_of_the_way_rejects_with_its_words),
        TEST(without_the_cache_a_value_is_made_all_the_same),
        TEST(a_cancelled_call_is_told_to_the_cache),
        TEST(the_end_of_the_scripts_cancels_what_is_under_way),
        TEST(without_a_cache_calls_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
