#include "config/upstream.h"

#include "base/suggest.h"
#include "config/upstream_value.h"
#include "http/url.h"

enum {
    LEAST_MS = 10,
    DAY_MS = 86400000,
    NAME_BYTES = 48,
    SERVERS_MOST = 1000,
    UPSTREAMS_MOST = 250,
    WEIGHT_MOST = 1000000,
    BALANCE_UNSAID = 99, // until all keys are read
};

static const char sticky_unsaid[] = "";

#define AT(field) offsetof(mg_upstream_options, field)
#define PER       1000 // bounds of shares are in thousandths

static const mg_config_key keys[] = {
    {"servers", MG_CONFIG_SERVERS, AT(servers), NULL, 0, 0, NULL,
     "URLs, or tables: { url = \"http://a:80\", weight = 3, backup = true }"},
    {"balance", MG_CONFIG_CHOICE, AT(balance), "\"p2c\"", 0, 0,
     "p2c|round_robin|least_requests|random|hash",
     "p2c: of two drawn the one with less latency x in flight"},
    {"hash", MG_CONFIG_HASH, AT(hash_by), "false", 0, 0, NULL,
     "A key stays with its server, up to 1.25 x its share; makes balance \"hash\""},
    {"slow_start", MG_CONFIG_SECONDS, AT(slow_start_ms), "0", 0, DAY_MS, NULL,
     "A server that comes gets its whole share after so long; 0: at once"},

    {"health", MG_CONFIG_OPTIONAL_TABLE, AT(health.on), NULL, 0, 0, NULL,
     "Servers are asked how they are; one worker asks for all"},
    {"health.path", MG_CONFIG_OPTIONAL_TEXT, AT(health.path), "false", 0, 0, NULL,
     "GET of this; false: that it takes connections is enough"},
    {"health.grpc", MG_CONFIG_SERVICE, AT(health.grpc), "false", 0, 0, NULL,
     "By grpc.health.v1 instead: a service; \"\": the whole server"},
    {"health.host", MG_CONFIG_OPTIONAL_TEXT, AT(health.host), "false", 0, 0, NULL,
     "Host of these requests; false: the server's"},
    {"health.interval", MG_CONFIG_SECONDS, AT(health.interval_ms), "5", LEAST_MS, DAY_MS, NULL,
     "Between two"},
    {"health.timeout", MG_CONFIG_SECONDS, AT(health.timeout_ms), "1", LEAST_MS, DAY_MS, NULL,
     "For the whole answer"},
    {"health.status", MG_CONFIG_STATUSES, AT(health.status), "\"200-399\"", 0, 0, NULL,
     "What is well"},
    {"health.up", MG_CONFIG_COUNT, AT(health.up), "2", 1, 1000, NULL,
     "So many good answers in a row bring it back"},
    {"health.down", MG_CONFIG_COUNT, AT(health.down), "3", 1, 1000, NULL,
     "So many bad ones take it out"},

    {"outlier", MG_CONFIG_OPTIONAL_TABLE, AT(outlier.on), NULL, 0, 0, NULL,
     "A server that fails requests is left out for a while, longer each time"},
    {"outlier.failures", MG_CONFIG_COUNT, AT(outlier.failures), "5", 1, 100000, NULL,
     "So many in a row: no connection, no answer, 5xx"},
    {"outlier.eject", MG_CONFIG_SECONDS, AT(outlier.eject_ms), "10", LEAST_MS, DAY_MS, NULL,
     "For so long, the first time"},
    {"outlier.most", MG_CONFIG_SHARE, AT(outlier.most), "0.5", 0, PER, NULL,
     "Of the servers at once; the last one never"},

    {"circuit", MG_CONFIG_OPTIONAL_TABLE, AT(circuit.on), NULL, 0, 0, NULL,
     "Beyond these bounds 503 at once, for all workers together"},
    {"circuit.in_flight", MG_CONFIG_COUNT, AT(circuit.in_flight), "1024", 1, 1000000, NULL,
     "Requests under way"},
    {"circuit.waiting", MG_CONFIG_COUNT, AT(circuit.waiting), "128", 0, 1000000, NULL,
     "Requests that wait for a connection"},
    {"circuit.failures", MG_CONFIG_SHARE, AT(circuit.failures), "0.5", 1, PER, NULL,
     "Of the last requests; beyond it none is sent for a while"},
    {"circuit.volume", MG_CONFIG_COUNT, AT(circuit.volume), "20", 1, 100000, NULL,
     "... once there were so many"},
    {"circuit.open", MG_CONFIG_SECONDS, AT(circuit.open_ms), "5", LEAST_MS, DAY_MS, NULL,
     "... for so long; then one is tried"},

    {"retries", MG_CONFIG_OPTIONAL_TABLE, AT(retries.on), NULL, 0, 0, NULL,
     "Of idempotent requests, on another server"},
    {"retries.count", MG_CONFIG_COUNT, AT(retries.count), "1", 0, 10, NULL, "Beside the first try"},
    {"retries.try_timeout", MG_CONFIG_SECONDS, AT(retries.try_timeout_ms), "0", 0, DAY_MS, NULL,
     "A try until its answer begins; 0: as timeouts say"},
    {"retries.budget", MG_CONFIG_SHARE, AT(retries.budget), "0.2", 0, PER, NULL,
     "Of the requests in flight, in all workers; at least 3"},
    {"retries.on", MG_CONFIG_RETRY_ON, AT(retries), "[\"connect\", \"closed\", 502, 503, 504]", 0,
     0, NULL, "After which faults (of gRPC too)"},

    {"hedge", MG_CONFIG_TABLE, 0, NULL, 0, 0, NULL, "A second try while the first one waits"},
    {"hedge.after", MG_CONFIG_SECONDS, AT(hedge_after_ms), "0", 0, DAY_MS, NULL,
     "... for so long, of idempotent requests; 0: never"},
    {"mirror", MG_CONFIG_TABLE, 0, NULL, 0, 0, NULL,
     "Copies of requests, whose answers are dropped"},
    {"mirror.to", MG_CONFIG_OPTIONAL_TEXT, AT(mirror.to), "false", 0, 0, NULL,
     "The upstream that gets them"},
    {"mirror.share", MG_CONFIG_SHARE, AT(mirror.share), "1", 0, PER, NULL, "Of the requests"},

    {"timeouts", MG_CONFIG_TABLE, 0, NULL, 0, 0, NULL, "In seconds; beyond each of them 504"},
    {"timeouts.connect", MG_CONFIG_SECONDS, AT(timeouts.connect_ms), "2", LEAST_MS, DAY_MS, NULL,
     "Name, connection and handshake"},
    {"timeouts.first_byte", MG_CONFIG_SECONDS, AT(timeouts.first_byte_ms), "30", LEAST_MS, DAY_MS,
     NULL, "Until the answer's head, once the request is sent"},
    {"timeouts.idle", MG_CONFIG_SECONDS, AT(timeouts.idle_ms), "60", LEAST_MS, DAY_MS, NULL,
     "Between two pieces of content"},
    {"timeouts.total", MG_CONFIG_SECONDS, AT(timeouts.total_ms), "0", 0, DAY_MS, NULL,
     "All of it; 0: any"},

    {"connections", MG_CONFIG_COUNT, AT(connections), "64", 1, 4096, NULL,
     "Of a worker to one server"},
    {"idle", MG_CONFIG_SECONDS, AT(idle_ms), "4", LEAST_MS, DAY_MS, NULL,
     "An unused connection is kept for so long: less than the server keeps it"},
    {"host", MG_CONFIG_HOST, AT(host), "\"client\"", 0, 0, NULL, "What the server is told as Host"},

    {"tls", MG_CONFIG_TABLE, 0, NULL, 0, 0, NULL, "Of servers whose URL begins with https"},
    {"tls.ca", MG_CONFIG_OPTIONAL_PATH, AT(tls.ca), "false", 0, 0, NULL,
     "Certificates that are trusted, PEM; false: as http.ca says"},
    {"tls.cert", MG_CONFIG_OPTIONAL_PATH, AT(tls.cert), "false", 0, 0, NULL,
     "Shown to a server that asks for one, PEM"},
    {"tls.key", MG_CONFIG_OPTIONAL_PATH, AT(tls.key), "false", 0, 0, NULL, "Its key"},
    {"tls.server_name", MG_CONFIG_OPTIONAL_TEXT, AT(tls.server_name), "false", 0, 0, NULL,
     "Asked for and verified; false: the host of the URL"},
    {"tls.insecure", MG_CONFIG_BOOL, AT(tls.insecure), "false", 0, 0, NULL,
     "Certificates are not verified: anybody can stand between"},
    {"http2", MG_CONFIG_HTTP2, AT(http2), "\"auto\"", 0, 0, NULL,
     "\"auto\": over TLS, if the server offers it; true: without TLS too"},
    {"ping", MG_CONFIG_SECONDS, AT(ping_ms), "15", 0, DAY_MS, NULL,
     "HTTP/2: a server that is silent for so long gets a PING; 0: none"},
    {"proxy_protocol", MG_CONFIG_PROXY_PROTOCOL, AT(proxy_protocol), "false", 0, 0, NULL,
     "Each connection begins with that version's header, for one client"},

    {"split", MG_CONFIG_SPLIT, AT(arms), NULL, 0, 0, NULL,
     "Instead of servers: upstreams and their weights, { { \"old\", 95 }, { \"new\", 5 } }"},
    {"sticky", MG_CONFIG_STICKY, AT(sticky), "false", 0, 0, NULL,
     "A client keeps to its part of a split by this cookie"},
};
const mg_config_table mg_upstream_table = {keys, sizeof keys / sizeof keys[0]};

