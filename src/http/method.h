// http/method.h: the methods of RFC 9110 section 9 and PATCH (RFC 5789), which mean something to
// HTTP itself. Any other token is a method too if a route names it (http/route).
#pragma once

#include "base/str.h"

typedef enum mg_method {
    MG_METHOD_GET,
    MG_METHOD_HEAD,
    MG_METHOD_POST,
    MG_METHOD_PUT,
    MG_METHOD_PATCH,
    MG_METHOD_DELETE,
    MG_METHOD_OPTIONS,
    MG_METHOD_TRACE,
    MG_METHOD_CONNECT,
    MG_METHOD_COUNT,
    MG_METHOD_UNKNOWN = MG_METHOD_COUNT,
} mg_method;

// Case-sensitive, as methods are.
mg_method mg_method_of(mg_str name);

// "GET", ...; "" for MG_METHOD_UNKNOWN. Static memory.
mg_str mg_method_name(mg_method m);
