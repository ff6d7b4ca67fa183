#include "lua/bind.h"

#include "base/version.h"
#include "lua/bind_http.h"
#include "lua/bind_json.h"
#include "lua/bind_router.h"
#include "lua/bind_tools.h"

void mg_push_native(lua_State *L, mg_vm *vm) {
    static const struct {
        const char *name;
        int (*open)(lua_State *L);
    } parts[] = {
        {"json", mg_open_json},
        {"tools", mg_open_tools},
        {"http", mg_open_http},
        {"router", mg_open_router},
    };
    lua_newtable(L);
    lua_pushliteral(L, MG_VERSION);
    lua_setfield(L, -2, "version");
    mg_bind_constants(L);
    mg_bind_vm(L, vm);
    mg_bind_routes(L, vm);
    mg_bind_request(L, vm);
    mg_bind_answer(L, vm);
    mg_bind_runtime(L, vm);
    mg_bind_files(L, vm);
    mg_bind_cache(L, vm);
    mg_bind_database(L, vm);
    mg_bind_redis(L, vm);
    mg_bind_listen(L, vm);
    mg_bind_client(L, vm);
    mg_bind_stream(L, vm);
    mg_bind_websocket_client(L, vm);
    mg_bind_tcp(L, vm);
    mg_bind_websocket(L, vm);
    mg_bind_proxy(L, vm);
    mg_bind_noted(L, vm);
    mg_bind_upstream(L, vm);
    mg_bind_topics(L, vm);
    mg_bind_events(L, vm);
    mg_bind_acme(L, vm);
    mg_bind_crypto(L, vm);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        parts[i].open(L);
        lua_setfield(L, -2, parts[i].name);
    }
}
