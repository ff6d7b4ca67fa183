#include "lua/fields.h"

#include "lua/args.h"

#include <lauxlib.h>

static void push_lower(lua_State *L, mg_str name) {
    char small[64];
    if (name.n > sizeof small) {
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        for (size_t i = 0; i < name.n; i++) {
            luaL_addchar(&b, mg_lower(name.p[i]));
        }
        luaL_pushresult(&b);
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        small[i] = mg_lower(name.p[i]);
    }
    lua_pushlstring(L, small, name.n);
}

// Joins the value at the top behind what the table at `index` has under the key below it (RFC 9110
// section 5.2; Cookie: RFC 6265 section 5.4).
static void join(lua_State *L, int index, mg_field_id id) {
    lua_pushvalue(L, -2);
    lua_rawget(L, index);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushstring(L, id == MG_FIELD_COOKIE ? "; " : ", ");
    lua_pushvalue(L, -3);
    lua_concat(L, 3);
    lua_remove(L, -2);
}

void mg_push_fields(lua_State *L, const mg_fields *fields) {
    lua_createtable(L, 0, (int)fields->count);
    int table = lua_gettop(L);
    bool seen[MG_FIELD_COUNT] = {[MG_FIELD_OTHER] = true}; // perhaps
    for (uint32_t i = 0; i < fields->count; i++) {
        const mg_field *f = &fields->at[i];
        push_lower(L, f->name);
        mg_lua_push_str(L, f->value);
        if (seen[f->id]) {
            join(L, table, f->id);
        }
        seen[f->id] = true;
        lua_rawset(L, table);
    }
}
