// proxy/grpc.h: what a proxy has to know of gRPC (its protocol over HTTP/2): whose a message is,
// how long it may take, and how a fault is told. Messages themselves pass unread.
#pragma once

#include "server/answer.h"

// RFC 9110's status says how the transport went; these say how the call did.
typedef enum mg_grpc_status {
    MG_GRPC_OK,
    MG_GRPC_CANCELLED,
    MG_GRPC_UNKNOWN,
    MG_GRPC_INVALID_ARGUMENT,
    MG_GRPC_DEADLINE_EXCEEDED,
    MG_GRPC_NOT_FOUND,
    MG_GRPC_ALREADY_EXISTS,
    MG_GRPC_PERMISSION_DENIED,
    MG_GRPC_RESOURCE_EXHAUSTED,
    MG_GRPC_FAILED_PRECONDITION,
    MG_GRPC_ABORTED,
    MG_GRPC_OUT_OF_RANGE,
    MG_GRPC_UNIMPLEMENTED,
    MG_GRPC_INTERNAL,
    MG_GRPC_UNAVAILABLE,
    MG_GRPC_DATA_LOSS,
    MG_GRPC_UNAUTHENTICATED,
    MG_GRPC_STATUSES,
} mg_grpc_status;

// The one of that name in small letters, "unavailable"; MG_GRPC_STATUSES: there is none.
mg_grpc_status mg_grpc_status_named(mg_str name);

// What the fields in front of an answer's content, or behind it, say; MG_GRPC_STATUSES: nothing.
mg_grpc_status mg_grpc_status_in(const mg_fields *fields);

// Content-Type says so: application/grpc, with "+proto" or the like behind it. gRPC-Web is another
// protocol.
bool mg_grpc_is(const mg_fields *fields);

// What grpc-timeout says in milliseconds, rounded up; 0: nothing, or nothing that can be
// understood.
uint32_t mg_grpc_timeout_ms(const mg_fields *fields);

// How a fault of ours, of a middleware's or handler's too, is told that another client would be
// told by this status.
mg_grpc_status mg_grpc_status_of(int http_status);

// Appends grpc-status and grpc-message (percent-encoded).
void mg_grpc_tell(mg_fields *out, mg_grpc_status status, const char *message);

// Answers an exchange that is not committed: 200, and how the call went, without content.
void mg_grpc_answer(mg_exchange *x, mg_grpc_status status, const char *message);
