// http/status.h: what status codes mean (RFC 9110 section 15).
#pragma once

#include "base/str.h"

#include <stdbool.h>

// The reason phrase of a registered status, "" for others. Static memory.
mg_str mg_status_phrase(int status);

// True if a response of that status has no content (RFC 9110 section 6.4.1): 1xx, 204, 304.
bool mg_status_is_bodyless(int status);
