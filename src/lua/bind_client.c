// The HTTP client: lua/moongate/http.lua calls these.

#include "lua/bind.h"

void mg_bind_client(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
