#include "testkit/net.h"

#include "base/mem.h"
#include "client/client.h"
#include "config/options.h"
#include "config/upstream.h"
#include "event/outward.h"
#include "lua/stream.h"
#include "proxy/members.h"
#include "testkit/kit_inside.h"
#include "testkit/peer.h"

enum { STREAM_WINDOW = 256 * 1024 };

typedef struct dial {
    mg_link untold;
    mg_connect *connect;
    uint64_t number;
    uint16_t port;
    char *host; // or the path of a Unix socket, whose port is 0
    char *server_name;
} dial;

static void on_connect(void *arg, mg_connect *c, const mg_connect_options *wanted) {
    mg_testkit_net *n = arg;
    const char *path = wanted->unix_path;
    const char *name = wanted->server_name;
    dial *d = mg_calloc(1, sizeof *d);
    d->connect = c;
    d->port = path != NULL ? 0 : wanted->port;
    d->host = mg_strdup(path != NULL ? path : wanted->host);
    d->server_name = mg_strdup(name != NULL ? name : "");
    d->number = mg_slots_add(&n->dials, d);
    mg_link_append(&n->untold, &d->untold);
    mg_loop_turn_soon(n->loop); // the spec looks before time goes on
}

static void forget(mg_testkit_net *n, dial *d) {
    mg_slots_remove(&n->dials, d->number);
    mg_link_remove(&d->untold);
    mg_free(d->host);
    mg_free(d->server_name);
    mg_free(d);
}

static void on_gone(void *arg, mg_connect *c) {
    mg_testkit_net *n = arg;
    for (uint32_t i = 0; i < n->dials.count; i++) {
        dial *d = n->dials.slots[i].item;
        if (d != NULL && d->connect == c) {
            forget(n, d);
            return;
        }
    }
}

void mg_testkit_net_init(mg_testkit_net *n, mg_loop *loop) {
    *n = (mg_testkit_net){.seam = {.on_connect = on_connect, .on_gone = on_gone, .arg = n},
                          .loop = loop};
    mg_link_init(&n->untold);
    mg_connect_use(loop, &n->seam);
}

void mg_testkit_net_deinit(mg_testkit_net *n) {
    mg_slots_deinit(&n->dials);
}

// test_next_dial() -> number, host or path, port, server's name | nothing: all have been told
static int next_dial(lua_State *L) {
    mg_testkit_net *n = &mg_testkit_of(L)->net;
    mg_link *l = mg_link_shift(&n->untold);
    if (l == NULL) {
        return 0;
    }
    const dial *d = MG_OF(l, dial, untold);
    lua_pushnumber(L, (lua_Number)d->number);
    lua_pushstring(L, d->host);
    lua_pushinteger(L, d->port);
    lua_pushstring(L, d->server_name);
    return 4;
}

// Takes the dial at 1 out. NULL: it has been given up.
static mg_connect *take(lua_State *L) {
    mg_testkit_net *n = &mg_testkit_of(L)->net;
    dial *d = mg_slots_get(&n->dials, (uint64_t)luaL_checknumber(L, 1));
    mg_connect *c = d != NULL ? d->connect : NULL;
    if (d != NULL) {
        forget(n, d);
    }
    return c;
}

// test_accept(number) -> peer | nil: it has been given up
static int accept_dial(lua_State *L) {
    mg_connect *c = take(L);
    if (c == NULL) {
        return 0;
    }
    mg_testkit_push_accepted(L, c);
    return 1;
}

// --- a server that a function of the spec is ---

typedef struct inward {
    mg_stream stream;
    mg_outward outward;
} inward;

static inward *inward_of(mg_stream *s) {
    return MG_OF(s, inward, stream);
}

static void inward_read(mg_stream *s, const char *data, size_t n) {
    mg_outward_read(&inward_of(s)->outward, data, n);
}

static void inward_ended(mg_stream *s, int status) {
    mg_outward_ended(&inward_of(s)->outward, status);
}

static void inward_drained(mg_stream *s, int status) {
    mg_outward_drained(&inward_of(s)->outward, status);
}

static void inward_closed(mg_stream *s) {
    mg_free(inward_of(s));
}

static const mg_stream_events inward_events = {inward_read, inward_ended, inward_drained,
                                               inward_closed};

static void release_inward(mg_outward *o, bool reset) {
    mg_stream_close(&MG_OF(o, inward, outward)->stream, reset);
}

