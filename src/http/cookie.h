// http/cookie.h: reads Cookie and writes Set-Cookie (RFC 6265bis).
#pragma once

#include "base/buf.h"
#include "base/error.h"

// Takes the next pair of a Cookie field's value. Quotes around a value are dropped; pairs without a
// name or without "=" are skipped. False at the end. Whatever a client sends is read: values may
// hold any bytes but a semicolon.
bool mg_cookie_next(mg_str *rest, mg_str *name, mg_str *value);

typedef enum mg_same_site {
    MG_SAME_SITE_UNSET,
    MG_SAME_SITE_STRICT,
    MG_SAME_SITE_LAX,
    MG_SAME_SITE_NONE,
} mg_same_site;

// A cookie to be set. Empty strings and has_* false: no such attribute.
typedef struct mg_cookie {
    mg_str name;
    mg_str value;
    mg_str path;
    mg_str domain;
    bool has_max_age;
    int64_t max_age_s;
    bool has_expires;
    int64_t expires_s; // since 1970
    mg_same_site same_site;
    bool secure;
    bool http_only;
    bool partitioned;
} mg_cookie;

// Appends the value of a Set-Cookie field. MG_ESYNTAX, with a text that names what is wrong, for
// names, values and attributes that browsers would refuse or read differently; nothing is appended
// then.
int mg_cookie_write(mg_buf *out, const mg_cookie *c, mg_error *err);
