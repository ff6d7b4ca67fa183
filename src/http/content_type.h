// http/content_type.h: media types with parameters (RFC 9110 section 8.3.1).
#pragma once

#include "base/buf.h"

// "type/subtype" at the front of a Content-Type or Content-Disposition value; the rest, from the first ";", goes to *params.
mg_str mg_media_type(mg_str value, mg_str *params);

// Takes the next parameter. A quoted value is unquoted into `scratch` (cleared first), which must outlive its use. False at the
// end or where the text is malformed.
bool mg_param_next(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch);

// The parameter of that name, ignoring case. False if there is none.
bool mg_param_find(mg_str params, mg_str name, mg_buf *scratch, mg_str *value);