// test_accept_stream(number) -> handle of a stream of Lua | nil: it has been given up
static int accept_stream(lua_State *L) {
    mg_connect *c = take(L);
    if (c == NULL) {
        return 0;
    }
    mg_script_stream *s = mg_script_stream_new(mg_testkit_of(L)->vm);
    inward *i = mg_calloc(1, sizeof *i);
    i->outward.release = release_inward;
    s->open = true;
    mg_connect_accept(c, &i->stream, &inward_events, STREAM_WINDOW);
    mg_outward_open(&i->outward, &i->stream, &s->tunnel);
    lua_pushnumber(L, (lua_Number)s->handle);
    return 1;
}

// test_refuse(number, code, text)
static int refuse_dial(lua_State *L) {
    static const char *const codes[] = {"dns", "denied", "connect", "tls", "timeout", NULL};
    const char *code = codes[luaL_checkoption(L, 2, NULL, codes)];
    const char *text = luaL_checkstring(L, 3);
    mg_connect *c = take(L);
    if (c != NULL) {
        mg_connect_refuse(c, &(mg_connect_fault){code, text});
    }
    return 0;
}

// --- the app's client and its upstreams ---

// Each call has a server of its own, so that no connection is kept for another one.
int mg_testkit_open_client(mg_testkit *k, mg_error *err) {
    const mg_client_options options = {
        .connections = UINT32_MAX,
        .waiting = UINT32_MAX,
        .head = {.first_line_bytes = 8192, .bytes = 64 * 1024, .lines = 100},
    };
    return mg_client_new(&k->services.client, k->loop, &options, err);
}

void mg_testkit_close_client(mg_testkit *k) {
    mg_client_free(k->services.client);
    k->services.client = NULL;
}

void mg_testkit_close_upstreams(mg_testkit *k) {
    mg_upstreams_unref(k->services.upstreams);
    k->services.upstreams = NULL;
}

// What a script says of an upstream's servers is done at once: there is one worker.
static int order(void *arg, mg_str upstream, mg_str verb, mg_str what, mg_error *err) {
    const mg_testkit *k = arg;
    mg_arena a = {0};
    mg_upstream_servers servers;
    int rc = MG_OK;
    if (!mg_str_eq(verb, MG_STR("servers"))) {
        mg_upstreams_drain(k->services.upstreams, upstream, what, mg_str_eq(verb, MG_STR("drain")));
    } else if (what.n == 0) {
        mg_upstreams_set_servers(k->services.upstreams, upstream, NULL);
    } else {
        rc = mg_upstream_servers_read(&servers, &a, "", what, err);
        if (rc == MG_OK) {
            mg_upstreams_set_servers(k->services.upstreams, upstream, &servers);
        }
    }
    mg_arena_deinit(&a);
    return rc;
}

static int open_upstreams(mg_testkit *k, const char *json, mg_error *err) {
    mg_config c;
    mg_buf faults = {0};
    int rc = mg_config_init(&c, "test.app", mg_str_of(json), &faults);
    if (rc != MG_OK) {
        mg_error_set(err, rc, "%.*s", (int)faults.n, faults.p);
    } else {
        const mg_upstreams_setup setup = {
            .loop = k->loop,
            .seed = 1,
            .head = {.first_line_bytes = (uint32_t)c.limits.request_line,
                     .bytes = (uint32_t)c.limits.header_bytes,
                     .lines = (uint32_t)c.limits.header_fields},
        };
        const mg_upstreams_options all = mg_config_upstreams(&c, &c.arena);
        rc = mg_upstreams_new(&k->services.upstreams, &all, &setup, err);
        k->services.order_upstream = order;
        k->services.order_arg = k;
    }
    mg_config_deinit(&c);
    mg_buf_deinit(&faults);
    return rc;
}

// test_upstreams({ upstreams = { ... }, proxy = { ... } } as JSON): those of the app, instead of
// the last one's
static int upstreams(lua_State *L) {
    mg_testkit *k = mg_testkit_of(L);
    mg_error err;
    const char *json = luaL_checkstring(L, 1);
    mg_testkit_close_upstreams(k);
    if (open_upstreams(k, json, &err) != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    return 0;
}

const luaL_Reg mg_testkit_net_functions[] = {
    {"test_upstreams", upstreams}, {"test_next_dial", next_dial},
    {"test_accept", accept_dial},  {"test_accept_stream", accept_stream},
    {"test_refuse", refuse_dial},  {NULL, NULL},
};
