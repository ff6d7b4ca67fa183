// unit.h: cmocka with what it wants included first, and a comparison of text.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#include <stdio.h>

// Compares bytes with a C string; both are shown when they differ.
#define assert_text(want, got) check_text((want), (got), __FILE__, __LINE__)

static inline void check_text(const char *want, mg_str got, const char *file, int line) {
    if (!mg_str_eq(mg_str_of(want), got)) {
        fprintf(stderr, "want: %s\ngot:  %.*s\n", want, (int)got.n, got.p == NULL ? "" : got.p);
        _fail(file, line);
    }
}
