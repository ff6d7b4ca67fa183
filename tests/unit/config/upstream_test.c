// The table `upstreams`: what it may say, and what is told of the rest.
#include "config/upstream.h"

#include "client/call.h"

#include "of_text.h"
#include "proxy/grpc.h"

static void faults(const char *upstreams, const char *expected) {
    mg_config c;
    mg_buf json = {0};
    mg_buf text = {0};
    mg_buf_printf(&json, "{\"upstreams\":%s}", upstreams);
    assert_int_equal(mg_config_init(&c, "f", mg_buf_str(&json), &text), MG_ECONFIG);
    assert_text(expected, mg_buf_str(&text));
    mg_buf_deinit(&json);
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

static void a_list_of_urls_is_an_upstream(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"upstreams\":{\"users\":[\"http://127.0.0.1:9001\",\"https://[::1]/\","
             "\"unix:run/x.sock\"],\"none\":{}}}");
    assert_int_equal(c.upstreams.n, 2);
    const mg_upstream_options *u = &c.upstreams.items[0];
    assert_string_equal(u->name, "users");
    assert_int_equal(u->balance, MG_BALANCE_P2C);
    assert_int_equal(u->servers.n, 3);
    assert_string_equal(u->servers.items[0].host, "127.0.0.1");
    assert_int_equal(u->servers.items[0].port, 9001);
    assert_int_equal(u->servers.items[0].weight, 1);
    assert_false(u->servers.items[0].tls);
    assert_string_equal(u->servers.items[1].url, "https://[::1]");
    assert_string_equal(u->servers.items[1].host, "::1");
    assert_int_equal(u->servers.items[1].port, 443);
    assert_true(u->servers.items[1].tls);
    assert_string_equal(u->servers.items[2].unix_path, "/nowhere/run/x.sock");
    assert_int_equal(u->connections, 64);
    assert_int_equal(u->idle_ms, 4000);
    assert_int_equal(u->host, MG_HOST_CLIENT);
    assert_false(u->health.on || u->outlier.on || u->circuit.on || u->retries.on);
    assert_int_equal(c.upstreams.items[1].servers.n, 0);
    mg_config_deinit(&c);
}

static void statuses_of_grpc_have_names(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"upstreams\":{\"shop\":{\"servers\":[],"
             "\"retries\":{\"on\":[\"unavailable\",503,\"aborted\"]}}}}");
    const mg_retry_options *o = &c.upstreams.items[0].retries;
    assert_int_equal(1 << MG_GRPC_UNAVAILABLE | 1 << MG_GRPC_ABORTED, o->on_grpc);
    assert_true(mg_status_set_has(&o->on_status, 503) && !o->on_connect);
    mg_config_deinit(&c);
    faults("{\"shop\":{\"servers\":[],\"retries\":{\"on\":[\"ok\"]}}}",
           "f: upstreams.shop.retries.on[1]: is no reason for a retry, allowed: \"connect\", "
           "\"closed\", \"timeout\", a status from 400 to 599, or one of gRPC, such as "
           "\"unavailable\"\n");
}

