#include "config/config.h"

#include "of_text.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// `expected` is the whole text of the faults, but for the file's name before each.
static void faults(const char *json, const char *expected) {
    mg_config c;
    mg_buf text = {0};
    assert_int_equal(mg_config_init(&c, "f", mg_str_of(json), &text), MG_ECONFIG);
    mg_buf_append_char(&text, '\0');
    assert_string_equal(text.p, expected);
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

static void an_empty_file_gives_the_defaults(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{}");
    assert_string_equal(c.root, "/nowhere");
    assert_int_equal(c.listen.n, 1);
    assert_string_equal(c.listen.items[0].address, "0.0.0.0:8080");
    assert_int_equal(c.workers, MG_CONFIG_WORKERS_AUTO);
    assert_string_equal(c.app, "/nowhere/lua/app.lua");
    assert_int_equal(c.trusted_proxies.n, 0);
    assert_int_equal(c.forwarded.n, 1);
    assert_string_equal(c.forwarded.items[0], "x-forwarded-for");
    assert_int_equal(c.limits.request_line, 8192);
    assert_int_equal(c.limits.body, 16 << 20);
    assert_int_equal(c.limits.requests_per_connection, 10000);
    assert_int_equal(c.limits.descriptors.count, 0);
    assert_int_equal(c.limits.descriptors.percent, 95);
    assert_int_equal(c.timeouts.header_ms, 10000);
    assert_int_equal(c.timeouts.drain_ms, 30000);
    assert_int_equal(c.log.level, MG_LOG_INFO);
    assert_string_equal(c.log.file, "stderr");
    assert_string_equal(c.log.access, "stdout");
    assert_int_equal(c.log.access_format, MG_CONFIG_PLAIN);
    assert_int_equal(c.log.error_format, MG_CONFIG_PLAIN);
    mg_config_deinit(&c);
}

static void every_kind_of_value_is_read(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"listen\":[\"127.0.0.1:0\",\"[::1]:80\",\"unix:run/x.sock\",\"unix:/run/y.sock\"],"
             "\"workers\":4,\"app\":\"./other.lua\",\"trusted_proxies\":[\"10.0.0.0/8\",\"unix\"],"
             "\"limits\":{\"body\":\"2g\",\"request_line\":1000,\"descriptors\":5000,"
             "\"header_fields\":7,\"trailers\":0},"
             "\"timeouts\":{\"idle\":0.25,\"send\":3,\"body_grace\":0},"
             "\"log\":{\"level\":\"error\",\"file\":\"/var/log/m.log\",\"access\":false,"
             "\"format\":\"json\",\"error_format\":\"json\"}}");
    assert_int_equal(c.listen.n, 4);
    assert_string_equal(c.listen.items[2].address, "unix:/nowhere/run/x.sock");
    assert_string_equal(c.listen.items[3].address, "unix:/run/y.sock");
    assert_int_equal(c.workers, 4);
    assert_string_equal(c.app, "/nowhere/other.lua");
    assert_int_equal(c.trusted_proxies.n, 2);
    assert_string_equal(c.trusted_proxies.items[1], "unix");
    assert_true(c.limits.body == (uint64_t)2 << 30);
    assert_int_equal(c.limits.request_line, 1000);
    assert_int_equal(c.limits.descriptors.count, 5000);
    assert_int_equal(c.limits.header_fields, 7);
    assert_int_equal(c.limits.trailers, 0);
    assert_int_equal(c.timeouts.idle_ms, 250);
    assert_int_equal(c.timeouts.send_ms, 3000);
    assert_int_equal(c.timeouts.body_grace_ms, 0);
    assert_int_equal(c.log.level, MG_LOG_ERROR);
    assert_string_equal(c.log.file, "/var/log/m.log");
    assert_null(c.log.access);
    assert_int_equal(c.log.access_format, MG_CONFIG_JSON);
    assert_int_equal(c.log.error_format, MG_CONFIG_JSON);
    mg_config_deinit(&c);
}

static void an_empty_lua_table_is_an_empty_list_too(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"trusted_proxies\":{},\"limits\":{}}");
    assert_int_equal(c.trusted_proxies.n, 0);
    mg_config_deinit(&c);
}

