// The keys `database`, `cache`, `redis` and http.nameservers.

#include "config/path.h"
#include "config/value.h"
#include "store/postgres.h"
#include "store/redis_settings.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { CACHE_LEAST = 1 << 20, NAME_BYTES = 64 };
#define CACHE_MOST ((uint64_t)64 << 30)

static bool is_text(const mg_config_reading *r, mg_json_token t) {
    return t == MG_JSON_STRING && memchr(r->json.text.p, '\0', r->json.text.n) == NULL;
}

static void refuse(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_config_refuse(r, key, t);
    mg_config_skip(r, t);
}

// --- Redis ---

// Checked, and as it was written; NULL and a fault.
static const char *take_redis_url(mg_config_reading *r, uint64_t *near_bytes) {
    mg_redis_settings settings = {0};
    mg_error why;
    int rc = mg_redis_settings_read(&settings, r->json.text, &why);
    *near_bytes = settings.near_bytes;
    mg_redis_settings_deinit(&settings);
    if (rc != MG_OK) {
        mg_config_fault(r, "%s", why.text);
        return NULL;
    }
    return mg_arena_copy(&r->config->arena, r->json.text);
}

static bool take_redis(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                       mg_config_database *out) {
    uint64_t near_bytes;
    if (!is_text(r, t)) {
        refuse(r, key, t);
        return false;
    }
    out->url = take_redis_url(r, &near_bytes);
    return out->url != NULL;
}

// --- cache ---

void mg_config_take_cache(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    static const mg_str scheme = {"memory:", 7};
    mg_config_cache *out = mg_config_field(r, key);
    uint64_t n = 0;
    *out = (mg_config_cache){0};
    if (t == MG_JSON_FALSE) {
        return;
    }
    bool memory = is_text(r, t) && mg_str_starts(r->json.text, scheme) &&
                  mg_str_to_size((mg_str){r->json.text.p + 7, r->json.text.n - 7}, &n);
    if (memory && n >= CACHE_LEAST && n <= CACHE_MOST) {
        out->bytes = n;
    } else if (is_text(r, t) && mg_redis_is_url(r->json.text)) {
        out->url = take_redis_url(r, &out->bytes);
    } else if (is_text(r, t) && memchr(r->json.text.p, '@', r->json.text.n) != NULL) {
        // A password may be in it, which no fault shows.
        mg_config_fault(r, "is no URL of a cache, allowed: \"redis://USER:PASSWORD@HOST:PORT\"");
    } else {
        refuse(r, key, t);
    }
}

// --- database ---

static bool is_postgres(mg_str url) {
    return mg_str_starts(url, MG_STR("postgres://")) || mg_str_starts(url, MG_STR("postgresql://"));
}

static bool take_postgres(mg_config_reading *r, mg_config_database *out) {
    mg_error why;
    if (mg_postgres_check(r->json.text, &why) != MG_OK) {
        mg_config_fault(r, "%s", why.text);
        return false;
    }
    out->url = mg_arena_copy(&r->config->arena, r->json.text);
    return true;
}

// "sqlite:PATH" as an absolute path, or the URL of a PostgreSQL server. False and a fault.
static bool take_url(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                     mg_config_database *out) {
    static const mg_str scheme = {"sqlite:", 7};
    mg_str url = r->json.text;
    if (is_text(r, t) && is_postgres(url)) {
        return take_postgres(r, out);
    }
    if (is_text(r, t) && memchr(url.p, '@', url.n) != NULL) {
        // A password may be in it, which no fault shows.
        mg_config_fault(r, "is no URL of a database, allowed: \"postgres://USER@HOST/NAME\"");
        return false;
    }
    if (!is_text(r, t) || !mg_str_starts(url, scheme) || url.n == scheme.n) {
        refuse(r, key, t);
        return false;
    }
    mg_str path = {url.p + scheme.n, url.n - scheme.n};
    out->path = mg_str_eq(path, MG_STR(":memory:"))
                    ? ":memory:"
                    : mg_config_absolute(&r->config->arena, r->config->root, path);
    return true;
}

