#include "store/postgres_settings.h"

#include "base/buf.h"
#include "base/suggest.h"
#include "store/libpq.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

typedef struct own_option {
    const char *name;
    size_t offset;
    uint32_t least, most;
    bool seconds; // given in seconds, kept in ms
} own_option;

#define AT(field) offsetof(mg_pg_settings, field)

static const own_option own_options[] = {
    {"pool", AT(pool), 1, 1000, false},
    {"min", AT(minimum), 0, 1000, false},
    {"idle", AT(idle_ms), 1, 86400, true},
    {"max_age", AT(max_age_ms), 0, 864000, true},
    {"wait", AT(wait_ms), 1, 600, true},
    {"queue", AT(queue), 1, 100000, false},
    {"connect_timeout", AT(connect_ms), 1, 600, true},
    {"statements", AT(prepared), 1, 10000, false},
};

static const mg_pg_settings defaults = {
    .pool = 16,
    .idle_ms = 60 * 1000,
    .max_age_ms = 1800 * 1000,
    .wait_ms = 5 * 1000,
    .queue = 10000,
    .connect_ms = 5 * 1000,
    .prepared = 256,
};

static int wrong_own(const own_option *o, mg_str value, mg_error *err) {
    return mg_error_set(err, MG_ECONFIG, "%s=%.*s: a whole number from %u to %u is allowed%s",
                        o->name, (int)(value.n < 40 ? value.n : 40), value.p, o->least, o->most,
                        o->seconds ? " (seconds)" : "");
}

static int take_number(mg_pg_settings *s, const own_option *o, mg_str value, mg_error *err) {
    uint64_t n;
    if (!mg_str_to_u64(value, o->most, &n) || n < o->least) {
        return wrong_own(o, value, err);
    }
    uint32_t *field = (uint32_t *)(void *)((char *)s + o->offset);
    *field = (uint32_t)n * (o->seconds ? 1000 : 1);
    return MG_OK;
}

static int take_prepare(mg_pg_settings *s, mg_str value, mg_error *err) {
    if (mg_str_eq(value, MG_STR("false"))) {
        s->prepared = 0;
        return MG_OK;
    }
    if (mg_str_eq(value, MG_STR("true"))) {
        return MG_OK;
    }
    return mg_error_set(err, MG_ECONFIG, "prepare=%.*s: true or false is allowed",
                        (int)(value.n < 40 ? value.n : 40), value.p);
}

// `*ours` tells whether it is an option of the pool. Its value is taken as it is written: none of
// ours needs a percent code but a path with odd characters.
static int take_own(mg_pg_settings *s, mg_str key, mg_str value, bool *ours, mg_error *err) {
    *ours = true;
    for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++) {
        if (mg_str_eq(key, mg_str_of(own_options[i].name))) {
            return take_number(s, &own_options[i], value, err);
        }
    }
    if (mg_str_eq(key, MG_STR("prepare"))) {
        return take_prepare(s, value, err);
    }
    if (mg_str_eq(key, MG_STR("password_file"))) {
        s->password_file = mg_arena_copy(&s->arena, value);
        return value.n > 0 && value.p[0] == '/'
                   ? MG_OK
                   : mg_error_set(err, MG_ECONFIG, "password_file: an absolute path is allowed");
    }
    *ours = false;
    return MG_OK;
}

// --- what libpq would refuse only when it connects ---

typedef struct worded {
    const char *key;
    const char *allowed; // the words, with a space before each
} worded;

static const worded worded_options[] = {
    {"sslmode", " disable allow prefer require verify-ca verify-full"},
    {"target_session_attrs", " any read-write read-only primary standby prefer-standby"},
    {"channel_binding", " disable prefer require"},
    {"gssencmode", " disable prefer require"},
    {"ssl_min_protocol_version", " TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"},
    {"ssl_max_protocol_version", " TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"},
    {"sslsni", " 0 1"},
};

