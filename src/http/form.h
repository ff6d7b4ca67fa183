// http/form.h: application/x-www-form-urlencoded, which is the form of query strings too.
#pragma once

#include "base/buf.h"

// As many as a form may have where each pair becomes something bigger than its text.
enum { MG_FORM_PAIRS = 4096 };

// Takes the next pair, decoded as the URL standard's parser does: "+" is a space, a percent sign
// without two hex digits stands for itself, a key without "=" has an empty value, and empty pairs
// are skipped. False at the end. The spans borrow `*rest` or `scratch`, until the next call.
bool mg_form_next(mg_str *rest, mg_buf *scratch, mg_str *key, mg_str *value);
