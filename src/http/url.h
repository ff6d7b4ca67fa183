// http/url.h: request targets, hosts, percent coding and query strings (RFC 9112 section 3.2, RFC
// 3986).
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/method.h"

typedef enum mg_target_form {
    MG_TARGET_ORIGIN,
    MG_TARGET_ABSOLUTE,
    MG_TARGET_AUTHORITY,
    MG_TARGET_ASTERISK,
} mg_target_form;

typedef struct mg_target {
    mg_target_form form;
    bool has_query;
    mg_str
        path; // as it was sent, but without dot segments; "/" if empty, "*" for the asterisk form
    mg_str query;     // behind "?", as it was sent
    mg_str scheme;    // of the absolute form
    mg_str authority; // of the absolute and the authority form
} mg_target;

// Parses `text`; spans borrow it or lie in `arena`. MG_ESYNTAX for a control, a space, a byte >=
// 0x80, a fragment, userinfo and forms that `m` does not allow; in the path also for "<>\^`, a bad
// percent code and dot segments that leave the root. The query is taken as it came.
int mg_target_parse(mg_str text, mg_method m, mg_arena *arena, mg_target *out);

// May `text` be sent as a path with a query? Stricter than what is taken from others: no bad
// percent code and none of "<>\^`# anywhere.
bool mg_url_is_strict(mg_str text);

// Removes dot segments from `path`, which begins with a slash (RFC 3986 section 5.2.4); the result
// may lie in `arena`. `clamp`: what leads out of the root stays there, as the RFC says for
// references; else MG_ESYNTAX, for requests of peers, which would not be sent so in good faith.
int mg_path_remove_dots(mg_str *path, bool clamp, mg_arena *arena);

// uri-host [ ":" port ] of RFC 9110 section 7.2, without userinfo, and not empty. An IPv6 literal
// is an address without a zone.
bool mg_host_valid(mg_str host);

// Appends `s` with %XX decoded and, if `plus`, "+" as a space. A percent sign without two hex
// digits is kept as it is.
void mg_url_decode(mg_str s, bool plus, mg_buf *out);

// Takes the next "key=value" of a query string or form; still encoded. False at the end. Empty
// pairs are skipped.
bool mg_query_next(mg_str *rest, mg_str *key, mg_str *value);