static int judge_word(const worded *w, const char *value, mg_error *err) {
    mg_suggest closest;
    mg_suggest_init(&closest, mg_str_of(value));
    for (mg_str rest = mg_str_of(w->allowed + 1); rest.n > 0;) {
        mg_str word = mg_str_cut(&rest, ' ');
        if (mg_str_eq(word, mg_str_of(value))) {
            return MG_OK;
        }
        mg_suggest_offer(&closest, word);
    }
    mg_buf text = {0};
    mg_buf_printf(&text, "%s=%.40s: allowed:%s", w->key, value, w->allowed);
    mg_suggest_append(&closest, &text);
    int rc = mg_error_set(err, MG_ECONFIG, "%.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
    return rc;
}

// "" is libpq's default.
static int judge_ports(const char *ports, mg_error *err) {
    for (mg_str rest = mg_str_of(ports); rest.n > 0;) {
        mg_str port = mg_str_cut(&rest, ',');
        uint64_t n;
        if (port.n > 0 && (!mg_str_to_u64(port, 65535, &n) || n == 0)) {
            return mg_error_set(err, MG_ECONFIG, "the port %.*s is no number from 1 to 65535",
                                (int)(port.n < 40 ? port.n : 40), port.p);
        }
    }
    return MG_OK;
}

static int judge_option(const PQconninfoOption *o, mg_error *err) {
    bool is_port = strcmp(o->keyword, "port") == 0;
    if (o->val == NULL || *o->val == '\0') {
        return MG_OK;
    }
    for (size_t i = 0; i < sizeof worded_options / sizeof *worded_options; i++) {
        if (strcmp(o->keyword, worded_options[i].key) == 0) {
            return judge_word(&worded_options[i], o->val, err);
        }
    }
    return is_port ? judge_ports(o->val, err) : MG_OK;
}

// --- the URL ---

// libpq ends user and password at the first @ or /, and all of it at the first ?. A password that
// has one of them itself would become a host, a port or a name, which are shown.
static int judge_authority(mg_str url, mg_error *err) {
    mg_str query = url;
    mg_str before = mg_str_cut(&query, '?');
    const char *scheme = memmem(before.p, before.n, "://", 3);
    mg_str_skip(&before, scheme != NULL ? (size_t)(scheme - before.p) + 3 : 0);
    const char *last = before.n > 0 ? memrchr(before.p, '@', before.n) : NULL;
    bool strays = false;
    if (last != NULL) {
        size_t n = (size_t)(last - before.p);
        strays = memchr(before.p, '@', n) != NULL || memchr(before.p, '/', n) != NULL;
    }
    while (query.n > 0) {
        mg_str option = mg_str_cut(&query, '&');
        mg_str key = mg_str_cut(&option, '=');
        strays |= key.n > 0 && memchr(key.p, '@', key.n) != NULL;
    }
    return strays ? mg_error_set(err, MG_ECONFIG,
                                 "in user and password an @ is written as %%40, a / as %%2F and a "
                                 "? as %%3F")
                  : MG_OK;
}

// Takes our own options out of `url`; what remains is libpq's.
static int part_options(mg_pg_settings *s, mg_str url, mg_buf *rest, mg_error *err) {
    const char *question = memchr(url.p, '?', url.n);
    size_t before = question != NULL ? (size_t)(question - url.p) : url.n;
    mg_buf_append(rest, url.p, before);
    char separator = '?';
    size_t at = before + 1;
    while (at < url.n) {
        const char *and = memchr(url.p + at, '&', url.n - at);
        size_t end = and != NULL ? (size_t)(and-url.p) : url.n;
        mg_str option = {url.p + at, end - at};
        at = end + 1;
        const char *equals = memchr(option.p, '=', option.n);
        mg_str key = {option.p, equals != NULL ? (size_t)(equals - option.p) : option.n};
        mg_str value = {NULL, 0};
        if (equals != NULL) {
            value = (mg_str){equals + 1, option.n - key.n - 1};
        }
        bool ours;
        int rc = take_own(s, key, value, &ours, err);
        if (rc != MG_OK) {
            return rc;
        }
        if (!ours) {
            mg_buf_append_char(rest, separator);
            mg_buf_append_str(rest, option);
            separator = '&';
        }
    }
    mg_buf_append_char(rest, '\0');
    return MG_OK;
}

// "a,b" into `out`; the last item of a short list holds for what is missing, which libpq says of a
// single port.
static uint32_t split(mg_pg_settings *s, const char *text, const char **out) {
    uint32_t n = 0;
    while (n < MG_PG_HOSTS) {
        size_t length = strcspn(text, ",");
        out[n++] = mg_arena_copy(&s->arena, (mg_str){text, length});
        if (text[length] == '\0') {
            break;
        }
        text += length + 1;
    }
    return n;
}

static uint32_t count_items(const char *list) {
    uint32_t n = 1;
    for (; *list != '\0'; list++) {
        n += *list == ',';
    }
    return n;
}

static int take_hosts(mg_pg_settings *s, const char *hosts, const char *ports, mg_error *err) {
    const char *given[MG_PG_HOSTS];
    uint32_t port_count = 0;
    if (hosts == NULL || *hosts == '\0') {
        s->ports[0] = ports != NULL ? mg_arena_copy(&s->arena, mg_str_of(ports)) : NULL;
        return MG_OK;
    }
    if (count_items(hosts) > MG_PG_HOSTS) {
        return mg_error_set(err, MG_ECONFIG, "%u hosts, at most %d are allowed", count_items(hosts),
                            MG_PG_HOSTS);
    }
    s->host_count = split(s, hosts, s->hosts);
    if (ports != NULL && *ports != '\0') {
        port_count = split(s, ports, given);
    }
    if (port_count > 1 && port_count != s->host_count) {
        return mg_error_set(err, MG_ECONFIG, "%u hosts, but %u ports", s->host_count, port_count);
    }
    for (uint32_t i = 0; i < s->host_count; i++) {
        const char *port = port_count == 0 ? "" : given[port_count == 1 ? 0 : i];
        s->ports[i] = *port == '\0' ? "5432" : port;
    }
    return MG_OK;
}

static int keep_option(mg_pg_settings *s, const char *key, const char *value, mg_error *err) {
    if (s->option_count == MG_PG_OPTIONS) {
        return mg_error_set(err, MG_ECONFIG, "more than %d options", MG_PG_OPTIONS);
    }
    s->keys[s->option_count] = mg_arena_copy(&s->arena, mg_str_of(key));
    s->values[s->option_count++] = mg_arena_copy(&s->arena, mg_str_of(value));
    return MG_OK;
}

static const char *find_option(const PQconninfoOption *options, const char *key) {
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, key) == 0) {
            return o->val;
        }
    }
    return NULL;
}

