// proxy/outlier.h: ejection: a server that fails several times in a row is left out for a while, by
// all workers. Pure functions of cells (proxy/shared.h); they own nothing.
//
// Each time lasts longer than the one before, until the server has been well for as long as it was
// out. Never more than a share of an upstream's servers are out, and never the last one that could
// be used. A result is that of a try: a status of 500 and more, or no answer at all, is a failure;
// what we ended ourselves is no result.
#pragma once

#include "proxy/options.h"
#include "proxy/shared.h"

// An upstream's servers, among which ejection is decided. Borrowed for a call.
typedef struct mg_server_group {
    const mg_upstream_hold *upstream;
    const mg_server_hold *const *servers;
    size_t n;
} mg_server_group;

typedef enum mg_result {
    MG_RESULT_GOOD,
    MG_RESULT_BAD,
    MG_RESULT_NONE, // nothing was learned
} mg_result;

// A server may be used if it is not ejected. `until_ms` 0: never was.
bool mg_server_is_ejected(const mg_server_hold *h, uint64_t now_ms);
typedef struct mg_ejection {
    uint64_t until_ms; // perhaps past
    uint32_t failures; // in a row
    uint32_t times;    // that it was ejected, since it was well
} mg_ejection;
mg_ejection mg_ejection_of(const mg_server_hold *h, uint64_t now_ms);

// A try on one of the group's servers ended. True: it is ejected by this (one worker is told so).
// Costs a read while all is well.
bool mg_outlier_tell(const mg_outlier_options *o, const mg_server_group *g, const mg_server_hold *h,
                     mg_result result, uint64_t now_ms);