#define SERVER(field) offsetof(mg_upstream_server_options, field)

static const mg_config_key server_keys[] = {
    {"url", MG_CONFIG_SERVER_URL, SERVER(url), NULL, 0, 0, NULL, "Where"},
    {"weight", MG_CONFIG_COUNT, SERVER(weight), "1", 1, 1000, NULL, "Its share among the others"},
    {"backup", MG_CONFIG_BOOL, SERVER(backup), "false", 0, 0, NULL,
     "Used when none of the others can be"},
};
const mg_config_table mg_upstream_server_table = {server_keys,
                                                  sizeof server_keys / sizeof server_keys[0]};

// --- lists ---

// Reads items into `items` by `take`, which returns false where it has said what is wrong.
typedef bool (*take_item)(mg_config_reading *r, mg_json_token t, void *item);
typedef struct list {
    const char *what; // "a list of ..."
    take_item take;
    size_t bytes; // of an item
    size_t most;
} list;

static void add_item(mg_config_reading *r, const list *l, mg_json_token t, size_t i,
                     mg_buf *items) {
    size_t before = r->path.n;
    mg_buf_printf(&r->path, "[%zu]", i);
    if (l->take(r, t, mg_buf_reserve(items, l->bytes)) && i <= l->most) {
        items->n += l->bytes;
    }
    r->path.n = before;
}

