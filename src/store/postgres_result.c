#include "store/postgres_result.h"

#include "store/postgres_array.h"

#include <stdlib.h>

// Of pg_type.dat; they never change.
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_JSONB = 3802,
};

typedef struct array_type {
    uint32_t oid;
    mg_pg_element element;
} array_type;

static const array_type arrays[] = {
    {1000, MG_PG_ELEMENT_BOOL}, // bool
    {1005, MG_PG_ELEMENT_NUMBER}, {1007, MG_PG_ELEMENT_NUMBER},
    {1016, MG_PG_ELEMENT_NUMBER},                               // int
    {1028, MG_PG_ELEMENT_NUMBER},                               // oid
    {1021, MG_PG_ELEMENT_NUMBER}, {1022, MG_PG_ELEMENT_NUMBER}, // float
    {199, MG_PG_ELEMENT_JSON},    {3807, MG_PG_ELEMENT_JSON},   // json, jsonb
    {1002, MG_PG_ELEMENT_TEXT},   {1003, MG_PG_ELEMENT_TEXT},   // char, name
    {1009, MG_PG_ELEMENT_TEXT},   {1014, MG_PG_ELEMENT_TEXT},
    {1015, MG_PG_ELEMENT_TEXT}, // text
    {1001, MG_PG_ELEMENT_TEXT}, // bytea
    {1115, MG_PG_ELEMENT_TEXT},   {1182, MG_PG_ELEMENT_TEXT},
    {1183, MG_PG_ELEMENT_TEXT}, // time
    {1185, MG_PG_ELEMENT_TEXT},   {1187, MG_PG_ELEMENT_TEXT},
    {1231, MG_PG_ELEMENT_TEXT},                               // numeric: exact
    {1041, MG_PG_ELEMENT_TEXT},   {651, MG_PG_ELEMENT_TEXT},  // inet, cidr
    {143, MG_PG_ELEMENT_TEXT},    {791, MG_PG_ELEMENT_TEXT},  // xml, money
    {1040, MG_PG_ELEMENT_TEXT},   {1270, MG_PG_ELEMENT_TEXT}, // macaddr, timetz
    {1561, MG_PG_ELEMENT_TEXT},   {1563, MG_PG_ELEMENT_TEXT}, // bits
    {3905, MG_PG_ELEMENT_TEXT},   {3907, MG_PG_ELEMENT_TEXT},
    {3909, MG_PG_ELEMENT_TEXT},   {3911, MG_PG_ELEMENT_TEXT},
    {3913, MG_PG_ELEMENT_TEXT},   {3927, MG_PG_ELEMENT_TEXT}, // ranges
    {2951, MG_PG_ELEMENT_TEXT},                               // uuid
};

void mg_pg_result_deinit(mg_pg_result *r) {
    mg_arena_deinit(&r->arena);
    mg_buf_deinit(&r->values);
    memset(r, 0, sizeof *r);
}

static mg_str keep(mg_pg_result *r, mg_str s) {
    return (mg_str){mg_arena_copy(&r->arena, s), s.n};
}

void mg_pg_result_move_rows(mg_pg_result *r, mg_pg_result *to) {
    *to = *r;
    *r = (mg_pg_result){.columns = to->columns};
    r->names = mg_arena_alloc(&r->arena, (r->columns + 1) * sizeof *r->names);
    r->types = mg_arena_alloc(&r->arena, (r->columns + 1) * sizeof *r->types);
    for (uint32_t i = 0; i < r->columns; i++) {
        r->names[i] = keep(r, to->names[i]);
        r->types[i] = to->types[i];
    }
}

static void take_columns(mg_pg_result *r, const PGresult *from) {
    r->columns = (uint32_t)PQnfields(from);
    r->names = mg_arena_alloc(&r->arena, (r->columns + 1) * sizeof *r->names);
    r->types = mg_arena_alloc(&r->arena, (r->columns + 1) * sizeof *r->types);
    for (uint32_t i = 0; i < r->columns; i++) {
        r->names[i] = keep(r, mg_str_of(PQfname(from, (int)i)));
        r->types[i] = PQftype(from, (int)i);
        r->bytes += r->names[i].n;
    }
}

