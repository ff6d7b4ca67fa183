// store/postgres_array.h: PostgreSQL's arrays as JSON (section 8.15.6 of its manual).
#pragma once

#include "base/buf.h"

typedef enum mg_pg_element {
    MG_PG_ELEMENT_TEXT,
    MG_PG_ELEMENT_NUMBER,
    MG_PG_ELEMENT_BOOL,
    MG_PG_ELEMENT_JSON,
} mg_pg_element;

// Appends the JSON of `text`, such as {1,NULL,{2,3}}: NaN and Infinity are strings there. False,
// and nothing is appended, if it is no array.
bool mg_pg_array_to_json(mg_buf *out, mg_str text, mg_pg_element element);
