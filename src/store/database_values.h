// store/database_values.h: what statements are given and what they give.
#pragma once

#include "base/str.h"

#include <stdint.h>

typedef enum mg_db_kind {
    MG_DB_NULL,
    MG_DB_I64,
    MG_DB_DOUBLE,
    MG_DB_BOOL,
    MG_DB_TEXT,
    MG_DB_BLOB,
    MG_DB_JSON, // of a result: the text of a JSON value
} mg_db_kind;

typedef struct mg_db_value {
    mg_db_kind kind;
    union {
        int64_t i64; // BOOL too: 0 or 1
        double number;
        mg_str text; // TEXT, BLOB, JSON
    };
} mg_db_value;

// A finished result: `rows` rows of `columns` values, row by row. Owned by the call.
typedef struct mg_db_rows {
    uint32_t columns;
    uint32_t rows;
    const mg_str *names;       // of the columns
    const uint32_t *types;     // likewise, the server's own numbers; NULL: it does not tell
    const mg_db_value *values; // rows * columns
    int64_t affected;          // rows changed by an INSERT, UPDATE or DELETE; 0 for others
    int64_t last_id;           // of the last row inserted, 0: none
    bool more;                 // of a result read piecewise: there is more to come
} mg_db_rows;

// What a server tells of a fault besides its message.
typedef enum mg_db_field {
    MG_DB_SQLSTATE,
    MG_DB_DETAIL,
    MG_DB_HINT,
    MG_DB_POSITION, // in the statement, in characters from 1
    MG_DB_SCHEMA,
    MG_DB_TABLE,
    MG_DB_COLUMN,
    MG_DB_CONSTRAINT, // its name
    MG_DB_FIELDS
} mg_db_field;

typedef struct mg_db_fault {
    // Static: "constraint", "syntax", "busy", "limit", "readonly", "closed", "error".
    const char *code;
    const char *message;
    int native;                       // the library's own number
    const char *fields[MG_DB_FIELDS]; // NULL: not told
} mg_db_fault;
