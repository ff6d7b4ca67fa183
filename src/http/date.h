// http/date.h: the dates of HTTP (RFC 9110 section 5.6.7).
#pragma once

#include "base/str.h"

enum { MG_DATE_BYTES = 29 };

// The first second of the year 0 and the last one of 9999.
#define MG_DATE_MIN INT64_C(-62167219200)
#define MG_DATE_MAX INT64_C(253402300799)

// Writes an IMF-fixdate, 29 bytes and a terminator, of `seconds` since 1970; what lies outside the
// four digits of a year becomes the nearest that does not.
void mg_date_write(char out[30], int64_t seconds);

// A date that is written once a second. Zeroed memory is a valid start.
typedef struct mg_date_cache {
    int64_t second;
    char text[30];
} mg_date_cache;

// The IMF-fixdate of `second`, borrowed until the next call.
mg_str mg_date_cached(mg_date_cache *c, int64_t second);

// Reads any of the three forms. False if it is none of them, or no date that exists. The name of
// the day is not compared with the date. Two-digit years are those of 1970 to 2069.
bool mg_date_parse(mg_str s, int64_t *seconds);
