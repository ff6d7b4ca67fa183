#include "lua/memory.h"

#include "lua/vm.h"

#include <stdio.h>
#include <string.h>

enum { LEAST_RESERVE = 1 << 20, FULL_INTERVAL_MS = 1000 };

// Raises at every instruction until the scheduler runs again, or loading has failed: no pcall of
// the script can go on.
static void on_over(lua_State *L, lua_Debug *ar) {
    (void)ar;
    void *ud;
    lua_getallocf(L, &ud);
    const mg_lua_memory *m = ud;
    mg_vm *vm = MG_OF(m, mg_vm, memory);
    if (L == m->L && vm->attached) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    snprintf(vm->stall, sizeof vm->stall, "%s", MG_LUA_MEMORY_FAULT);
    luaL_error(L, "%s", MG_LUA_MEMORY_FAULT);
}

static size_t reserve(const mg_lua_memory *m) {
    return m->limit / 16 > LEAST_RESERVE ? m->limit / 16 : LEAST_RESERVE;
}

static void make_fail(mg_lua_memory *m) {
    m->over = true;
    lua_sethook(m->L, on_over, LUA_MASKCOUNT, 1);
}

// What C does between turns cannot fail; it is little.
static bool is_bounded(const mg_lua_memory *m) {
    const mg_vm *vm = MG_OF(m, mg_vm, memory);
    return mg_vm_running == vm || !vm->attached;
}

// One less wraps around where there is no limit.
static bool is_within(const mg_lua_memory *m, size_t wanted) {
    return wanted - 1 <= m->limit - 1;
}

// More than the limit is wanted: whoever runs is made to fail, if anybody. False: there is nothing
// left for it.
static bool exceed(mg_lua_memory *m, size_t wanted) {
    if (!is_bounded(m)) {
        return true;
    }
    if (!m->over) {
        make_fail(m);
    }
    // Compiled code does not see the hook at once: it has half of the reserve until it is refused.
    if (wanted > m->limit + (m->refused ? reserve(m) : reserve(m) / 2)) {
        m->refused = true;
        make_fail(m);
        return false;
    }
    return true;
}

static void *change(mg_lua_memory *m, void *p, size_t before, size_t after) {
    size_t wanted = m->used + after - before;
    if (after > before && !is_within(m, wanted) && !exceed(m, wanted)) {
        return NULL;
    }
    void *out = m->alloc(m->ud, p, before, after);
    if (out != NULL || after == 0) {
        m->used = wanted;
    }
    return out;
}

// --- small pieces ---
//
// A request makes some ten, and the collector gives as many back. LuaJIT tells the size of what it
// gives back, so that a list for each size does, where its allocator looks for neighbours.

static bool is_small(size_t n) {
    return n - 1 < MG_LUA_SMALL;
}

static size_t place_of(size_t n) {
    return (n - 1) / 8;
}

static void *take_spare(mg_lua_memory *m, size_t n) {
    void **p = m->spare[place_of(n)];
    m->spare[place_of(n)] = *p;
    m->spare_bytes -= (place_of(n) + 1) * 8;
    m->used += n;
    return p;
}

static void keep_spare(mg_lua_memory *m, void **p, size_t n) {
    *p = m->spare[place_of(n)];
    m->spare[place_of(n)] = p;
    m->spare_bytes += (place_of(n) + 1) * 8;
    m->used -= n;
}

// LuaJIT's allocator as it sees it; `before` is 0 of what is new.
static void *count(void *ud, void *p, size_t before, size_t after) {
    mg_lua_memory *m = ud;
    if (p == NULL && is_small(after) && m->spare[place_of(after)] != NULL &&
        is_within(m, m->used + after)) {
        return take_spare(m, after);
    }
    if (after == 0 && is_small(before) && m->spare_bytes < MG_LUA_SPARE) {
        keep_spare(m, p, before);
        return NULL;
    }
    return change(m, p, before, after);
}

void mg_lua_memory_attach(mg_lua_memory *m, lua_State *L, size_t limit) {
    *m = (mg_lua_memory){.L = L, .limit = limit};
    m->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    m->collected = m->used;
    m->alloc = lua_getallocf(L, &m->ud);
    lua_setallocf(L, count, m);
}

void mg_lua_memory_detach(mg_lua_memory *m) {
    if (m->L != NULL) {
        lua_setallocf(m->L, m->alloc, m->ud);
        m->L = NULL;
        m->limit = 0;
    }
}

static int collect_all(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

// Finalizers of scripts may raise.
static void collect(mg_lua_memory *m, uint64_t now_ms) {
    if (lua_cpcall(m->L, collect_all, NULL) != 0) {
        lua_pop(m->L, 1);
    }
    m->collected = m->used;
    m->collected_ms = now_ms;
}

void mg_lua_memory_tend(mg_lua_memory *m, uint64_t now_ms) {
    m->over = m->refused = false;
    if (m->limit == 0 || m->used < m->limit / 5 * 3) {
        return;
    }
    bool grown = m->used > m->collected + m->limit / 10;
    bool full = mg_lua_memory_is_full(m) && now_ms - m->collected_ms >= FULL_INTERVAL_MS;
    if (grown || full) {
        collect(m, now_ms);
    }
}
