#include "base/error.h"

#include <stdio.h>
#include <string.h>

int mg_error_set(mg_error *err, int code, const char *fmt, ...) {
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

const char *mg_strerror(int code) {
    switch (code) {
    case MG_OK:
        return "no error";
    case MG_ELIMIT:
        return "limit reached";
    case MG_ESYNTAX:
        return "malformed input";
    case MG_ECLOSED:
        return "closed";
    case MG_ECONFIG:
        return "wrong configuration";
    case MG_ELUA:
        return "script error";
    case MG_EAGAIN:
        return "try again";
    case MG_ECANCELLED:
        return "cancelled";
    default:
        break;
    }
    // Kept away from INT_MIN, which has no positive twin.
    const char *phrase = code < 0 && code > MG_ELIMIT ? strerrordesc_np(-code) : NULL;
    return phrase != NULL ? phrase : "unknown error";
}
