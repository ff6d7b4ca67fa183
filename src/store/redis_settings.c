#include "store/redis_settings.h"

#include "base/codec.h"
#include "base/json_number.h"
#include "base/suggest.h"

#include <stdio.h>
#include <unistd.h>

// --- what there is ---

typedef enum option_kind { NUMBER, SECONDS, SIZE, BOOLEAN, TEXT, FILE_PATH } option_kind;

typedef struct option {
    const char *name;
    option_kind kind;
    size_t offset;
    uint64_t least, most; // of SECONDS in milliseconds
    uint8_t of;           // bits of the kinds of services that know it
} option;

#define AT(field) offsetof(mg_redis_settings, field)

enum { ALL = 7, SENTINELS = 1 << MG_REDIS_SENTINEL, CLUSTERS = 1 << MG_REDIS_CLUSTER };

static const option options[] = {
    {"backoff", SECONDS, AT(backoff_ms), 10, 60000, ALL},
    {"ca", FILE_PATH, AT(ca), 0, 0, ALL},
    {"cert", FILE_PATH, AT(cert), 0, 0, ALL},
    {"client_name", TEXT, AT(client_name), 0, 0, ALL},
    {"connect_timeout", SECONDS, AT(connect_ms), 10, 600000, ALL},
    {"connections", NUMBER, AT(connections), 1, 64, ALL},
    {"db", NUMBER, AT(database), 0, 65535, ALL},
    {"insecure", BOOLEAN, AT(insecure), 0, 0, ALL},
    {"key", FILE_PATH, AT(key), 0, 0, ALL},
    {"leases", NUMBER, AT(leases), 1, 1000, ALL},
    {"max_reply", SIZE, AT(reply_bytes), 1024, (uint64_t)1 << 30, ALL},
    {"near", SIZE, AT(near_bytes), 1 << 20, (uint64_t)1 << 36, ALL},
    {"password_file", FILE_PATH, AT(password_file), 0, 0, ALL},
    {"prefix", TEXT, AT(prefix), 0, 0, ALL},
    {"queue", NUMBER, AT(queue), 1, 1000000, ALL},
    {"replicas", BOOLEAN, AT(replicas), 0, 0, CLUSTERS},
    {"resp", NUMBER, AT(resp), 2, 3, ALL},
    {"sentinel_password", TEXT, AT(sentinel_password), 0, 0, SENTINELS},
    {"sentinel_password_file", FILE_PATH, AT(sentinel_password_file), 0, 0, SENTINELS},
    {"sentinel_user", TEXT, AT(sentinel_user), 0, 0, SENTINELS},
    {"server_name", TEXT, AT(server_name), 0, 0, ALL},
    {"timeout", SECONDS, AT(timeout_ms), 10, 600000, ALL},
};

enum { OPTIONS = sizeof options / sizeof *options };

static const mg_redis_settings defaults = {
    .connections = 2,
    .leases = 64,
    .timeout_ms = 1000,
    .connect_ms = 2000,
    .backoff_ms = 1000,
    .queue = 10000,
    .reply_bytes = 16 << 20,
    .resp = 3,
    .client_name = "moongate",
    .prefix = "",
};

typedef struct scheme {
    const char *text;
    mg_redis_kind kind;
    bool tls, is_path;
} scheme;

static const scheme schemes[] = {
    {"redis://", MG_REDIS_SINGLE, false, false},
    {"rediss://", MG_REDIS_SINGLE, true, false},
    {"redis+unix://", MG_REDIS_SINGLE, false, true},
    {"redis+sentinel://", MG_REDIS_SENTINEL, false, false},
    {"rediss+sentinel://", MG_REDIS_SENTINEL, true, false},
    {"redis+cluster://", MG_REDIS_CLUSTER, false, false},
    {"rediss+cluster://", MG_REDIS_CLUSTER, true, false},
};

static const scheme *scheme_of(mg_str url) {
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (mg_str_starts(url, mg_str_of(schemes[i].text))) {
            return &schemes[i];
        }
    }
    return NULL;
}

bool mg_redis_is_url(mg_str url) {
    return mg_str_starts(url, MG_STR("redis:")) || mg_str_starts(url, MG_STR("rediss:")) ||
           mg_str_starts(url, MG_STR("redis+")) || mg_str_starts(url, MG_STR("rediss+"));
}

// --- texts ---