// --- values ---

// bytea_output = hex, which is the default; the old escape format comes as it is.
static mg_db_value bytes_of(mg_pg_result *r, mg_str text) {
    if (text.n < 2 || text.p[0] != '\\' || text.p[1] != 'x') {
        return (mg_db_value){.kind = MG_DB_BLOB, .text = keep(r, text)};
    }
    size_t n = (text.n - 2) / 2;
    char *bytes = mg_arena_alloc(&r->arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *two = text.p + 2 + 2 * i;
        bytes[i] = (char)(mg_hex_value(two[0]) << 4 | mg_hex_value(two[1]));
    }
    return (mg_db_value){.kind = MG_DB_BLOB, .text = {bytes, n}};
}

static mg_db_value array_of(mg_pg_result *r, mg_str text, mg_pg_element element) {
    mg_buf json = {0};
    mg_db_value v = {.kind = MG_DB_TEXT};
    if (mg_pg_array_to_json(&json, text, element)) {
        v.kind = MG_DB_JSON;
        v.text = keep(r, mg_buf_str(&json));
    } else {
        v.text = keep(r, text);
    }
    mg_buf_deinit(&json);
    return v;
}

static mg_db_value other_of(mg_pg_result *r, mg_str text, uint32_t type) {
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if (arrays[i].oid == type) {
            return array_of(r, text, arrays[i].element);
        }
    }
    return (mg_db_value){.kind = MG_DB_TEXT, .text = keep(r, text)};
}

static mg_db_value value_of(mg_pg_result *r, mg_str text, uint32_t type) {
    switch (type) {
    case OID_BOOL:
        return (mg_db_value){.kind = MG_DB_BOOL, .i64 = text.n > 0 && text.p[0] == 't'};
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        return (mg_db_value){.kind = MG_DB_I64, .i64 = strtoll(text.p, NULL, 10)};
    case OID_FLOAT4:
    case OID_FLOAT8:
        return (mg_db_value){.kind = MG_DB_DOUBLE, .number = strtod(text.p, NULL)};
    case OID_BYTEA:
        return bytes_of(r, text);
    case OID_JSON:
    case OID_JSONB:
        return (mg_db_value){.kind = MG_DB_JSON, .text = keep(r, text)};
    default:
        return other_of(r, text, type);
    }
}

static bool is_raw(const mg_db_statement *s, uint32_t type) {
    for (uint32_t i = 0; i < s->raw_count; i++) {
        if (s->raw[i] == type) {
            return true;
        }
    }
    return false;
}

static void take_row(mg_pg_result *r, const PGresult *from, int row, const mg_db_statement *s) {
    mg_db_value *out = (mg_db_value *)(void *)mg_buf_reserve(&r->values, r->columns * sizeof *out);
    for (uint32_t i = 0; i < r->columns; i++) {
        int column = (int)i;
        mg_str text = {PQgetvalue(from, row, column), (size_t)PQgetlength(from, row, column)};
        out[i] = (mg_db_value){.kind = MG_DB_NULL};
        if (!PQgetisnull(from, row, column)) {
            out[i] = is_raw(s, r->types[i])
                         ? (mg_db_value){.kind = MG_DB_TEXT, .text = keep(r, text)}
                         : value_of(r, text, r->types[i]);
        }
        r->bytes += sizeof *out + text.n;
    }
    r->values.n += r->columns * sizeof *out;
    r->rows++;
}

// A number in the tag of what changed rows, not of what only read them.
static int64_t affected_by(const PGresult *from) {
    const char *tag = PQcmdStatus((PGresult *)(uintptr_t)from);
    if (strncmp(tag, "SELECT", 6) == 0 || strncmp(tag, "FETCH", 5) == 0) {
        return 0;
    }
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)from), NULL, 10);
}

