// gate/status_text.h: what a server says over its control socket, for people.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// {"ok":...,"text":"..."}: MG_ESYNTAX if it is not that.
int mg_reply_text(mg_str json, bool *ok, mg_buf *text);

// The answer to `status` as a table. MG_ESYNTAX if it is not that.
int mg_status_text(mg_str json, mg_buf *out);
