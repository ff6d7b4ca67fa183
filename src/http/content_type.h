// http/content_type.h: media types with parameters (RFC 9110 section 8.3.1), and other values of
// that form, such as Content-Disposition.
#pragma once

#include "base/buf.h"

// What stands before the first ";", trimmed and unchecked; the rest goes to `*params`.
mg_str mg_media_type(mg_str value, mg_str *params);

// type "/" subtype, both tokens.
bool mg_media_type_valid(mg_str type);

// Takes the next parameter. A quoted value is unquoted into `scratch`, which is cleared first;
// other spans borrow `*params`. False at the end, where `*params` is empty, and where the text is
// malformed, where it is not.
bool mg_param_next(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch);

// The same for what many clients write without the quotes that it needs, such as a boundary with
// "/" or a name with "[": an unquoted value ends at a semicolon or white space alone.
bool mg_param_next_raw(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch);

// The first parameter of that name, ignoring case. False if there is none before the end or before
// malformed text.
bool mg_param_find(mg_str params, mg_str name, mg_buf *scratch, mg_str *value);
