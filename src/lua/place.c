#include "lua/place.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_framework(const char *source) {
    return strstr(source, "lua/moongate/") != NULL || source[0] == '=';
}

void mg_lua_place(lua_State *L, int level, char *out, size_t n) {
    lua_Debug ar;
    bool any = false;
    for (; lua_getstack(L, level, &ar) && lua_getinfo(L, "Sl", &ar); level++) {
        if (ar.currentline <= 0 || (any && is_framework(ar.source))) {
            continue;
        }
        const char *source = ar.source[0] == '@' ? ar.source + 1 : ar.short_src;
        snprintf(out, n, "%s:%d", source, ar.currentline);
        any = true;
        if (!is_framework(ar.source)) {
            return;
        }
    }
    if (!any) {
        snprintf(out, n, "-");
    }
}