// An empty table of Lua comes as an empty object; with names in it, it is no list.
static bool begin_list(mg_config_reading *r, const list *l, mg_json_token t) {
    if (t == MG_JSON_ARRAY) {
        return true;
    }
    bool empty = false;
    if (t == MG_JSON_OBJECT) {
        mg_json_token next = mg_json_next(&r->json);
        empty = next == MG_JSON_OBJECT_END;
        for (; next == MG_JSON_KEY; next = mg_json_next(&r->json)) {
            mg_config_skip(r, mg_json_next(&r->json));
        }
    }
    if (!empty) {
        mg_config_fault(r, "is no list, allowed: %s", l->what);
    }
    return false;
}

static size_t take_list(mg_config_reading *r, const list *l, mg_json_token t, void **out) {
    mg_buf items = {0};
    size_t i = 0;
    if (begin_list(r, l, t)) {
        while ((t = mg_json_next(&r->json)) != MG_JSON_ARRAY_END && t != MG_JSON_ERROR) {
            add_item(r, l, t, ++i, &items);
        }
    }
    if (i > l->most) {
        mg_config_fault(r, "has %zu items, allowed: up to %zu", i, l->most);
    }
    size_t n = items.n / l->bytes;
    *out = mg_config_settle(r, &items);
    return n;
}

// --- servers ---

