// The shared cache: lua/moongate/cache.lua calls these.

#include "lua/bind.h"

void mg_bind_cache(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