void mg_pg_result_take(mg_pg_result *r, const PGresult *from, const mg_db_statement *s) {
    if (r->columns == 0 && PQnfields(from) > 0) {
        take_columns(r, from);
    }
    int n = PQntuples(from);
    for (int i = 0; i < n; i++) {
        take_row(r, from, i, s);
    }
    if (PQresultStatus(from) != PGRES_SINGLE_TUPLE) {
        r->affected = affected_by(from);
    }
}

void mg_pg_result_take_bytes(mg_pg_result *r, mg_str bytes) {
    if (r->columns == 0) {
        r->columns = 1;
        r->names = mg_arena_alloc(&r->arena, sizeof *r->names);
        r->types = mg_arena_alloc(&r->arena, sizeof *r->types);
        r->names[0] = MG_STR("data");
        r->types[0] = OID_BYTEA;
    }
    mg_db_value *out = (mg_db_value *)(void *)mg_buf_reserve(&r->values, sizeof *out);
    *out = (mg_db_value){.kind = MG_DB_BLOB, .text = keep(r, bytes)};
    r->values.n += sizeof *out;
    r->rows++;
}

mg_db_rows mg_pg_result_rows(const mg_pg_result *r, bool more) {
    return (mg_db_rows){
        .columns = r->columns,
        .rows = r->rows,
        .names = r->names,
        .types = r->types,
        .values = (const mg_db_value *)(const void *)r->values.p,
        .affected = r->affected,
        .more = more,
    };
}

// --- faults ---

void mg_pg_result_fail(mg_pg_result *r, const char *code, const char *message) {
    if (r->code == NULL) {
        r->code = code;
        r->message = mg_arena_copy(&r->arena, mg_str_of(message));
    }
}

// Appendix A of PostgreSQL's manual.
static const char *code_of(const char *state) {
    static const struct {
        const char *prefix;
        const char *code;
    } codes[] = {
        {"23", "constraint"}, {"42", "syntax"},   {"25006", "readonly"}, {"40", "busy"},
        {"55P03", "busy"},    {"08P01", "error"}, // too many parameters, say
        {"08", "closed"},     {"57P0", "closed"}, {"53", "limit"},       {"54", "limit"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strncmp(state, codes[i].prefix, strlen(codes[i].prefix)) == 0) {
            return codes[i].code;
        }
    }
    return "error";
}

void mg_pg_result_fail_by(mg_pg_result *r, const PGresult *from) {
    static const char kept[MG_DB_FIELDS] = {
        [MG_DB_SQLSTATE] = PG_DIAG_SQLSTATE,  [MG_DB_DETAIL] = PG_DIAG_MESSAGE_DETAIL,
        [MG_DB_HINT] = PG_DIAG_MESSAGE_HINT,  [MG_DB_POSITION] = PG_DIAG_STATEMENT_POSITION,
        [MG_DB_SCHEMA] = PG_DIAG_SCHEMA_NAME, [MG_DB_TABLE] = PG_DIAG_TABLE_NAME,
        [MG_DB_COLUMN] = PG_DIAG_COLUMN_NAME, [MG_DB_CONSTRAINT] = PG_DIAG_CONSTRAINT_NAME,
    };
    if (r->code != NULL) {
        return;
    }
    const char *message = PQresultErrorField(from, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(from, PG_DIAG_SQLSTATE);
    for (int i = 0; i < MG_DB_FIELDS; i++) {
        const char *text = PQresultErrorField(from, kept[i]);
        r->fields[i] = text != NULL ? mg_arena_copy(&r->arena, mg_str_of(text)) : NULL;
    }
    mg_pg_result_fail(r, state != NULL ? code_of(state) : "closed",
                      message != NULL ? message : PQresultErrorMessage(from));
}

mg_db_fault mg_pg_result_fault(const mg_pg_result *r) {
    mg_db_fault f = {.code = r->code, .message = r->message};
    memcpy(f.fields, r->fields, sizeof f.fields);
    return f;
}