static bool take_server(mg_config_reading *r, mg_json_token t, void *item) {
    mg_upstream_server_options o = {0};
    size_t faults = r->fault_count;
    void *before = r->into;
    r->into = &o;
    mg_config_take_defaults(r, &mg_upstream_server_table);
    if (t == MG_JSON_OBJECT) {
        mg_config_take_table(r, &mg_upstream_server_table);
    } else {
        mg_config_take(r, &server_keys[0], t);
    }
    r->into = before;
    if (o.url == NULL && r->fault_count == faults) {
        mg_config_fault(r, "has no url, allowed: a URL, or a table as { url = \"http://a:80\", "
                           "weight = 3 }");
    }
    memcpy(item, &o, sizeof o);
    return r->fault_count == faults;
}

static void refuse_twice(mg_config_reading *r, const mg_upstream_servers *s) {
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->items[i].url, s->items[j].url) == 0) {
                mg_config_fault(r, "\"%s\" is listed twice, allowed: once (weight gives it more)",
                                s->items[i].url);
                return;
            }
        }
    }
}

void mg_config_take_servers(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    static const list servers = {"a list of URLs as { \"http://127.0.0.1:9001\" }, or of tables as "
                                 "{ url = ..., weight = 3 }",
                                 take_server, sizeof(mg_upstream_server_options), SERVERS_MOST};
    mg_upstream_servers *out = mg_config_field(r, key);
    void *items;
    out->n = take_list(r, &servers, t, &items);
    out->items = items;
    refuse_twice(r, out);
}

// --- arms of a split ---

// Its opening bracket has been read; `t` is the last token that was.
static bool read_arm(mg_config_reading *r, mg_upstream_arm *arm, mg_json_token *t) {
    *t = mg_json_next(&r->json);
    if (*t != MG_JSON_STRING) {
        return false;
    }
    arm->upstream = mg_arena_copy(&r->config->arena, r->json.text);
    *t = mg_json_next(&r->json);
    if (*t != MG_JSON_I64 || r->json.i64 < 0 || r->json.i64 > WEIGHT_MOST) {
        return false;
    }
    arm->weight = (uint64_t)r->json.i64;
    *t = mg_json_next(&r->json);
    return *t == MG_JSON_ARRAY_END;
}

static bool take_arm(mg_config_reading *r, mg_json_token t, void *item) {
    mg_upstream_arm arm = {0};
    mg_json_token last = MG_JSON_ARRAY_END;
    bool good = t == MG_JSON_ARRAY && read_arm(r, &arm, &last);
    if (!good) {
        if (t != MG_JSON_ARRAY) {
            mg_config_skip(r, t);
        }
        while (last != MG_JSON_ARRAY_END && last != MG_JSON_ERROR) {
            mg_config_skip(r, last);
            last = mg_json_next(&r->json);
        }
        mg_config_fault(r, "is wrong, allowed: a name and a weight, as { \"shop_new\", 5 }");
    }
    memcpy(item, &arm, sizeof arm);
    return good;
}

void mg_config_take_split(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    static const list arms = {"a list of names and weights as { { \"old\", 95 }, { \"new\", 5 } }",
                              take_arm, sizeof(mg_upstream_arm), UPSTREAMS_MOST};
    mg_upstream_options *o = r->into;
    void *items;
    (void)key;
    o->arm_count = take_list(r, &arms, t, &items);
    o->arms = items;
}

// --- one upstream ---

static void fault_at(mg_config_reading *r, const char *key, const char *text) {
    size_t before = r->path.n;
    mg_buf_printf(&r->path, ".%s", key);
    mg_config_fault(r, "%s", text);
    r->path.n = before;
}

static uint64_t weight_of_arms(const mg_upstream_options *o) {
    uint64_t all = 0;
    for (size_t i = 0; i < o->arm_count; i++) {
        all += o->arms[i].weight;
    }
    return all;
}