static void a_wrong_value_says_what_is_allowed(void **state) {
    (void)state;
#define SIZE_HINT " (bytes, or a text as \"64K\", \"16M\", \"1T\")\n"
    faults("{\"limits\":{\"request_line\":\"12Q\"}}",
           "f: limits.request_line: is \"12Q\", allowed: a size from 256 to 1M" SIZE_HINT);
    faults("{\"limits\":{\"request_line\":255}}",
           "f: limits.request_line: is 255, allowed: a size from 256 to 1M" SIZE_HINT);
    faults("{\"limits\":{\"body\":\"99999999999999999999G\"}}",
           "f: limits.body: is \"99999999999999999999G\", allowed: a size from 0 to 1T" SIZE_HINT);
    faults("{\"limits\":{\"body\":\"\"}}",
           "f: limits.body: is \"\", allowed: a size from 0 to 1T" SIZE_HINT);
    faults("{\"limits\":{\"body\":-1}}",
           "f: limits.body: is -1, allowed: a size from 0 to 1T" SIZE_HINT);
    faults("{\"limits\":{\"header_fields\":1.5}}",
           "f: limits.header_fields: is 1.5, allowed: a whole number from 1 to 10000\n");
    faults("{\"limits\":{\"descriptors\":\"101%\"}}",
           "f: limits.descriptors: is \"101%\", allowed: \"1%\" to \"100%\", or a number from 16 "
           "to 100000000\n");
    faults("{\"timeouts\":{\"idle\":\"75\"}}",
           "f: timeouts.idle: is \"75\", allowed: seconds from 0.01 to 86400\n");
    faults("{\"timeouts\":{\"idle\":0}}",
           "f: timeouts.idle: is 0, allowed: seconds from 0.01 to 86400\n");
    faults("{\"timeouts\":{\"drain\":1e300}}",
           "f: timeouts.drain: is 1e+300, allowed: seconds from 0 to 86400\n");
    faults("{\"workers\":257}",
           "f: workers: is 257, allowed: \"auto\" or a number from 0 to 256\n");
    faults("{\"workers\":{\"a\":[1,{}]}}",
           "f: workers: is a table, allowed: \"auto\" or a number from 0 to 256\n");
    faults("{\"app\":\"\"}", "f: app: is \"\", allowed: a path\n");
    faults("{\"app\":[\"x\"]}", "f: app: is a list, allowed: a path\n");
    faults(
        "{\"log\":{\"level\":\"wran\"}}",
        "f: log.level: is \"wran\", allowed: \"debug\", \"info\", \"warn\" or \"error\" (did you "
        "mean \"warn\"?)\n");
    faults("{\"log\":{\"access\":true}}",
           "f: log.access: is true, allowed: \"stdout\", \"stderr\", a path or false\n");
    faults("{\"log\":{\"file\":false}}",
           "f: log.file: is false, allowed: \"stderr\", \"stdout\" or a path\n");
    faults("{\"limits\":5}", "f: limits: is 5, allowed: a table\n");
    faults("{\"trusted_proxies\":\"10.0.0.1\"}",
           "f: trusted_proxies: is \"10.0.0.1\", allowed: a list of texts\n");
    faults("{\"trusted_proxies\":{\"a\":[{}],\"b\":1}}",
           "f: trusted_proxies: is a table, allowed: a list of texts\n");
    faults("{\"trusted_proxies\":[\"a\",[1]]}",
           "f: trusted_proxies[2]: is no text, allowed: a text\n");
}

