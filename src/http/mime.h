// http/mime.h: media types by file name.
#pragma once

#include "base/str.h"

// The media type (with charset=utf-8 for text) of a file of that name, by its last extension;
// application/octet-stream for unknown ones. Static memory.
mg_str mg_mime_of(mg_str name);