static void judge(mg_config_reading *r, mg_upstream_options *o, bool has_servers, bool has_split) {
    if (o->balance == BALANCE_UNSAID) {
        o->balance = o->hash_by != MG_HASH_NONE ? MG_BALANCE_HASH : MG_BALANCE_P2C;
    }
    if (o->balance == MG_BALANCE_HASH && o->hash_by == MG_HASH_NONE) {
        fault_at(r, "balance",
                 "\"hash\" needs a key, allowed besides: hash = \"ip\", \"path\", \"header:NAME\", "
                 "\"cookie:NAME\" or \"query:NAME\"");
    }
    if (has_servers && has_split) {
        fault_at(r, "split", "has its servers in its parts, allowed: either split or servers");
    } else if (!has_servers && !has_split) {
        mg_config_fault(r, "has no servers, allowed: servers = { \"http://host:port\" }, or "
                           "servers = {} for a script that finds them");
    } else if (has_split && o->arm_count == 0) {
        fault_at(r, "split", "is empty, allowed: names and weights, as { { \"old\", 95 } }");
    } else if (has_split && weight_of_arms(o) == 0) {
        fault_at(r, "split", "has no part with a weight, allowed: one above 0 at least");
    }
    if (o->mirror.to == NULL && o->mirror.share != 1) {
        fault_at(r, "mirror", "has a share and no upstream that gets it, allowed: to = \"NAME\"");
    }
    if (o->sticky != NULL && !has_split) {
        fault_at(r, "sticky", "is for a split, allowed here: hash = \"cookie:NAME\"");
    }
    if ((o->tls.cert == NULL) != (o->tls.key == NULL)) {
        fault_at(r, "tls", "cert and key go together, allowed: both or neither");
    }
    if (o->health.path != NULL &&
        (o->health.path[0] != '/' || !mg_url_is_strict(mg_str_of(o->health.path)))) {
        fault_at(r, "health.path", "is no path, allowed: a path as \"/health\", or false");
    }
}

void mg_upstream_default(mg_upstream_options *out, mg_arena *a) {
    mg_config c = {.arena = *a, .file = "upstreams", .root = "/"};
    mg_buf faults = {0};
    const mg_config_reading r = {.config = &c, .into = out, .faults = &faults};
    *out = (mg_upstream_options){0};
    mg_config_take_defaults(&r, &mg_upstream_table);
    mg_buf_deinit(&faults);
    *a = c.arena;
}

static void take_whole(mg_config_reading *r, mg_json_token t, mg_upstream_options *o) {
    size_t faults = r->fault_count;
    void *before = r->into;
    mg_upstream_default(o, &r->config->arena);
    o->balance = BALANCE_UNSAID;
    o->sticky = sticky_unsaid;
    r->into = o;
    size_t n = 0;
    if (t == MG_JSON_OBJECT) {
        n = mg_config_take_table(r, &mg_upstream_table);
        if (n == 0) { // an empty list, in Lua
            o->servers.items = mg_arena_alloc(&r->config->arena, 0);
        }
    } else if (t == MG_JSON_ARRAY) {
        mg_config_take_servers(r, &keys[0], t);
    } else {
        mg_config_skip(r, t);
        mg_config_fault(r, "is neither a list nor a table, allowed: a list of URLs as { "
                           "\"http://127.0.0.1:9001\" }, or a table as { servers = ... }");
    }
    r->into = before;
    bool has_others = n > (o->sticky == sticky_unsaid ? 1 : 2); // than split and sticky
    o->sticky = o->sticky == sticky_unsaid ? NULL : o->sticky;
    if (r->fault_count == faults) {
        judge(r, o, o->servers.items != NULL, o->arms != NULL);
    }
    if (r->fault_count == faults && o->arms != NULL && has_others) {
        fault_at(r, "split", "goes with sticky alone, allowed: all other keys where its parts are");
    }
}

// --- all of them ---

static bool is_name(mg_str s) {
    bool good = s.n > 0 && s.n <= NAME_BYTES;
    for (size_t i = 0; good && i < s.n; i++) {
        char c = mg_lower(s.p[i]);
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    return good;
}

// The reader stands behind a name.
static void add_named(mg_config_reading *r, mg_buf *all) {
    mg_upstream_options o;
    size_t before = r->path.n;
    mg_str name = {mg_arena_copy(&r->config->arena, r->json.text), r->json.text.n};
    if (!is_name(name)) {
        mg_config_fault(r,
                        "\"%.*s\" is no name of an upstream, allowed: up to %d letters, digits, "
                        "_ and -",
                        (int)(name.n < NAME_BYTES ? name.n : NAME_BYTES), name.p, NAME_BYTES);
        mg_config_skip(r, mg_json_next(&r->json));
        return;
    }
    mg_buf_printf(&r->path, ".%s", name.p);
    take_whole(r, mg_json_next(&r->json), &o);
    o.name = name.p;
    mg_buf_append(all, &o, sizeof o);
    r->path.n = before;
}

static const mg_upstream_options *find(const mg_upstreams_options *all, const char *name) {
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->items[i].name, name) == 0) {
            return &all->items[i];
        }
    }
    return NULL;
}