static bool is_name(mg_str s) {
    bool good = s.n > 0 && s.n <= NAME_BYTES;
    for (size_t i = 0; good && i < s.n; i++) {
        char c = mg_lower(s.p[i]);
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

typedef bool (*take_one)(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                         mg_config_database *out);

// The reader stands behind a name.
static void add_named(mg_config_reading *r, const mg_config_key *key, take_one take, mg_buf *list) {
    if (!is_name(r->json.text)) {
        mg_config_fault(r, "\"%.*s\" is no name of %s, allowed: letters, digits and _",
                        (int)(r->json.text.n < NAME_BYTES ? r->json.text.n : NAME_BYTES),
                        r->json.text.p, take == take_redis ? "a Redis" : "a database");
        mg_config_skip(r, mg_json_next(&r->json));
        return;
    }
    mg_config_database d = {.name = mg_arena_copy(&r->config->arena, r->json.text)};
    size_t before = r->path.n;
    mg_buf_printf(&r->path, ".%s", d.name);
    if (take(r, key, mg_json_next(&r->json), &d)) {
        mg_buf_append(list, &d, sizeof d);
    }
    r->path.n = before;
}

static void settle(mg_config_reading *r, const mg_config_key *key, mg_buf *list) {
    mg_config_databases *out = mg_config_field(r, key);
    mg_config_database *items = mg_arena_alloc(&r->config->arena, list->n);
    if (list->n > 0) {
        memcpy(items, list->p, list->n);
    }
    *out = (mg_config_databases){items, list->n / sizeof *items};
    mg_buf_deinit(list);
}

static void take_one_or_named(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                              take_one take) {
    mg_buf list = {0};
    if (t == MG_JSON_OBJECT) {
        while (mg_json_next(&r->json) == MG_JSON_KEY) {
            add_named(r, key, take, &list);
        }
    } else if (t == MG_JSON_ARRAY) {
        refuse(r, key, t);
    } else if (t != MG_JSON_FALSE) {
        mg_config_database d = {.name = "default"};
        if (take(r, key, t, &d)) {
            mg_buf_append(&list, &d, sizeof d);
        }
    }
    settle(r, key, &list);
}

void mg_config_take_database(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    take_one_or_named(r, key, t, take_url);
}

void mg_config_take_redis(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    take_one_or_named(r, key, t, take_redis);
}

// --- http.nameservers ---

// "127.0.0.1", "127.0.0.1:53", "::1", "[::1]:53"
static bool is_nameserver(const char *text) {
    char ip[64];
    unsigned port = 53;
    int end = 0;
    struct in6_addr a;
    bool v4 = sscanf(text, "%63[0-9.]%n:%5u%n", ip, &end, &port, &end) >= 1 && text[end] == '\0' &&
              inet_pton(AF_INET, ip, &a) == 1;
    bool v6 = !v4 &&
              ((sscanf(text, "[%63[0-9a-fA-F:.]]%n:%5u%n", ip, &end, &port, &end) >= 1 &&
                text[end] == '\0') ||
               snprintf(ip, sizeof ip, "%s", text) > 0) &&
              inet_pton(AF_INET6, ip, &a) == 1;
    return (v4 || v6) && port > 0 && port <= 65535;
}

static bool are_nameservers(mg_config_reading *r, mg_str list) {
    mg_str item;
    bool good = list.n > 0;
    while (good && mg_str_next_item(&list, &item)) {
        char text[96];
        good = item.n < sizeof text &&
               is_nameserver(memcpy(text, mg_arena_copy(&r->config->arena, item), item.n + 1));
    }
    return good;
}

// The same, one an item.
static void take_nameserver_list(mg_config_reading *r, const mg_config_key *key) {
    mg_buf all = {0};
    mg_json_token t = mg_json_next(&r->json);
    for (; t != MG_JSON_ARRAY_END && t != MG_JSON_ERROR; t = mg_json_next(&r->json)) {
        if (is_text(r, t) && are_nameservers(r, r->json.text)) {
            mg_buf_printf(&all, "%s%.*s", all.n > 0 ? "," : "", (int)r->json.text.n,
                          r->json.text.p);
        } else {
            refuse(r, key, t);
        }
    }
    const char **out = mg_config_field(r, key);
    *out = all.n > 0 ? mg_arena_copy(&r->config->arena, mg_buf_str(&all)) : NULL;
    mg_buf_deinit(&all);
}

void mg_config_take_nameservers(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **out = mg_config_field(r, key);
    *out = NULL;
    if (t == MG_JSON_ARRAY) {
        take_nameserver_list(r, key);
    } else if (is_text(r, t) && are_nameservers(r, r->json.text)) {
        *out = mg_arena_copy(&r->config->arena, r->json.text);
    } else if (t != MG_JSON_FALSE) {
        refuse(r, key, t);
    }
}
