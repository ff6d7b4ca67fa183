#include "lua/number_text.h"

#include "base/error.h"
#include "base/json.h"
#include "lua/json_values.h"

// lua.h does not name LuaJIT's own type.
enum { TYPE_CDATA = 10 };

int mg_number_text(lua_State *L, int index, mg_buf *out) {
    index = index < 0 && index > LUA_REGISTRYINDEX ? lua_gettop(L) + index + 1 : index;
    int type = lua_type(L, index);
    if (type == LUA_TNUMBER) {
        return mg_json_write_double(out, lua_tonumber(L, index));
    }
    uint64_t bits = 0;
    switch (type == TYPE_CDATA ? mg_json_to_wide(L, index, &bits) : MG_JSON_NOT_WIDE) {
    case MG_JSON_WIDE_I64:
        mg_json_write_i64(out, (int64_t)bits);
        return MG_OK;
    case MG_JSON_WIDE_U64:
        mg_json_write_u64(out, bits);
        return MG_OK;
    default:
        return MG_ELUA;
    }
}
