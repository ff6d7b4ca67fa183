// base/json_number.h: finds and reads the numbers of JSON. For the reader alone; the writer's half
// is in base/json.h.
#pragma once

#include "base/str.h"

typedef struct mg_json_number {
    mg_str text;  // as far as the grammar was followed
    bool good;    // and it is a number
    bool integer; // without point and exponent
} mg_json_number;

mg_json_number mg_json_find_number(mg_str s);

// The absolute value of an integer. False if it does not fit.
bool mg_json_magnitude(mg_str text, uint64_t *out);

// Reads any good number, rounded to nearest. False if it is beyond the largest double.
bool mg_json_to_double(mg_str text, double *out);
