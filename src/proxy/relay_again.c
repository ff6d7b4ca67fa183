// Another server is asked: because one failed, because it is slow, or with a copy.

#include "proxy/grpc.h"
#include "proxy/relay_inside.h"
#include "proxy/tries.h"
#include "server/server.h"

// --- retries ---

static mg_try_facts facts_of(const mg_relay *r) {
    return (mg_try_facts){
        .method = r->x->head.method,
        .retries = r->retries,
        .has_body = r->body != MG_RELAY_STREAMS || r->kept_all,
    };
}

static bool may_retry(const mg_relay *r, const mg_try_facts *facts) {
    return mg_tries_may_retry(&mg_upstream_options_of(r->asked)->retries, facts);
}

static bool retry(mg_relay *r, mg_choice_kind kind) {
    if (!mg_relay_ask_another(r, kind)) {
        return false;
    }
    r->retries++;
    return true;
}

// It came to no connection; a stale one before it is forgiven (it would have been sent again
// there).
static bool is_unreachable(const mg_call_fault *f) {
    return strcmp(f->code, "connect") == 0 || (f->unsent && strcmp(f->code, "timeout") == 0);
}

bool mg_relay_retry_fault(mg_relay *r, const mg_call_fault *of) {
    mg_try_facts facts = facts_of(r);
    facts.code = of->code;
    facts.unsent = of->unsent;
    mg_choice_kind kind = is_unreachable(of) ? MG_CHOICE_FAILOVER : MG_CHOICE_RETRY;
    if (!may_retry(r, &facts) || !retry(r, kind)) {
        return false;
    }
    mg_relay_begin_upload(r);
    return true;
}

// An answer that has no more than its trailers, which come as its head. Whose server says when it
// wants to be asked again (or not at all) is for the client to obey.
static uint32_t grpc_bit(const mg_relay *r, const mg_response *head) {
    const mg_fields *l = &head->head.fields;
    mg_grpc_status status = mg_grpc_status_in(l);
    bool pushed_back = mg_fields_find_name(l, MG_STR("grpc-retry-pushback-ms")) != NULL;
    bool told = r->grpc && status < MG_GRPC_STATUSES && !pushed_back;
    return told ? (uint32_t)1 << status : 0;
}

// While another try is under way, that one is waited for. Else another server is found before this
// answer is given up: if there is none, it is relayed as it came.
bool mg_relay_retry_status(mg_relay *r, mg_relay_try *t) {
    mg_relay_try *other = mg_relay_other(r, t);
    mg_try_facts facts = facts_of(r);
    facts.status = mg_call_response(t->call)->status;
    facts.grpc = grpc_bit(r, mg_call_response(t->call));
    if (!may_retry(r, &facts) || (other == NULL && !retry(r, MG_CHOICE_RETRY))) {
        return false;
    }
    r->at = other != NULL ? other : mg_relay_other(r, t);
    mg_call_close(mg_relay_end_try(t, false));
    mg_relay_begin_upload(r);
    return true;
}

// --- hedges ---

static void on_slow(mg_timer *timer) {
    mg_relay *r = MG_OF(timer, mg_relay, timer);
    if (r->state == MG_RELAY_ASKS && mg_relay_other(r, r->at) == NULL) {
        (void)mg_relay_ask_another(r, MG_CHOICE_HEDGE); // if nobody may be asked, one is enough
    }
}

// A body that is still to come goes to one server only.
void mg_relay_begin_hedge(mg_relay *r) {
    uint64_t after_ms = mg_upstream_options_of(r->asked)->hedge_after_ms;
    if (after_ms > 0 && r->body < MG_RELAY_STREAMS && mg_tries_is_idempotent(r->x->head.method)) {
        mg_timer_start(r->x->server->loop, &r->timer, after_ms, 0, on_slow);
    }
}

// --- copies ---

void mg_relay_send_mirror(mg_relay *r) {
    const mg_mirrored request = {
        .exchange = r->x,
        .rules = r->o.rules,
        .target = r->target,
        .fields = &r->fields,
        .has_body = r->body != MG_RELAY_NO_BODY,
    };
    mg_mirror *m = r->mirror;
    r->mirror = NULL;
    mg_mirror_send(m, &request);
}

void mg_relay_begin_mirror(mg_relay *r) {
    if (r->body == MG_RELAY_STORED) { // too large to be copied
        return;
    }
    r->mirror = mg_mirror_new(r->asked);
    mg_mirror_add(r->mirror, r->whole);
    if (r->body != MG_RELAY_STREAMS) {
        mg_relay_send_mirror(r);
    }
}