// NULL: it has a wrong percent code, or a NUL.
static char *decode(mg_redis_settings *s, mg_str text) {
    mg_buf b = {0};
    char *out = NULL;
    if (mg_percent_decode(&b, text) == MG_OK && (b.n == 0 || memchr(b.p, '\0', b.n) == NULL)) {
        out = mg_arena_copy(&s->arena, mg_buf_str(&b));
    }
    if (b.cap > 0) {
        explicit_bzero(b.p, b.cap);
    }
    mg_buf_deinit(&b);
    return out;
}

static int wrong_form(mg_error *err, const char *what) {
    return mg_error_set(err, MG_ECONFIG,
                        "%s; the form is redis://user:password@host:port/database?option=value",
                        what);
}

// --- options ---

static int wrong_value(const option *o, mg_str value, mg_error *err) {
    static const char *const wanted[] = {
        [NUMBER] = "a whole number", [SECONDS] = "seconds", [SIZE] = "a size such as 64M",
        [BOOLEAN] = "true or false", [TEXT] = "a text",     [FILE_PATH] = "an absolute path",
    };
    bool secret = strstr(o->name, "password") != NULL;
    mg_str shown = secret ? MG_STR("...") : value;
    char range[64] = "";
    if (o->kind == NUMBER || o->kind == SIZE) {
        snprintf(range, sizeof range, " from %llu to %llu", (unsigned long long)o->least,
                 (unsigned long long)o->most);
    } else if (o->kind == SECONDS) {
        snprintf(range, sizeof range, " from %g to %g", (double)o->least / 1000,
                 (double)o->most / 1000);
    }
    return mg_error_set(err, MG_ECONFIG, "%s=%.*s: allowed: %s%s", o->name,
                        (int)(shown.n < 40 ? shown.n : 40), shown.p, wanted[o->kind], range);
}

static bool read_seconds(mg_str text, uint64_t *ms) {
    double seconds;
    mg_json_number n = mg_json_find_number(text);
    bool good = n.good && n.text.n == text.n && mg_json_to_double(text, &seconds) && seconds >= 0 &&
                seconds < 1e6;
    *ms = good ? (uint64_t)(seconds * 1000 + 0.5) : 0;
    return good;
}

static bool take_number(void *field, const option *o, const char *text) {
    uint64_t n;
    bool good = o->kind == SECONDS ? read_seconds(mg_str_of(text), &n)
                : o->kind == SIZE  ? mg_str_to_size(mg_str_of(text), &n)
                                   : mg_str_to_u64(mg_str_of(text), o->most, &n);
    if (!good || n < o->least || n > o->most) {
        return false;
    }
    if (o->kind == SIZE) {
        *(uint64_t *)field = n;
    } else {
        *(uint32_t *)field = (uint32_t)n;
    }
    return true;
}

static bool take_value(mg_redis_settings *s, const option *o, char *text) {
    void *field = (char *)s + o->offset;
    switch (o->kind) {
    case BOOLEAN:
        *(bool *)field = strcmp(text, "true") == 0;
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case TEXT:
        *(char **)field = text;
        return true;
    case FILE_PATH:
        *(char **)field = text;
        return text[0] == '/';
    default:
        return take_number(field, o, text);
    }
}

static int unknown_option(const mg_redis_settings *s, mg_str name, mg_error *err) {
    if (name.n > 0 && memchr(name.p, '@', name.n) != NULL) { // the rest of a password, perhaps
        return wrong_form(err, "in user and password a ? is written as %3F");
    }
    mg_suggest nearest;
    mg_buf text = {0};
    mg_suggest_init(&nearest, name);
    mg_buf_printf(&text, "there is no option \"%.*s\"", (int)(name.n < 40 ? name.n : 40), name.p);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].of & 1 << s->kind) {
            mg_suggest_offer(&nearest, mg_str_of(options[i].name));
        }
    }
    mg_suggest_append(&nearest, &text);
    mg_buf_append_str(&text, MG_STR("; allowed:"));
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].of & 1 << s->kind) {
            mg_buf_printf(&text, " %s", options[i].name);
        }
    }
    int rc = mg_error_set(err, MG_ECONFIG, "%.*s", (int)text.n, text.p);
    mg_buf_deinit(&text);
    return rc;
}

static int take_option(mg_redis_settings *s, mg_str pair, mg_error *err) {
    mg_str name = mg_str_cut(&pair, '=');
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *o = &options[i];
        if ((o->of & 1 << s->kind) && mg_str_eq(name, mg_str_of(o->name))) {
            char *text = decode(s, pair);
            bool good = text != NULL && take_value(s, o, text);
            return good ? MG_OK : wrong_value(o, pair, err);
        }
    }
    return unknown_option(s, name, err);
}