static void every_key_is_read(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"upstreams\":{\"shadow\":{},\"shop\":{\"servers\":[{\"url\":\"https://a:8443\","
             "\"weight\":3},{\"url\":\"http://127.0.0.1:9009\",\"backup\":true}],"
             "\"balance\":\"round_robin\",\"hash\":\"cookie:cart\",\"slow_start\":10,"
             "\"health\":{\"path\":\"/health\",\"interval\":5.5,\"timeout\":2,"
             "\"status\":\"200-299, 404\",\"up\":1,\"down\":4,\"host\":\"h\"},"
             "\"outlier\":{\"failures\":6,\"eject\":11,\"most\":0.25},"
             "\"circuit\":{\"in_flight\":7,\"waiting\":8,\"failures\":0.75,\"volume\":9,"
             "\"open\":1},"
             "\"retries\":{\"count\":2,\"try_timeout\":3,\"budget\":0.1,\"on\":[\"timeout\",429]},"
             "\"hedge\":{\"after\":0.3},\"mirror\":{\"to\":\"shadow\",\"share\":0.1},"
             "\"timeouts\":{\"connect\":1,\"first_byte\":4,\"idle\":5,\"total\":6},"
             "\"connections\":2,\"idle\":3,\"host\":\"example.org\","
             "\"tls\":{\"ca\":\"ca.pem\",\"cert\":\"c.pem\",\"key\":\"k.pem\","
             "\"server_name\":\"n\",\"insecure\":true},\"http2\":true,"
             "\"ping\":7,\"proxy_protocol\":2}}}");
    const mg_upstream_options *u = &c.upstreams.items[1];
    assert_int_equal(u->servers.items[0].weight, 3);
    assert_true(u->servers.items[1].backup);
    assert_int_equal(u->balance, MG_BALANCE_ROUND_ROBIN);
    assert_int_equal(u->proxy_protocol, 2);
    assert_true(u->http2 == MG_HTTP2_ALWAYS && u->ping_ms == 7000);
    assert_int_equal(u->hash_by, MG_HASH_COOKIE);
    assert_string_equal(u->hash_name, "cart");
    assert_int_equal(u->slow_start_ms, 10000);
    assert_true(u->health.on && u->outlier.on && u->circuit.on && u->retries.on);
    assert_string_equal(u->health.path, "/health");
    assert_string_equal(u->health.host, "h");
    assert_int_equal(u->health.interval_ms, 5500);
    assert_int_equal(u->health.timeout_ms, 2000);
    assert_true(mg_status_set_has(&u->health.status, 200));
    assert_true(mg_status_set_has(&u->health.status, 299));
    assert_true(mg_status_set_has(&u->health.status, 404));
    assert_false(mg_status_set_has(&u->health.status, 300));
    assert_int_equal(u->health.up, 1);
    assert_int_equal(u->health.down, 4);
    assert_int_equal(u->outlier.failures, 6);
    assert_int_equal(u->outlier.eject_ms, 11000);
    assert_true(u->outlier.most == 0.25);
    assert_int_equal(u->circuit.in_flight, 7);
    assert_int_equal(u->circuit.waiting, 8);
    assert_true(u->circuit.failures == 0.75);
    assert_int_equal(u->circuit.volume, 9);
    assert_int_equal(u->circuit.open_ms, 1000);
    assert_int_equal(u->retries.count, 2);
    assert_int_equal(u->retries.try_timeout_ms, 3000);
    assert_true(u->retries.budget == 0.1);
    assert_true(u->retries.on_timeout && !u->retries.on_connect && !u->retries.on_closed);
    assert_true(mg_status_set_has(&u->retries.on_status, 429));
    assert_false(mg_status_set_has(&u->retries.on_status, 502));
    assert_int_equal(u->hedge_after_ms, 300);
    assert_string_equal(u->mirror.to, "shadow");
    assert_true(u->mirror.share == 0.1);
    assert_int_equal(u->timeouts.connect_ms, 1000);
    assert_int_equal(u->timeouts.first_byte_ms, 4000);
    assert_int_equal(u->timeouts.idle_ms, 5000);
    assert_int_equal(u->timeouts.total_ms, 6000);
    assert_int_equal(u->connections, 2);
    assert_int_equal(u->idle_ms, 3000);
    assert_int_equal(u->host, MG_HOST_LITERAL);
    assert_string_equal(u->host_literal, "example.org");
    assert_string_equal(u->tls.ca, "/nowhere/ca.pem");
    assert_string_equal(u->tls.cert, "/nowhere/c.pem");
    assert_string_equal(u->tls.key, "/nowhere/k.pem");
    assert_string_equal(u->tls.server_name, "n");
    assert_true(u->tls.insecure);
    mg_config_deinit(&c);
}

