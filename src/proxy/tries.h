// proxy/tries.h: whether a request that failed on one server is tried on another. Pure functions;
// they own nothing. Whether there is another server, and a budget for it, is mg_upstream_choose's
// to say.
#pragma once

#include "http/method.h"
#include "proxy/options.h"

#include <stdbool.h>

typedef struct mg_try_facts {
    mg_method method;
    uint32_t retries; // made so far
    bool has_body;    // all of the request's body that was sent is there to be sent again
    int status;       // of the head that came; 0: none
    const char *code; // the call's fault; NULL: none
    bool unsent;      // the server has seen nothing of the request
    uint32_t grpc;    // the bit of a status of gRPC that is all of the answer; 0: none is
} mg_try_facts;

// What is asked twice has the effect of being asked once (RFC 9110 section 9.2.2).
bool mg_tries_is_idempotent(mg_method m);

// Also what is not idempotent may be tried again if no server has seen it; a call of gRPC, which is
// always a POST, also if its server has said by a status of its own that it is one to be tried.
bool mg_tries_may_retry(const mg_retry_options *o, const mg_try_facts *f);
