// lua/memory.h: counts and bounds the memory of one Lua state.
//
// Above the limit the running coroutine is made to raise; what the framework needs to say so comes
// out of a reserve. LuaJIT has no collection in an emergency: mg_lua_memory_tend collects early.
#pragma once

#include "base/error.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Lies in an mg_vm.
typedef struct mg_lua_memory {
    lua_State *L; // the main thread: of the framework, made to raise only while scripts are loaded
    lua_Alloc alloc;
    void *ud;
    size_t used;
    size_t stack_bytes; // of a new coroutine
    size_t limit;       // 0: none
    size_t collected;   // what was used after the last full collection
    uint64_t collected_ms;
    size_t low;       // the least that was used since the pace was set: about what lives
    uint64_t took_ms; // what a full collection takes
    unsigned rested;  // cycles that ended at rest since the last turn
    bool resting;     // such a cycle is under way
    bool over;        // a coroutine was ended for it in this turn
    bool ends_soon;   // whoever is over the limit, though its code be compiled
    bool refused;     // it was refused memory: the rest of the reserve is the framework's
} mg_lua_memory;

// Counts from now on, through LuaJIT's own allocator. `m` outlives the state.
void mg_lua_memory_attach(mg_lua_memory *m, lua_State *L, size_t limit);

// Before lua_close: LuaJIT gives its memory back whole only through its own allocator.
void mg_lua_memory_detach(mg_lua_memory *m);

// Between turns: collects all if much is used. Whoever grows beyond the limit from now on fails.
void mg_lua_memory_tend(mg_lua_memory *m, uint64_t now_ms);

// Collects all. Nothing if the state is not counted.
void mg_lua_memory_collect(mg_lua_memory *m, uint64_t now_ms);

// There is room for another request, perhaps once all is collected.
bool mg_lua_memory_has_room(mg_lua_memory *m, uint64_t now_ms);

// How much garbage may gather before it is collected: as much as lives, and, for a `busy` process,
// some megabytes at least, since what a collection costs is what lives. From time to time.
void mg_lua_memory_pace(mg_lua_memory *m, bool busy);

// Nobody needs the loop for some milliseconds: if much may have become garbage since all was
// collected, goes on collecting for about as long.
void mg_lua_memory_rest(mg_lua_memory *m, uint64_t now_ms);

// Within a turn in which memory is short, once what failed of it is let go: collects all, if much
// has come since that was last done.
void mg_lua_memory_make_room(mg_lua_memory *m, uint64_t now_ms);

static inline bool mg_lua_memory_is_short(const mg_lua_memory *m) {
    return m->over || m->refused;
}

// There is no room for another request.
static inline bool mg_lua_memory_is_full(const mg_lua_memory *m) {
    return m->limit > 0 && m->used > m->limit / 5 * 4;
}

#define MG_LUA_MEMORY_FAULT "the scripts use more memory than limits.lua_memory allows"