static void a_hash_key_alone_makes_hash_the_balance(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"upstreams\":{\"a\":{\"servers\":[],\"hash\":\"ip\"}}}");
    assert_int_equal(c.upstreams.items[0].balance, MG_BALANCE_HASH);
    mg_config_deinit(&c);
    faults("{\"a\":{\"servers\":[],\"balance\":\"hash\"}}",
           "f: upstreams.a.balance: \"hash\" needs a key, allowed besides: hash = \"ip\", "
           "\"path\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\"\n");
    faults("{\"a\":{\"servers\":[],\"hash\":\"cookie\"}}",
           "f: upstreams.a.hash: is \"cookie\", allowed: \"ip\", \"path\", \"header:NAME\", "
           "\"cookie:NAME\", \"query:NAME\" or false\n");
}

static void a_split_names_upstreams_with_servers(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"upstreams\":{\"new\":{},\"old\":{},\"s\":{\"split\":[[\"old\",95],[\"new\",5]],"
             "\"sticky\":\"cookie:release\"}}}");
    const mg_upstream_options *u = &c.upstreams.items[2];
    assert_int_equal(u->arm_count, 2);
    assert_string_equal(u->arms[0].upstream, "old");
    assert_int_equal(u->arms[0].weight, 95);
    assert_string_equal(u->sticky, "release");
    mg_config_deinit(&c);
    faults("{\"new\":{},\"s\":{\"split\":[[\"now\",1]]}}",
           "f: upstreams.s.split[1]: \"now\" is no upstream, allowed: one of this table (did you "
           "mean \"new\"?)\n");
    faults("{\"a\":{},\"s\":{\"split\":[[\"a\",1]]},\"t\":{\"split\":[[\"a\",1],[\"s\",1]]}}",
           "f: upstreams.t.split[2]: \"s\" is a split itself, allowed: an upstream with "
           "servers\n");
    faults("{\"a\":{},\"s\":{\"split\":[[\"a\",1]],\"timeouts\":{\"total\":1}}}",
           "f: upstreams.s.split: goes with sticky alone, allowed: all other keys where its parts "
           "are\n");
    load(&c, "{\"upstreams\":{\"a\":{},\"s\":{\"split\":[[\"a\",1]],\"sticky\":false}}}");
    mg_config_deinit(&c);
    faults("{\"a\":{\"servers\":[],\"mirror\":{\"share\":0.1}}}",
           "f: upstreams.a.mirror: has a share and no upstream that gets it, allowed: to = "
           "\"NAME\"\n");
    faults("{\"a\":{},\"s\":{\"split\":[[\"a\",0]]}}",
           "f: upstreams.s.split: has no part with a weight, allowed: one above 0 at least\n");
    faults(
        "{\"s\":{\"split\":[\"a\",[\"a\",-1],[\"a\",1,[2]],[]]}}",
        "f: upstreams.s.split[1]: is wrong, allowed: a name and a weight, as { \"shop_new\", 5 }\n"
        "f: upstreams.s.split[2]: is wrong, allowed: a name and a weight, as { \"shop_new\", 5 }\n"
        "f: upstreams.s.split[3]: is wrong, allowed: a name and a weight, as { \"shop_new\", 5 }\n"
        "f: upstreams.s.split[4]: is wrong, allowed: a name and a weight, as { \"shop_new\", 5 "
        "}\n");
}