static int take_options(mg_redis_settings *s, mg_str query, mg_error *err) {
    int rc = MG_OK;
    while (rc == MG_OK && query.n > 0) {
        mg_str pair = mg_str_cut(&query, '&');
        rc = pair.n > 0 ? take_option(s, pair, err) : MG_OK;
    }
    return rc;
}

// --- hosts ---

static int take_host(mg_redis_settings *s, mg_str text, mg_error *err) {
    uint64_t port = s->kind == MG_REDIS_SENTINEL ? 26379 : 6379;
    mg_str host = text;
    mg_str rest = {NULL, 0};
    if (s->host_count == MG_REDIS_HOSTS) {
        return mg_error_set(err, MG_ECONFIG, "more than %d hosts", MG_REDIS_HOSTS);
    }
    if (text.n > 0 && text.p[0] == '[') {
        mg_str_skip(&text, 1);
        rest = text;
        host = mg_str_cut(&rest, ']');
        if (rest.n > 0 && rest.p[0] != ':') {
            return wrong_form(err, "what follows ] is no port");
        }
        if (rest.n > 0) {
            mg_str_skip(&rest, 1);
        }
    } else {
        rest = text;
        host = mg_str_cut(&rest, ':');
    }
    if (rest.n > 0 && (!mg_str_to_u64(rest, 65535, &port) || port == 0)) {
        return wrong_form(err, "the port is no number from 1 to 65535");
    }
    if (host.n == 0) {
        return wrong_form(err, "a host is missing");
    }
    char *name = decode(s, host);
    if (name == NULL) {
        return wrong_form(err, "the host has a wrong percent code");
    }
    s->hosts[s->host_count++] = (mg_redis_host){name, (uint16_t)port};
    return MG_OK;
}

static int take_hosts(mg_redis_settings *s, mg_str text, mg_error *err) {
    int rc = MG_OK;
    if (text.n == 0) {
        return take_host(s, MG_STR("127.0.0.1"), err);
    }
    while (rc == MG_OK && text.n > 0) {
        rc = take_host(s, mg_str_cut(&text, ','), err);
    }
    if (rc == MG_OK && s->kind == MG_REDIS_SINGLE && s->host_count > 1) {
        return mg_error_set(err, MG_ECONFIG,
                            "several hosts: those of a cluster (redis+cluster://a,b), or sentinels "
                            "(redis+sentinel://a,b/service)");
    }
    return rc;
}

// "user:password": the name is left out for the default user, ":password".
static int take_user(mg_redis_settings *s, mg_str text, mg_error *err) {
    mg_str user = mg_str_cut(&text, ':');
    s->user = user.n > 0 ? decode(s, user) : NULL;
    s->password = text.n > 0 ? decode(s, text) : NULL;
    if ((user.n > 0 && s->user == NULL) || (text.n > 0 && s->password == NULL)) {
        return wrong_form(err, "user or password have a wrong percent code (an @ is %40, a : %3A)");
    }
    return MG_OK;
}

static int take_database(mg_redis_settings *s, mg_str path, mg_error *err) {
    uint64_t n = s->database;
    if (path.n > 0 && !mg_str_to_u64(path, 65535, &n)) {
        return wrong_form(err, "the database is a number");
    }
    s->database = (uint32_t)n;
    return MG_OK;
}

static int take_path(mg_redis_settings *s, mg_str path, mg_error *err) {
    if (s->kind != MG_REDIS_SENTINEL) {
        return take_database(s, path, err);
    }
    mg_str service = mg_str_cut(&path, '/');
    s->service = service.n > 0 ? decode(s, service) : NULL;
    if (s->service == NULL) {
        return mg_error_set(err, MG_ECONFIG,
                            "the service that the sentinels watch is missing: "
                            "redis+sentinel://host,host/SERVICE/database");
    }
    return take_database(s, path, err);
}

// --- all of it ---

