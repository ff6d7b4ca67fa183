// http/date.h: the dates of HTTP (RFC 9110 section 5.6.7).
#pragma once

#include "base/str.h"

enum { MG_DATE_BYTES = 29 };

// Writes an IMF-fixdate, 29 bytes and a terminator, of `seconds` since 1970 (years 0 to 9999).
void mg_date_write(char out[30], int64_t seconds);

// Reads any of the three forms. False if it is none of them, or no date that exists.
bool mg_date_parse(mg_str s, int64_t *seconds);
