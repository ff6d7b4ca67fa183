#include "server/proxied.h"

#include "server/foreign.h"
#include "server/h2.h"
#include "server/requester.h"
#include "server/server.h"

static mg_proxied *of(const mg_conn *c) {
    return (mg_proxied *)(uintptr_t)(c + 1);
}

static void refuse(mg_conn *c, const char *why) {
    char name[MG_PEER_TEXT];
    mg_peer_write(&c->stream, name);
    mg_server_log(c->server, MG_LOG_WARN, "the PROXY protocol's header from %s is refused: %s",
                  name, why);
    mg_conn_close(c, MG_GONE_CLIENT);
}

// Returns true once the header is complete; `*used` of these bytes belong to it. The connection may
// be closed by this.
static bool take_header(mg_conn *c, mg_str data, size_t *used) {
    mg_proxied *p = of(c);
    size_t before = p->gathered.n;
    mg_proxy_reading r = {.most = c->server->options.header_bytes};
    if (before > 0) {
        mg_buf_append_str(&p->gathered, data);
    }
    *used = data.n;
    switch (mg_proxy_header_read(&r, before > 0 ? mg_buf_str(&p->gathered) : data)) {
    case MG_PROXY_MORE:
        if (before == 0) {
            mg_buf_append_str(&p->gathered, data);
        }
        return false;
    case MG_PROXY_BAD:
        refuse(c, r.fault);
        return false;
    default:
        p->header = r.header;
        *used = r.used - before;
        mg_buf_deinit(&p->gathered);
        return true;
    }
}

bool mg_proxied_before_tls(mg_stream *s, const char *data, size_t n, size_t *used) {
    return take_header(MG_OF(s, mg_conn, stream), (mg_str){data, n}, used);
}

// --- the connection's owner ---

static size_t take(mg_conn *c, const char *data, size_t n) {
    size_t used;
    if (take_header(c, (mg_str){data, n}, &used)) {
        if (c->foreign != 0) {
            mg_foreign_begin(c);
        } else {
            mg_conn_idle(c, mg_conn_plain_owner(c));
        }
    }
    return used;
}

static void on_fin(mg_conn *c) {
    mg_conn_close(c, MG_GONE_CLIENT);
}

static void on_nothing(mg_conn *c) {
    (void)c;
}

static bool on_closed(mg_conn *c, mg_gone why) {
    (void)why;
    mg_buf_deinit(&of(c)->gathered);
    return false;
}

static const mg_owner_ops reader_ops = {take,       on_fin,     on_nothing,
                                        on_nothing, on_nothing, on_closed};
mg_owner mg_proxied_reader = {&reader_ops};

// --- who is at its ends ---

static int give(const mg_proxy_address *a, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    memcpy(out, a, sizeof *a);
    return MG_OK;
}

int mg_conn_peer(const mg_conn *c, struct sockaddr_storage *out) {
    bool told = c->proxied && of(c)->header.told;
    return told ? give(&of(c)->header.source, out) : mg_stream_peer(&c->stream, out);
}

int mg_conn_local(const mg_conn *c, struct sockaddr_storage *out) {
    bool told = c->proxied && of(c)->header.told;
    return told ? give(&of(c)->header.destination, out) : mg_stream_local(&c->stream, out);
}