static void make_name(mg_redis_settings *s, const scheme *is) {
    mg_buf b = {0};
    mg_buf_append_str(&b, mg_str_of(is->text));
    mg_buf_append_str(&b, mg_str_of(s->unix_path != NULL ? s->unix_path : ""));
    for (uint32_t i = 0; i < s->host_count; i++) {
        bool v6 = strchr(s->hosts[i].name, ':') != NULL;
        mg_buf_printf(&b, "%s%s%s%s:%u", i > 0 ? "," : "", v6 ? "[" : "", s->hosts[i].name,
                      v6 ? "]" : "", s->hosts[i].port);
    }
    if (s->service != NULL) {
        mg_buf_printf(&b, "/%s", s->service);
    }
    if (s->database != 0) {
        mg_buf_printf(&b, "/%u", s->database);
    }
    s->name = mg_arena_copy(&s->arena, mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static int judge(const mg_redis_settings *s, mg_error *err) {
    if (s->password != NULL && s->password_file != NULL) {
        return mg_error_set(err, MG_ECONFIG, "a password and a password_file: one of them");
    }
    if (s->sentinel_password != NULL && s->sentinel_password_file != NULL) {
        return mg_error_set(err, MG_ECONFIG,
                            "sentinel_password and sentinel_password_file: one of them");
    }
    if (s->kind == MG_REDIS_CLUSTER && s->database != 0) {
        return mg_error_set(err, MG_ECONFIG, "a cluster has no databases but 0");
    }
    if (!s->tls && (s->ca != NULL || s->cert != NULL || s->insecure || s->server_name != NULL)) {
        return mg_error_set(err, MG_ECONFIG, "options of TLS, but the scheme is not rediss://");
    }
    if ((s->cert == NULL) != (s->key == NULL)) {
        return mg_error_set(err, MG_ECONFIG, "cert and key belong together");
    }
    if (s->near_bytes > 0 && s->resp == 2) {
        return mg_error_set(err, MG_ECONFIG, "a near cache needs resp=3");
    }
    return MG_OK;
}

static int read_authority(mg_redis_settings *s, mg_str *rest, mg_error *err) {
    mg_str authority = mg_str_cut(rest, '/');
    const char *at = authority.n > 0 ? memrchr(authority.p, '@', authority.n) : NULL;
    if (at != NULL) {
        mg_str user = {authority.p, (size_t)(at - authority.p)};
        int rc = take_user(s, user, err);
        if (rc != MG_OK) {
            return rc;
        }
        mg_str_skip(&authority, user.n + 1);
    }
    return take_hosts(s, authority, err);
}

int mg_redis_settings_read(mg_redis_settings *s, mg_str url, mg_error *err) {
    mg_arena arena = s->arena;
    *s = defaults;
    s->arena = arena;
    const scheme *is = scheme_of(url);
    if (is == NULL) {
        return wrong_form(err, "no URL of Redis");
    }
    s->kind = is->kind;
    s->tls = is->tls;
    mg_str query = url;
    mg_str_skip(&query, strlen(is->text));
    mg_str rest = mg_str_cut(&query, '?');
    int rc = MG_OK;
    if (is->is_path) {
        s->unix_path = decode(s, rest);
        rc = s->unix_path != NULL && s->unix_path[0] == '/'
                 ? MG_OK
                 : mg_error_set(err, MG_ECONFIG, "the form is redis+unix:///path/of/the/socket");
    } else {
        rc = read_authority(s, &rest, err);
        rc = rc == MG_OK ? take_path(s, rest, err) : rc;
    }
    rc = rc == MG_OK ? take_options(s, query, err) : rc;
    rc = rc == MG_OK ? judge(s, err) : rc;
    make_name(s, is);
    return rc;
}

static void wipe(char *secret) {
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
    }
}

void mg_redis_settings_deinit(mg_redis_settings *s) {
    wipe(s->password);
    wipe(s->sentinel_password);
    mg_arena_deinit(&s->arena);
    memset(s, 0, sizeof *s);
}

static int read_file(const char *path, mg_buf *out, mg_error *err) {
    char line[512];
    FILE *f = fopen(path, "re");
    bool good = f != NULL && fgets(line, sizeof line, f) != NULL;
    if (f != NULL) {
        fclose(f);
    }
    if (!good) {
        return mg_error_set(err, MG_ECONFIG, "the password_file %s cannot be read", path);
    }
    line[strcspn(line, "\r\n")] = '\0';
    mg_buf_append(out, line, strlen(line) + 1);
    explicit_bzero(line, sizeof line);
    return MG_OK;
}

int mg_redis_settings_password(const mg_redis_settings *s, bool sentinel, mg_buf *out,
                               mg_error *err) {
    const char *file = sentinel ? s->sentinel_password_file : s->password_file;
    const char *text = sentinel ? s->sentinel_password : s->password;
    if (file != NULL) {
        return read_file(file, out, err);
    }
    if (text != NULL) {
        mg_buf_append(out, text, strlen(text) + 1);
    }
    return MG_OK;
}
