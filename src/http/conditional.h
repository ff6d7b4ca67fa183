// http/conditional.h: conditional requests (RFC 9110 section 13).
#pragma once

#include "http/message.h"

#define MG_UNKNOWN_DATE INT64_MIN

// What the chosen representation is compared by.
typedef struct mg_validators {
    mg_str etag;           // with its quotes, and W/ if weak; empty: there is none
    int64_t last_modified; // seconds since 1970, or MG_UNKNOWN_DATE
} mg_validators;

typedef enum mg_condition {
    MG_CONDITION_GO,           // answer as if there were no condition
    MG_CONDITION_NOT_MODIFIED, // 304
    MG_CONDITION_FAILED,       // 412
} mg_condition;

// Judges If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of section
// 13.2.2. Only for a request whose answer without conditions would be a success.
mg_condition mg_condition_of(const mg_head *h, const mg_validators *v);

// False if If-Range says that the client's part is of another version: then Range is to be ignored.
// A date holds if it is the very one of the last change.
bool mg_condition_range_holds(const mg_head *h, const mg_validators *v);
