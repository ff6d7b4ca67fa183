// proxy/outcome.h: a try on a server in words: of which kind, why none may begin, how it ended.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum mg_choice_kind {
    MG_CHOICE_FIRST,
    MG_CHOICE_RETRY,
    MG_CHOICE_FAILOVER, // a retry of what no server has seen: at one that is well it is no more
                        // load
    MG_CHOICE_HEDGE,
    MG_CHOICE_MIRROR,
    MG_CHOICE_REPEAT, // of a try whose connection turned out to be stale: the server saw nothing
} mg_choice_kind;

// Why there is no server. All of them are answered with 503 and Retry-After.
typedef struct mg_no_server {
    const char *why;          // static: a sentence for the log
    uint32_t retry_after;     // seconds, at least 1
    struct mg_upstream *full; // which one has no place: it can be waited for (proxy/waiting.h)
} mg_no_server;

// What came of a try.
typedef struct mg_outcome {
    int status;  // of the final head; 0: none came
    bool reused; // the connection had served before
    // Ended by us or the client before its end: a hedge that lost, a client that left. It says
    // nothing about the server.
    bool cancelled;
    // For so long the server alone was waited for: from the connection to that head, or until it
    // was waited for no more. 0: not known, as of a body that came meanwhile.
    uint64_t answer_us;
} mg_outcome;

// What a try has from mg_admit to its end (proxy/admission.h).
typedef struct mg_admission {
    uint64_t probe; // of the circuit; 0: it is none
    bool extra;     // from the budget
} mg_admission;