static void a_wrong_address_is_named(void **state) {
    (void)state;
    faults("{\"listen\":\"8080\"}",
           "f: listen: is \"8080\", allowed: a list of addresses as \"0.0.0.0:8080\", "
           "\"[::]:8080\", \"unix:run/x.sock\"\n");
    faults("{\"listen\":{}}",
           "f: listen: is empty, allowed: one address or more, as { \"0.0.0.0:8080\" }\n");
    faults("{\"listen\":[\":1\",\":1\"]}", "f: listen[2]: \":1\" is listed twice, allowed: once\n");
    mg_config c;
    mg_buf text = {0};
    assert_int_equal(
        mg_config_init(&c, "f", MG_STR("{\"listen\":[\":1\",\":99999\",\"unix:\"]}"), &text),
        MG_ECONFIG);
    mg_buf_append_char(&text, '\0');
    assert_non_null(strstr(text.p, "f: listen[2]: \":99999\""));
    assert_non_null(strstr(text.p, "f: listen[3]: \"unix:\""));
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

static void ffi_is_given_or_not(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{}");
    assert_false(c.ffi);
    mg_config_deinit(&c);
    load(&c, "{\"ffi\":true}");
    assert_true(c.ffi);
    mg_config_deinit(&c);
    faults("{\"ffi\":1}", "f: ffi: is 1, allowed: true or false\n");
}

static void the_fields_of_proxies_are_texts(void **state) {
    (void)state;
    faults("{\"forwarded\":true}",
           "f: forwarded: is true, allowed: a field, or a list as { \"x-forwarded-for\", "
           "\"x-forwarded-proto\" }\n");
}

static void an_unknown_key_brings_a_suggestion(void **state) {
    (void)state;
    faults(
        "{\"worker\":1}",
        "f: worker: is no known key, allowed: listen, workers, app, scripts, ffi, user, control, "
        "trusted_proxies, forwarded, database, cache, redis, http, upstreams, proxy, limits, "
        "timeouts, "
        "reload, log (did "
        "you mean "
        "\"workers\"?)\n");
    faults("{\"log\":{\"acess\":[{\"x\":[]}]}}", "f: log.acess: is no known key, allowed: level, "
                                                 "file, error_format, access, format, fields (did "
                                                 "you mean \"access\"?)\n");
    faults("{\"log\":{\"zzz\":1}}", "f: log.zzz: is no known key, allowed: level, file, "
                                    "error_format, access, format, fields\n");
}

static void keys_of_later_versions_say_so(void **state) {
    (void)state;
    faults("{\"admin\":{}}", "f: admin: is not available in this version\n");
}

// A configuration with that JSON; deinit it.
static void loaded(mg_config *c, const char *json) {
    mg_buf said = {0};
    assert_int_equal(mg_config_init(c, "/p/conf/f", mg_str_of(json), &said), MG_OK);
    mg_buf_deinit(&said);
}

#define DATABASES "\"sqlite:PATH\", \"postgres://HOST/NAME\", { name = ... }, or false"

static void databases_have_names_and_absolute_paths(void **state) {
    (void)state;
    mg_config c;
    loaded(&c, "{\"database\":\"sqlite:var/a.db\"}");
    assert_int_equal(c.databases.n, 1);
    assert_string_equal(c.databases.items[0].name, "default");
    assert_string_equal(c.databases.items[0].path, "/p/var/a.db");
    mg_config_deinit(&c);
    loaded(&c, "{\"database\":{\"one\":\"sqlite:/a.db\",\"two\":\"sqlite::memory:\"}}");
    assert_int_equal(c.databases.n, 2);
    assert_string_equal(c.databases.items[0].path, "/a.db");
    assert_string_equal(c.databases.items[1].name, "two");
    assert_string_equal(c.databases.items[1].path, ":memory:");
    mg_config_deinit(&c);
    loaded(&c, "{}");
    assert_int_equal(c.databases.n, 0);
    mg_config_deinit(&c);
    faults("{\"database\":\"mysql:x\"}", "f: database: is \"mysql:x\", allowed: " DATABASES "\n");
    faults("{\"database\":{\"a b\":\"sqlite:x\",\"c\":7}}",
           "f: database: \"a b\" is no name of a database, allowed: letters, digits and _\n"
           "f: database.c: is 7, allowed: " DATABASES "\n");
    loaded(&c, "{\"database\":\"postgres://u:p@h/d?pool=4\"}");
    assert_null(c.databases.items[0].path);
    assert_string_equal(c.databases.items[0].url, "postgres://u:p@h/d?pool=4");
    mg_config_deinit(&c);
    faults("{\"database\":\"postgres://u:secret@h/d?pool=0\"}",
           "f: database: pool=0: a whole number from 1 to 1000 is allowed\n");
    faults("{\"database\":\"postgre://u:secret@h/d\"}",
           "f: database: is no URL of a database, allowed: \"postgres://USER@HOST/NAME\"\n");
}

static void a_cache_has_a_size(void **state) {
    (void)state;
    mg_config c;
    loaded(&c, "{}");
    assert_int_equal(c.cache.bytes, 64 << 20);
    mg_config_deinit(&c);
    loaded(&c, "{\"cache\":\"memory:1M\"}");
    assert_int_equal(c.cache.bytes, 1 << 20);
    mg_config_deinit(&c);
    loaded(&c, "{\"cache\":false}");
    assert_int_equal(c.cache.bytes, 0);
    mg_config_deinit(&c);
    for (const char *const *t = (const char *const[]){"\"memory:1K\"", "\"memory:\"", "\"64M\"",
                                                      "64", "true", "\"memory:65G\"", NULL};
         *t != NULL; t++) {
        char json[64];
        char want[160];
        snprintf(json, sizeof json, "{\"cache\":%s}", *t);
        snprintf(want, sizeof want,
                 "f: cache: is %s, allowed: \"memory:1M\" to \"memory:64G\", "
                 "\"redis://HOST\", or false\n",
                 *t);
        faults(json, want);
    }
}

static void a_cache_may_be_in_redis(void **state) {
    (void)state;
    mg_config c;
    loaded(&c, "{\"cache\":\"redis://u:p@h:7/1?prefix=a:\"}");
    assert_int_equal(c.cache.bytes, 0);
    assert_string_equal(c.cache.url, "redis://u:p@h:7/1?prefix=a:");
    mg_config_deinit(&c);
    loaded(&c, "{\"cache\":\"redis://h?near=64M\"}");
    assert_int_equal(c.cache.bytes, 64 << 20);
    mg_config_deinit(&c);
    faults("{\"cache\":\"redis://u:secret@h?timeout=x\"}",
           "f: cache: timeout=x: allowed: seconds from 0.01 to 600\n");
    faults("{\"cache\":\"redi://u:secret@h\"}", "f: cache: is no URL of a cache, allowed: "
                                                "\"redis://USER:PASSWORD@HOST:PORT\"\n");
}

static void redis_is_one_or_named(void **state) {
    (void)state;
    mg_config c;
    loaded(&c, "{\"redis\":\"redis://h\"}");
    assert_int_equal(c.redis.n, 1);
    assert_string_equal(c.redis.items[0].name, "default");
    mg_config_deinit(&c);
    loaded(&c, "{\"redis\":{\"a\":\"redis://h\",\"b\":\"rediss+sentinel://s/x\"}}");
    assert_int_equal(c.redis.n, 2);
    assert_string_equal(c.redis.items[1].url, "rediss+sentinel://s/x");
    mg_config_deinit(&c);
    faults("{\"redis\":{\"a-b\":\"redis://h\"}}",
           "f: redis: \"a-b\" is no name of a Redis, allowed: letters, digits and _\n");
    faults("{\"redis\":{\"a\":\"http://h\"}}",
           "f: redis.a: no URL of Redis; the form is "
           "redis://user:password@host:port/database?option=value\n");
    faults("{\"redis\":7}", "f: redis: is 7, allowed: \"redis://HOST\", a table of named "
                            "ones, or false\n");
}

static void nameservers_are_addresses(void **state) {
    (void)state;
    mg_config c;
    for (const char *const *t =
             (const char *const[]){"1.2.3.4", "1.2.3.4:53", "::1", "[::1]", "[::1]:5353",
                                   "127.0.0.1:1, [fe80::1]:65535, ::", NULL};
         *t != NULL; t++) {
        char json[96];
        snprintf(json, sizeof json, "{\"http\":{\"nameservers\":\"%s\"}}", *t);
        loaded(&c, json);
        assert_string_equal(c.http.nameservers, *t);
        mg_config_deinit(&c);
    }
    for (const char *const *t =
             (const char *const[]){"", "a", "1.2.3", "1.2.3.4:0", "1.2.3.4:65536",
                                   "1.2.3.4:", "[::1", "1.2.3.4 x", NULL};
         *t != NULL; t++) {
        char json[96];
        char want[192];
        snprintf(json, sizeof json, "{\"http\":{\"nameservers\":\"%s\"}}", *t);
        snprintf(want, sizeof want,
                 "f: http.nameservers: is \"%s\", allowed: an address as "
                 "\"127.0.0.1:53\", a list, or false\n",
                 *t);
        faults(json, want);
    }
    loaded(&c, "{\"http\":{\"nameservers\":[\"1.2.3.4\",\"[::1]:53\"]}}");
    assert_string_equal(c.http.nameservers, "1.2.3.4,[::1]:53");
    mg_config_deinit(&c);
    faults(
        "{\"http\":{\"nameservers\":[\"1.2.3.4\",\"x\",{}]}}",
        "f: http.nameservers: is \"x\", allowed: an address as \"127.0.0.1:53\", a list, or false\n"
        "f: http.nameservers: is a table, allowed: an address as \"127.0.0.1:53\", a list, or "
        "false\n");
}

static void all_faults_are_listed(void **state) {
    (void)state;
    faults("{\"workers\":-1,\"limits\":{\"nope\":1,\"trailers\":\"x\"},\"app\":1}",
           "f: workers: is -1, allowed: \"auto\" or a number from 0 to 256\n"
           "f: limits.nope: is no known key, allowed: request_line, header_bytes, header_fields, "
           "chunk_extensions, trailers, body, body_rate, answer_rate, output, input, discard, "
           "pipeline, requests_per_connection, h2_streams, h2_resets, h2_faults, h2_settings, "
           "h2_pings, "
           "h2_priorities, h2_empty, h2_windows, form_parts, form_fields, json_values, outbox, "
           "topics, subscriptions, descriptors, generations, lua_memory\n"
           "f: limits.trailers: is \"x\", allowed: a size from 0 to 1M" SIZE_HINT
           "f: app: is 1, allowed: a path\n");
}

static void broken_data_is_a_fault(void **state) {
    (void)state;
    mg_config c;
    const char *broken[] = {"", "[]", "{\"workers\":", "{\"listen\":[", "{}x"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        mg_buf text = {0};
        assert_int_equal(mg_config_init(&c, "f", mg_str_of(broken[i]), &text), MG_ECONFIG);
        assert_true(text.n > 0);
        mg_buf_deinit(&text);
        mg_config_deinit(&c);
    }
}

// In a folder with conf/ below.
static void root_is(const char *file, const char *expected) {
    mg_config c;
    mg_buf text = {0};
    assert_int_equal(mg_config_init(&c, file, MG_STR("{}"), &text), MG_OK);
    assert_string_equal(c.root, expected);
    assert_string_equal(c.file, file);
    mg_config_deinit(&c);
}

static void the_root_is_above_conf(void **state) {
    (void)state;
    char folder[] = "/tmp/moongate-root-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("conf", 0700), 0);
    root_is("conf/moongate.lua", folder);
    root_is("./conf/../conf/x.lua", folder);
    root_is("site.lua", folder);
    assert_int_equal(chdir("conf"), 0);
    root_is("moongate.lua", folder);
    root_is("../x.lua", folder);
    assert_int_equal(chdir(before), 0);
    root_is("/nowhere/at/conf/all.lua", "/nowhere/at");
    root_is("/nowhere/conf.d/all.lua", "/nowhere/conf.d");
    root_is("/x.lua", "/");
    mg_buf conf = {0};
    mg_buf_printf(&conf, "%s/conf", folder);
    mg_buf_append_char(&conf, '\0');
    assert_int_equal(rmdir(conf.p), 0);
    assert_int_equal(rmdir(folder), 0);
    mg_buf_deinit(&conf);
}

static void a_command_line_comes_above_the_file(void **state) {
    (void)state;
    mg_config c;
    char here[PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    load(&c, "{\"workers\":4}");
    mg_buf text = {0};
    assert_int_equal(mg_config_override(&c, &(mg_config_overrides){0}, &text), MG_OK);
    assert_int_equal(c.workers, 4);
    assert_string_equal(c.app, "/nowhere/lua/app.lua");

    const char *listen[] = {":1", "unix:x"};
    mg_config_overrides o = {
        .listen = listen, .listen_count = 2, .app = "a.lua", .has_workers = true, .workers = 0};
    assert_int_equal(mg_config_override(&c, &o, &text), MG_OK);
    assert_int_equal(c.listen.n, 2);
    assert_string_equal(c.listen.items[0].address, ":1");
    assert_memory_equal(c.listen.items[1].address + 5, here, strlen(here));
    assert_memory_equal(c.app, here, strlen(here));
    assert_string_equal(c.app + strlen(here), "/a.lua");
    assert_int_equal(c.workers, 0);

    listen[1] = "nonsense";
    assert_int_equal(mg_config_override(&c, &o, &text), MG_ECONFIG);
    assert_memory_equal(text.p, "--listen: \"nonsense\"", 20);
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(an_empty_lua_table_is_an_empty_list_too),
        cmocka_unit_test(a_wrong_value_says_what_is_allowed),
        cmocka_unit_test(a_wrong_address_is_named),
        cmocka_unit_test(ffi_is_given_or_not),
        cmocka_unit_test(the_fields_of_proxies_are_texts),
        cmocka_unit_test(an_unknown_key_brings_a_suggestion),
        cmocka_unit_test(keys_of_later_versions_say_so),
        cmocka_unit_test(databases_have_names_and_absolute_paths),
        cmocka_unit_test(a_cache_has_a_size),
        cmocka_unit_test(a_cache_may_be_in_redis),
        cmocka_unit_test(redis_is_one_or_named),
        cmocka_unit_test(nameservers_are_addresses),
        cmocka_unit_test(all_faults_are_listed),
        cmocka_unit_test(broken_data_is_a_fault),
        cmocka_unit_test(the_root_is_above_conf),
        cmocka_unit_test(a_command_line_comes_above_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
