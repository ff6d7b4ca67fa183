#include "lua/place.h"

#include <stdio.h>
#include <string.h>

bool mg_lua_place_is_ours(const lua_Debug *ar) {
    return strstr(ar->source, "lua/moongate/") != NULL || ar->source[0] == '=';
}

const char *mg_lua_place_source(const lua_Debug *ar) {
    return ar->source[0] == '@' ? ar->source + 1 : ar->short_src;
}

bool mg_lua_place_find(lua_State *L, int level, lua_Debug *ar) {
    lua_Debug at;
    bool any = false;
    for (; lua_getstack(L, level, &at) && lua_getinfo(L, "Sl", &at); level++) {
        bool ours = mg_lua_place_is_ours(&at);
        if (at.currentline <= 0 || (any && ours)) {
            continue;
        }
        *ar = at;
        any = true;
        if (!ours) {
            break;
        }
    }
    return any;
}

void mg_lua_place(lua_State *L, int level, char *out, size_t n) {
    lua_Debug ar;
    if (mg_lua_place_find(L, level, &ar)) {
        snprintf(out, n, "%s:%d", mg_lua_place_source(&ar), ar.currentline);
    } else {
        snprintf(out, n, "-");
    }
}