static void fault_no_upstream(mg_config_reading *r, const mg_upstreams_options *all,
                              const char *name) {
    mg_suggest s;
    mg_buf text = {0};
    mg_suggest_init(&s, mg_str_of(name));
    for (size_t i = 0; i < all->n; i++) {
        mg_suggest_offer(&s, mg_str_of(all->items[i].name));
    }
    mg_suggest_append(&s, &text);
    mg_config_fault(r, "\"%s\" is no upstream, allowed: one of this table%.*s", name, (int)text.n,
                    text.p == NULL ? "" : text.p);
    mg_buf_deinit(&text);
}

static void judge_names(mg_config_reading *r, const mg_upstreams_options *all,
                        const mg_upstream_options *o) {
    size_t before = r->path.n;
    for (size_t i = 0; i < o->arm_count; i++) {
        const mg_upstream_options *arm = find(all, o->arms[i].upstream);
        mg_buf_printf(&r->path, ".%s.split[%zu]", o->name, i + 1);
        if (arm == NULL) {
            fault_no_upstream(r, all, o->arms[i].upstream);
        } else if (arm->arm_count > 0) {
            mg_config_fault(r, "\"%s\" is a split itself, allowed: an upstream with servers",
                            arm->name);
        }
        r->path.n = before;
    }
    if (o->mirror.to != NULL) {
        mg_buf_printf(&r->path, ".%s.mirror.to", o->name);
        if (find(all, o->mirror.to) == NULL) {
            fault_no_upstream(r, all, o->mirror.to);
        } else if (strcmp(o->mirror.to, o->name) == 0) {
            mg_config_fault(r, "is the upstream itself, allowed: another one");
        }
        r->path.n = before;
    }
}

void mg_config_take_upstreams(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_upstreams_options *out = mg_config_field(r, key);
    mg_buf all = {0};
    if (t != MG_JSON_OBJECT) {
        mg_config_refuse(r, key, t);
        mg_config_skip(r, t);
        return;
    }
    size_t faults = r->fault_count;
    while (mg_json_next(&r->json) == MG_JSON_KEY) {
        add_named(r, &all);
    }
    out->n = all.n / sizeof *out->items;
    out->items = mg_config_settle(r, &all);
    if (out->n > UPSTREAMS_MOST) {
        mg_config_fault(r, "has %zu upstreams, allowed: up to %d", out->n, UPSTREAMS_MOST);
    }
    for (size_t i = 0; r->fault_count == faults && i < out->n; i++) {
        judge_names(r, out, &out->items[i]);
    }
}

// --- what a script gives ---

// Without the name of a file.
static int first_fault(mg_error *err, mg_str faults) {
    mg_str_skip(&faults, sizeof ": " - 1);
    const char *end = memchr(faults.p, '\n', faults.n);
    return mg_error_set(err, MG_ECONFIG, "%.*s", (int)(end != NULL ? end - faults.p : 0), faults.p);
}

int mg_upstream_servers_read(mg_upstream_servers *out, mg_arena *a, const char *root, mg_str json,
                             mg_error *err) {
    static const mg_config_key key = {"servers", MG_CONFIG_SERVERS, 0, NULL, 0, 0, NULL, NULL};
    mg_buf faults = {0};
    mg_config c = {.arena = *a, .file = "", .root = root};
    mg_config_reading r = {.config = &c, .into = out, .faults = &faults};
    mg_json_reader_init(&r.json, json, &r.decoded, 0);
    *out = (mg_upstream_servers){0};
    mg_buf_append_str(&r.path, MG_STR("servers"));
    mg_config_take_servers(&r, &key, mg_json_next(&r.json));
    *a = c.arena;
    int rc = r.fault_count == 0 ? MG_OK : first_fault(err, mg_buf_str(&faults));
    mg_buf_deinit(&r.path);
    mg_buf_deinit(&r.decoded);
    mg_buf_deinit(&faults);
    return rc;
}
