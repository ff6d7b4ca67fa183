// proxy/verdict.h: what health checks have found of a server, known to all workers at once because
// it lies in the cell (proxy/shared.h). Pure functions; they own nothing.
#pragma once

#include "proxy/options.h"
#include "proxy/shared.h"

typedef enum mg_verdict {
    MG_VERDICT_UNKNOWN, // not checked yet: it may be used
    MG_VERDICT_UP,
    MG_VERDICT_DOWN,
} mg_verdict;

// What a check found.
typedef enum mg_finding {
    MG_FOUND_GOOD,
    MG_FOUND_STATUS,  // another one than is wanted
    MG_FOUND_REFUSED, // no connection
    MG_FOUND_TIMEOUT,
    MG_FOUND_CLOSED, // the connection ended before an answer
    MG_FOUND_UNFIT,  // it says so itself (grpc.health.v1)
    MG_FOUND_BROKEN, // what came is no HTTP, or TLS failed
} mg_finding;

typedef struct mg_health {
    mg_verdict verdict;
    uint32_t against; // checks in a row that said otherwise
    mg_finding last;
    int status; // of the last check; 0: none came
} mg_health;

mg_verdict mg_verdict_of(const mg_server_hold *h);
mg_health mg_health_of(const mg_server_cell *c);

// A check ended. True: the verdict is another one now. One that comes up begins slowly.
bool mg_health_tell(const mg_health_options *o, const mg_server_hold *h, mg_finding found,
                    int status, uint64_t now_ms);

// It is checked no more: nothing is known of it.
void mg_health_forget(const mg_server_hold *h);

// "the status was 503": for log lines and `moongate status`. Into `out`, which is returned.
const char *mg_health_text(const mg_health *h, char *out, size_t bytes);