static int take_options(mg_pg_settings *s, const PQconninfoOption *options, mg_error *err) {
    const char *addresses = find_option(options, "hostaddr");
    s->resolved = addresses != NULL && *addresses != '\0';
    const char *hosts = find_option(options, "host");
    int rc = MG_OK;
    for (const PQconninfoOption *o = options; o->keyword != NULL && rc == MG_OK; o++) {
        rc = judge_option(o, err);
        if (rc != MG_OK) {
            break;
        }
        bool by_us = strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "port") == 0;
        if (o->val != NULL && (s->resolved || !by_us)) {
            rc = keep_option(s, o->keyword, o->val, err);
        }
    }
    if (rc == MG_OK && !s->resolved) {
        rc = take_hosts(s, hosts, find_option(options, "port"), err);
    }
    return rc;
}

static void make_name(mg_pg_settings *s, const PQconninfoOption *options) {
    mg_buf b = {0};
    const char *database = find_option(options, "dbname");
    const char *host = find_option(options, "host");
    const char *port = find_option(options, "port");
    mg_buf_printf(&b, "postgres://%s%s%s/%s", host != NULL ? host : "", port != NULL ? ":" : "",
                  port != NULL ? port : "", database != NULL ? database : "");
    s->name = mg_arena_copy(&s->arena, mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void offer_options(mg_suggest *s, const PQconninfoOption *of_libpq) {
    for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++) {
        mg_suggest_offer(s, mg_str_of(own_options[i].name));
    }
    mg_suggest_offer(s, MG_STR("prepare"));
    mg_suggest_offer(s, MG_STR("password_file"));
    for (const PQconninfoOption *o = of_libpq; o != NULL && o->keyword != NULL; o++) {
        mg_suggest_offer(s, mg_str_of(o->keyword));
    }
}

static int unknown_option(mg_str name, mg_error *err) {
    mg_buf text = {0};
    mg_suggest s;
    PQconninfoOption *of_libpq = PQconninfoParse("postgres://", NULL);
    mg_suggest_init(&s, name);
    offer_options(&s, of_libpq);
    mg_buf_printf(&text,
                  "%.*s: there is no such option, allowed: pool, min, idle, max_age, wait, queue, "
                  "connect_timeout, statements, prepare, password_file and those of libpq",
                  (int)(name.n < 40 ? name.n : 40), name.p);
    mg_suggest_append(&s, &text);
    int rc = mg_error_set(err, MG_ECONFIG, "%.*s", (int)text.n, text.p);
    PQconninfoFree(of_libpq);
    mg_buf_deinit(&text);
    return rc;
}

// libpq's text can quote the URL, and so a password: only the name of an option is passed on.
static int refuse_url(const char *why, mg_error *err) {
    static const char unknown[] = "invalid URI query parameter: \"";
    const char *at = why != NULL ? strstr(why, unknown) : NULL;
    if (at != NULL) {
        at += sizeof unknown - 1;
        return unknown_option((mg_str){at, strcspn(at, "\"\n")}, err);
    }
    return mg_error_set(err, MG_ECONFIG,
                        "no URL of PostgreSQL, which has the form "
                        "postgres://user:password@host:port/name");
}

int mg_pg_settings_read(mg_pg_settings *s, mg_str url, mg_error *err) {
    mg_arena arena = s->arena;
    *s = defaults;
    s->arena = arena;
    mg_buf rest = {0};
    PQconninfoOption *options = NULL;
    int rc = mg_libpq_load(err);
    if (rc == MG_OK) {
        rc = judge_authority(url, err);
    }
    if (rc == MG_OK) {
        rc = part_options(s, url, &rest, err);
    }
    if (rc == MG_OK) {
        char *why = NULL;
        options = PQconninfoParse(rest.p, &why);
        if (options == NULL) {
            rc = refuse_url(why, err);
            PQfreemem(why);
        }
    }
    if (options != NULL) {
        rc = take_options(s, options, err);
        make_name(s, options);
    }
    if (rc == MG_OK && s->minimum > s->pool) {
        rc = mg_error_set(err, MG_ECONFIG, "min=%u is more than pool=%u", s->minimum, s->pool);
    }
    if (options != NULL) {
        PQconninfoFree(options);
    }
    mg_buf_deinit(&rest);
    return rc;
}

void mg_pg_settings_deinit(mg_pg_settings *s) {
    mg_arena_deinit(&s->arena);
    memset(s, 0, sizeof *s);
}

int mg_pg_password(const mg_pg_settings *s, char *out, size_t size, mg_error *err) {
    FILE *f = fopen(s->password_file, "re");
    bool good = f != NULL && fgets(out, (int)size, f) != NULL;
    if (!good) {
        const char *why = f == NULL || ferror(f) ? strerror(errno) : "it is empty";
        mg_error_set(err, MG_ECONFIG, "password_file %s: %s", s->password_file, why);
    }
    if (f != NULL) {
        fclose(f);
    }
    out[good ? strcspn(out, "\r\n") : 0] = '\0';
    return good ? MG_OK : MG_ECONFIG;
}
