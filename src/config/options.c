#include "config/options.h"

#include "client/rules.h"
#include "config/upstream.h"
#include "http/forwarded.h"
#include "live/ring.h"

#include <unistd.h>

int mg_config_trust(const mg_config *c, mg_trust **out, mg_error *err) {
    mg_error fault;
    int rc = mg_trust_new(out, c->trusted_proxies.items, c->trusted_proxies.n, &fault);
    if (rc != MG_OK) {
        return mg_error_set(err, MG_ECONFIG, "%s: trusted_proxies: %s", c->file, fault.text);
    }
    rc = mg_trust_heed(*out, c->forwarded.items, c->forwarded.n, &fault);
    if (rc != MG_OK) {
        mg_trust_free(*out);
        *out = NULL;
        return mg_error_set(err, MG_ECONFIG, "%s: forwarded: %s", c->file, fault.text);
    }
    return MG_OK;
}

static void append_rules(mg_buf *out, mg_rules_list list, const mg_config_texts *texts) {
    for (size_t i = 0; i < texts->n; i++) {
        mg_rules_append(out, list, mg_str_of(texts->items[i]));
    }
}

void mg_config_append_rules(const mg_config *c, mg_buf *out) {
    append_rules(out, MG_RULES_DENY, &c->http.deny);
    append_rules(out, MG_RULES_ALLOW, &c->http.allow);
}

// With http.allow alone nothing else may be called anyway.
static mg_str open_rules(const mg_config *c, mg_arena *a) {
    mg_buf rules = {0};
    if (c->http.deny.n > 0 || c->http.allow.n == 0) {
        mg_rules_append(&rules, MG_RULES_DENY, MG_STR("private"));
    }
    mg_config_append_rules(c, &rules);
    mg_str kept = {mg_arena_copy(a, mg_buf_str(&rules)), rules.n};
    mg_buf_deinit(&rules);
    return kept;
}

mg_upstreams_options mg_config_upstreams(const mg_config *c, mg_arena *a) {
    mg_upstreams_options all = c->upstreams;
    if (c->proxy_open) {
        mg_upstream_options *open = mg_arena_alloc(a, sizeof *open);
        mg_upstream_default(open, a);
        open->name = MG_UPSTREAM_OPEN;
        open->host = MG_HOST_UPSTREAM;
        open->rules = open_rules(c, a);
        all.open = open;
    }
    return all;
}

uint32_t mg_config_workers(const mg_config *c) {
    long n = c->workers == MG_CONFIG_WORKERS_AUTO ? sysconf(_SC_NPROCESSORS_ONLN) : c->workers;
    return n < 1 ? 1 : (n < MG_CONFIG_WORKERS_MAX ? (uint32_t)n : MG_CONFIG_WORKERS_MAX);
}

uint32_t mg_config_descriptors(const mg_config *c, uint64_t descriptors) {
    uint64_t n = c->limits.descriptors.count;
    if (n == 0) {
        n = descriptors / 100 * c->limits.descriptors.percent +
            descriptors % 100 * c->limits.descriptors.percent / 100;
    }
    n = n < descriptors ? n : descriptors;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static mg_h2_limits h2_limits(const mg_config_limits *l) {
    mg_h2_limits h2 = mg_h2_default_limits;
    h2.streams = (uint32_t)l->h2_streams;
    h2.request_line = (uint32_t)l->request_line;
    h2.header_bytes = (uint32_t)l->header_bytes;
    h2.header_fields = (uint32_t)l->header_fields;
    h2.trailer_bytes = (uint32_t)l->trailers;
    h2.budgets[MG_H2_BUDGET_RESETS] = (uint32_t)l->h2_resets;
    h2.budgets[MG_H2_BUDGET_PROVOKED] = (uint32_t)l->h2_faults;
    h2.budgets[MG_H2_BUDGET_SETTINGS] = (uint32_t)l->h2_settings;
    h2.budgets[MG_H2_BUDGET_PINGS] = (uint32_t)l->h2_pings;
    h2.budgets[MG_H2_BUDGET_PRIORITIES] = (uint32_t)l->h2_priorities;
    h2.budgets[MG_H2_BUDGET_EMPTY] = (uint32_t)l->h2_empty;
    h2.budgets[MG_H2_BUDGET_WINDOWS] = (uint32_t)l->h2_windows;
    return h2;
}

// The schema's bounds make every narrowing here exact.
void mg_config_server_options(const mg_config *c, mg_server_options *out) {
    *out = (mg_server_options){
        .request_line_bytes = (uint32_t)c->limits.request_line,
        .header_bytes = (uint32_t)c->limits.header_bytes,
        .header_fields = (uint32_t)c->limits.header_fields,
        .chunk_extension_bytes = (uint32_t)c->limits.chunk_extensions,
        .trailer_bytes = (uint32_t)c->limits.trailers,
        .body_bytes = c->limits.body,
        .body_rate = (uint32_t)c->limits.body_rate,
        .answer_rate = (uint32_t)c->limits.answer_rate,
        .output_bytes = c->limits.output,
        .input_bytes = c->limits.input,
        .discard_bytes = (uint32_t)c->limits.discard,
        .pipeline_bytes = (uint32_t)c->limits.pipeline,
        .requests_per_connection = (uint32_t)c->limits.requests_per_connection,
        .form_parts = (uint32_t)c->limits.form_parts,
        .form_fields = (uint32_t)c->limits.form_fields,
        .json_values = (uint32_t)c->limits.json_values,
        .h2 = h2_limits(&c->limits),
        .handshake_ms = (uint32_t)c->timeouts.handshake_ms,
        .header_ms = (uint32_t)c->timeouts.header_ms,
        .body_grace_ms = (uint32_t)c->timeouts.body_grace_ms,
        .send_ms = (uint32_t)c->timeouts.send_ms,
        .handler_ms = (uint32_t)c->timeouts.handler_ms,
        .idle_ms = (uint32_t)c->timeouts.idle_ms,
        .tunnel_ms = (uint32_t)c->timeouts.tunnel_ms,
        .half_close_ms = (uint32_t)c->timeouts.half_close_ms,
        .linger_ms = (uint32_t)c->timeouts.linger_ms,
    };
}

void mg_config_topics_options(const mg_config_limits *l, mg_topics_options *out) {
    uint64_t most = l->outbox < MG_RING_MESSAGE_MAX ? l->outbox : MG_RING_MESSAGE_MAX;
    *out = (mg_topics_options){
        .topics = (uint32_t)l->topics,
        .subscribed = (uint32_t)l->subscriptions,
        .message_bytes = (uint32_t)most,
    };
}

int mg_config_server_options_of_json(const char *json, mg_server_options *out,
                                     mg_config_limits *limits, mg_error *err) {
    mg_config c;
    mg_buf faults = {0};
    int rc = mg_config_init(&c, "options", mg_str_of(json), &faults);
    if (rc == MG_OK) {
        mg_config_server_options(&c, out);
        *limits = c.limits;
    } else {
        mg_error_set(err, rc, "%.*s", (int)faults.n, faults.p);
    }
    mg_config_deinit(&c);
    mg_buf_deinit(&faults);
    return rc;
}
