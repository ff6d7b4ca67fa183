#include "proxy/tries.h"

#include <string.h>

bool mg_tries_is_idempotent(mg_method m) {
    return m != MG_METHOD_POST && m != MG_METHOD_PATCH && m != MG_METHOD_CONNECT &&
           m != MG_METHOD_UNKNOWN;
}

static bool is_one_of(const char *code, const char *const *codes) {
    while (*codes != NULL && strcmp(code, *codes) != 0) {
        codes++;
    }
    return *codes != NULL;
}

// A try that timed out is what others would call a 504.
static bool is_wanted(const mg_retry_options *o, const mg_try_facts *f) {
    static const char *const unreachable[] = {"connect", "dns", "tls", NULL};
    if (f->code == NULL) {
        return mg_status_set_has(&o->on_status, f->status) || (f->grpc & o->on_grpc) != 0;
    }
    if (strcmp(f->code, "timeout") == 0) {
        return o->on_timeout || mg_status_set_has(&o->on_status, 504);
    }
    if (is_one_of(f->code, unreachable)) {
        return o->on_connect;
    }
    return o->on_closed && strcmp(f->code, "closed") == 0;
}

bool mg_tries_may_retry(const mg_retry_options *o, const mg_try_facts *f) {
    bool harmless = f->unsent || mg_tries_is_idempotent(f->method) || (f->grpc & o->on_grpc) != 0;
    return o->on && f->retries < o->count && f->has_body && harmless && is_wanted(o, f);
}
