#include "proxy/grpc.h"

static const mg_str grpc = {"application/grpc", 16};

bool mg_grpc_is(const mg_fields *fields) {
    const mg_field *f = mg_fields_find(fields, MG_FIELD_CONTENT_TYPE);
    if (f == NULL || !mg_str_istarts(f->value, grpc)) {
        return false;
    }
    char next = f->value.n > grpc.n ? f->value.p[grpc.n] : ';';
    return next == ';' || next == '+' || next == ' ';
}

// Up to eight digits and a unit.
uint32_t mg_grpc_timeout_ms(const mg_fields *fields) {
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
                 {'m', 1000000},       {'u', 1000},        {'n', 1}};
    const mg_field *f = mg_fields_find_name(fields, MG_STR("grpc-timeout"));
    uint64_t n;
    if (f == NULL || f->value.n < 2 || f->value.n > 9 ||
        !mg_str_to_u64((mg_str){f->value.p, f->value.n - 1}, 99999999, &n)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].unit == f->value.p[f->value.n - 1]) {
            uint64_t ms = (n * units[i].ns + 999999) / 1000000;
            return ms == 0 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
        }
    }
    return 0;
}

mg_grpc_status mg_grpc_status_named(mg_str name) {
    static const char *const names[MG_GRPC_STATUSES] = {
        [MG_GRPC_OK] = "ok",
        [MG_GRPC_CANCELLED] = "cancelled",
        [MG_GRPC_UNKNOWN] = "unknown",
        [MG_GRPC_INVALID_ARGUMENT] = "invalid_argument",
        [MG_GRPC_DEADLINE_EXCEEDED] = "deadline_exceeded",
        [MG_GRPC_NOT_FOUND] = "not_found",
        [MG_GRPC_ALREADY_EXISTS] = "already_exists",
        [MG_GRPC_PERMISSION_DENIED] = "permission_denied",
        [MG_GRPC_RESOURCE_EXHAUSTED] = "resource_exhausted",
        [MG_GRPC_FAILED_PRECONDITION] = "failed_precondition",
        [MG_GRPC_ABORTED] = "aborted",
        [MG_GRPC_OUT_OF_RANGE] = "out_of_range",
        [MG_GRPC_UNIMPLEMENTED] = "unimplemented",
        [MG_GRPC_INTERNAL] = "internal",
        [MG_GRPC_UNAVAILABLE] = "unavailable",
        [MG_GRPC_DATA_LOSS] = "data_loss",
        [MG_GRPC_UNAUTHENTICATED] = "unauthenticated",
    };
    mg_grpc_status status = MG_GRPC_OK;
    while (status < MG_GRPC_STATUSES && !mg_str_eq(name, mg_str_of(names[status]))) {
        status++;
    }
    return status;
}

mg_grpc_status mg_grpc_status_in(const mg_fields *fields) {
    const mg_field *f = mg_fields_find_name(fields, MG_STR("grpc-status"));
    uint64_t n;
    bool known = f != NULL && mg_str_to_u64(f->value, MG_GRPC_STATUSES - 1, &n);
    return known ? (mg_grpc_status)n : MG_GRPC_STATUSES;
}

// gRPC's own table, and what it says of other transports' faults.
mg_grpc_status mg_grpc_status_of(int http_status) {
    switch (http_status) {
    case 400:
        return MG_GRPC_INTERNAL;
    case 401:
        return MG_GRPC_UNAUTHENTICATED;
    case 403:
        return MG_GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
    case 501:
        return MG_GRPC_UNIMPLEMENTED;
    case 408:
    case 413:
    case 429:
        return MG_GRPC_RESOURCE_EXHAUSTED;
    case 502:
    case 503:
        return MG_GRPC_UNAVAILABLE;
    case 504:
        return MG_GRPC_DEADLINE_EXCEEDED;
    default:
        return MG_GRPC_UNKNOWN;
    }
}

static mg_str encoded(mg_arena *arena, const char *message) {
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(message);
    char *text = mg_arena_alloc(arena, 3 * n + 1);
    char *to = text;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)message[i];
        if (c < ' ' || c > '~' || c == '%') {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        } else {
            *to++ = (char)c;
        }
    }
    return (mg_str){text, (size_t)(to - text)};
}

void mg_grpc_tell(mg_fields *out, mg_grpc_status status, const char *message) {
    char *digits = mg_arena_alloc(out->arena, 20);
    mg_str number = {digits, mg_format_u64(digits, status)};
    (void)mg_fields_add(out, MG_STR("grpc-status"), number);
    (void)mg_fields_add(out, MG_STR("grpc-message"), encoded(out->arena, message));
}

void mg_grpc_answer(mg_exchange *x, mg_grpc_status status, const char *message) {
    mg_answer answer = {.status = 200, .content_type = grpc};
    mg_fields_init(&answer.fields, &x->arena);
    mg_grpc_tell(&answer.fields, status, message);
    mg_exchange_respond(x, &answer, (mg_str){NULL, 0});
}
