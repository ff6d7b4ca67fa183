#include "config/write.h"

#include "unit.h"

// For each key a value that is not its default. A key without one fails the test: what cannot be
// written can be neither compared nor handed on.
static const struct {
    const char *key, *other;
} others[] = {
    {"listen", "[\"127.0.0.1:1\",{\"address\":\"unix:/run/x\",\"mode\":\"0600\"}]"},
    {"workers", "3"},
    {"app", "\"/other.lua\""},
    {"scripts", "[\"lua\",\"/x/y\"]"},
    {"ffi", "true"},
    {"user", "\"www:www\""},
    {"control", "\"/run/control\""},
    {"trusted_proxies", "[\"unix\"]"},
    {"forwarded", "[\"forwarded\"]"},
    {"database", "{\"a\":\"sqlite:/a.db\",\"b\":\"sqlite::memory:\"}"},
    {"cache", "\"memory:2097152\""},
    {"redis", "{\"main\":\"redis://h\"}"},
    {"http.connections", "1"},
    {"http.waiting", "1"},
    {"http.idle_connections", "1"},
    {"http.idle", "1.5"},
    {"http.ca", "\"/ca.pem\""},
    {"http.nameservers", "\"127.0.0.1:53\""},
    {"http.deny", "[\"private\"]"},
    {"http.allow", "[\"loopback\"]"},
    {"proxy.open", "true"},
    {"limits.descriptors", "\"50%\""},
    {"reload.specs", "\"/spec\""},
    {"log.level", "\"error\""},
    {"log.file", "\"/log\""},
    {"log.error_format", "\"json\""},
    {"log.access", "false"},
    {"log.format", "\"json\""},
    {"http.http2", "true"},
    {"log.fields", "[\"status\"]"},
};

static const char *other_of(const mg_config_key *key) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i].key, key->path) == 0) {
            return others[i].other;
        }
    }
    static char most[24];
    switch (key->kind) {
    case MG_CONFIG_SIZE:
    case MG_CONFIG_COUNT:
        snprintf(most, sizeof most, "%llu", (unsigned long long)key->max);
        return most;
    case MG_CONFIG_SECONDS:
        return "1.25";
    default:
        fail_msg("%s: no other value is known here", key->path);
        return NULL;
    }
}

// What `key` says in a file that says `value`, or nothing.
static mg_buf written(const mg_config_key *key, const char *value) {
    mg_config c;
    mg_buf json = {0};
    mg_buf faults = {0};
    mg_buf out = {0};
    const char *name = mg_config_name(key);
    int table = (int)(name - key->path) - 1;
    if (value == NULL) {
        mg_buf_printf(&json, "{}");
    } else if (table > 0) {
        mg_buf_printf(&json, "{\"%.*s\":{\"%s\":%s}}", table, key->path, name, value);
    } else {
        mg_buf_printf(&json, "{\"%s\":%s}", key->path, value);
    }
    if (mg_config_init(&c, "/nowhere/conf/f", mg_buf_str(&json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    mg_config_write(&out, key, &c);
    mg_buf_append_char(&out, '\0');
    mg_config_deinit(&c);
    mg_buf_deinit(&json);
    mg_buf_deinit(&faults);
    return out;
}

// Of upstreams nothing is compared as a whole: proxy/upstream knows which server stays.
static bool is_written(const mg_config_key *key) {
    return key->fallback != NULL && key->kind != MG_CONFIG_UPSTREAMS;
}

static void what_is_written_gives_the_same_again(void **state) {
    (void)state;
    for (size_t i = 0; i < mg_config_key_count; i++) {
        const mg_config_key *key = &mg_config_keys[i];
        if (!is_written(key)) {
            continue;
        }
        mg_buf usual = written(key, NULL);
        mg_buf again = written(key, usual.p);
        assert_string_equal(usual.p, again.p);
        mg_buf_deinit(&usual);
        mg_buf_deinit(&again);
    }
}

static void another_value_is_written_otherwise(void **state) {
    (void)state;
    for (size_t i = 0; i < mg_config_key_count; i++) {
        const mg_config_key *key = &mg_config_keys[i];
        if (!is_written(key)) {
            continue;
        }
        mg_buf usual = written(key, NULL);
        mg_buf other = written(key, other_of(key));
        mg_buf again = written(key, other.p);
        if (strcmp(usual.p, other.p) == 0) {
            fail_msg("%s: %s", key->path, other.p);
        }
        assert_string_equal(other.p, again.p);
        mg_buf_deinit(&usual);
        mg_buf_deinit(&other);
        mg_buf_deinit(&again);
    }
}

static void paths_are_written_whole(void **state) {
    (void)state;
    mg_buf out = written(mg_config_find(MG_STR("app")), "\"lua/x.lua\"");
    assert_string_equal(out.p, "\"/nowhere/lua/x.lua\"");
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_gives_the_same_again),
        cmocka_unit_test(another_value_is_written_otherwise),
        cmocka_unit_test(paths_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
