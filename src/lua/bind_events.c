// Event streams: lua/moongate/core/request/events.lua calls these.

#include "http/event_text.h"
#include "live/events.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/scratch.h"

// event_text(data or nil, event or nil, id or nil, milliseconds or nil) -> the bytes of an event |
// nil, the name of what must not hold CR, LF or NUL
static int event_text(lua_State *L) {
    const mg_event_text e = {
        .data = mg_lua_str(L, 1),
        .event = mg_lua_str(L, 2),
        .id = mg_lua_str(L, 3),
        .retry_ms = lua_isnumber(L, 4) ? (int64_t)lua_tonumber(L, 4) : -1,
        .has_data = !lua_isnil(L, 1),
    };
    if (!mg_event_is_word(e.event) || !mg_event_is_word(e.id)) {
        return mg_lua_refuse(L, mg_event_is_word(e.event) ? "id" : "event");
    }
    mg_event_write(mg_scratch_take(L), &e);
    mg_scratch_push(L, lua_gettop(L));
    return 1;
}

// The texts of the list at `index`, in the arena; the list keeps their bytes.
static mg_str *read_texts(lua_State *L, int index, mg_arena *a, size_t *n) {
    *n = lua_objlen(L, index);
    mg_str *texts = mg_arena_alloc(a, (*n + 1) * sizeof *texts);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        texts[i] = mg_lua_str(L, -1);
        lua_pop(L, 1);
    }
    return texts;
}

// events_begin(handle, status, type, fields, topics, heartbeat, retry or nil, skip, most or 0) ->
// true | nil, "closed", or what is wrong, and whether that is a limit. Times in seconds, but for
// `retry`, in milliseconds. The exchange is over then, for the scripts.
static int events_begin(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_exchange *x = mg_vm_exchange(L, vm, 1);
    mg_answer a;
    mg_error err;
    mg_event_stream *s;
    if (x == NULL || mg_exchange_committed(x)) {
        return mg_lua_refuse(L, "closed");
    }
    const char *wrong = mg_read_answer(L, x, 2, &a);
    if (wrong != NULL) {
        return mg_lua_refuse(L, wrong);
    }
    mg_event_stream_options o = {
        .heartbeat_ms = mg_lua_milliseconds(L, 6),
        .retry_ms = lua_isnumber(L, 7) ? (int64_t)lua_tonumber(L, 7) : -1,
        .slow = lua_toboolean(L, 8) ? MG_SLOW_SKIP : MG_SLOW_CLOSE,
        .most_ms = mg_lua_milliseconds(L, 9),
    };
    o.topics = read_texts(L, 5, &x->arena, &o.topic_count);
    if (mg_event_stream_new(&s, vm->services->event_streams, &o, &err) != MG_OK) {
        mg_lua_refuse(L, err.text);
        lua_pushboolean(L, 1);
        return 3;
    }
    mg_vm_release_exchange(vm, x);
    mg_event_stream_begin(s, x, &a);
    lua_pushboolean(L, 1);
    return 1;
}

void mg_bind_events(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"event_text", event_text},
        {"events_begin", events_begin},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