static void what_is_wrong_is_told_with_its_place(void **state) {
    (void)state;
    faults("{\"shop\":{\"servers\":[\"http://a\",{\"url\":\"http://b\",\"weight\":0}]}}",
           "f: upstreams.shop.servers[2].weight: is 0, allowed: a whole number from 1 to 1000\n");
    faults("{\"shop\":{\"servers\":[{\"url\":\"http://b\",\"weigth\":2}]}}",
           "f: upstreams.shop.servers[1].weigth: is no known key, allowed: url, weight, backup "
           "(did you mean \"weight\"?)\n");
    faults("{\"shop\":{\"servers\":[{}]}}",
           "f: upstreams.shop.servers[1]: has no url, allowed: a URL, or a table as { url = "
           "\"http://a:80\", weight = 3 }\n");
    faults("{\"shop\":[\"http://a\",\"http://a/\"]}",
           "f: upstreams.shop: \"http://a\" is listed twice, allowed: once (weight gives it "
           "more)\n");
    faults("{\"shop\":[\"http://a/b\"]}",
           "f: upstreams.shop[1]: \"http://a/b\" is no URL of a server: a server has no path, the "
           "route says which one is asked for (strip); allowed: \"http://host:port\", "
           "\"https://host:port\" or \"unix:run/x.sock\"\n");
    faults("{\"shop\":{\"balance\":\"random\"}}",
           "f: upstreams.shop: has no servers, allowed: servers = { \"http://host:port\" }, or "
           "servers = {} for a script that finds them\n");
    faults("{\"shop\":{\"servers\":[],\"health\":{\"dwon\":1}}}",
           "f: upstreams.shop.health.dwon: is no known key, allowed: path, grpc, host, interval, "
           "timeout, status, up, down (did you mean \"down\"?)\n");
    faults("{\"shop\":{\"servers\":[],\"health\":{\"status\":\"99\"}}}",
           "f: upstreams.shop.health.status: is \"99\", allowed: statuses as \"200-399\" or "
           "\"200, 204\"\n");
    faults("{\"shop\":{\"servers\":[],\"retries\":{\"on\":[\"connect\",200]}}}",
           "f: upstreams.shop.retries.on[2]: is no reason for a retry, allowed: \"connect\", "
           "\"closed\", \"timeout\", a status from 400 to 599, or one of gRPC, such as "
           "\"unavailable\"\n");
    faults("{\"shop\":{\"servers\":[],\"outlier\":{\"most\":1.5}}}",
           "f: upstreams.shop.outlier.most: is 1.5, allowed: a number from 0 to 1\n");
    faults("{\"shop\":{\"servers\":[],\"mirror\":{\"to\":\"shop\"}}}",
           "f: upstreams.shop.mirror.to: is the upstream itself, allowed: another one\n");
    faults("{\"shop\":{\"servers\":[],\"tls\":{\"cert\":\"x\"}}}",
           "f: upstreams.shop.tls: cert and key go together, allowed: both or neither\n");
    faults("{\"shop\":{\"servers\":[],\"http2\":\"yes\"}}",
           "f: upstreams.shop.http2: is \"yes\", allowed: \"auto\", true or false\n");
    faults("{\"a b\":{}}", "f: upstreams: \"a b\" is no name of an upstream, allowed: up to 48 "
                           "letters, digits, _ and -\n");
    faults("[]", "f: upstreams: is a list, allowed: a table as { users = { "
                 "\"http://127.0.0.1:9001\" } }\n");
}

// Faults are shown, and logged.
static void a_password_in_a_url_is_not_shown(void **state) {
    (void)state;
    faults("{\"shop\":[\"http://me:secret@a\"]}",
           "f: upstreams.shop[1]: it is no URL of a server: it holds a user or password: send "
           "them as an Authorization field; allowed: \"http://host:port\", \"https://host:port\" "
           "or \"unix:run/x.sock\"\n");
}

static void a_script_may_give_servers(void **state) {
    (void)state;
    mg_upstream_servers servers;
    mg_arena a = {0};
    mg_error err;
    assert_int_equal(mg_upstream_servers_read(
                         &servers, &a, "/",
                         MG_STR("[\"http://a:1\",{\"url\":\"http://b\",\"weight\":7}]"), &err),
                     MG_OK);
    assert_int_equal(servers.n, 2);
    assert_int_equal(servers.items[1].weight, 7);
    assert_int_equal(mg_upstream_servers_read(&servers, &a, "/", MG_STR("[{\"ulr\":1},2]"), &err),
                     MG_ECONFIG);
    assert_string_equal(err.text, "servers[1].ulr: is no known key, allowed: url, weight, backup "
                                  "(did you mean \"url\"?)");
    mg_arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_urls_is_an_upstream),
        cmocka_unit_test(statuses_of_grpc_have_names),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_hash_key_alone_makes_hash_the_balance),
        cmocka_unit_test(a_split_names_upstreams_with_servers),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(a_password_in_a_url_is_not_shown),
        cmocka_unit_test(a_script_may_give_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
