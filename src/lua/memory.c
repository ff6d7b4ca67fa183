#include "lua/memory.h"

#include "lua/vm.h"

#include <stdio.h>

enum { LEAST_RESERVE = 1 << 20, FULL_INTERVAL_MS = 1000 };

// Raises at every instruction until the scheduler runs again: no pcall of the script can go on.
static void on_over(lua_State *L, lua_Debug *ar) {
    (void)ar;
    mg_vm *vm = mg_vm_running;
    if (vm == NULL || L == vm->L) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    snprintf(vm->stall, sizeof vm->stall, "%s", MG_LUA_MEMORY_FAULT);
    luaL_error(L, "%s", MG_LUA_MEMORY_FAULT);
}

static size_t reserve(const mg_lua_memory *m) {
    return m->limit / 16 > LEAST_RESERVE ? m->limit / 16 : LEAST_RESERVE;
}

static void *count(void *ud, void *p, size_t before, size_t after) {
    mg_lua_memory *m = ud;
    if (m->limit > 0 && after > before) {
        size_t wanted = m->used + (after - before);
        if (wanted > m->limit && !m->over) {
            m->over = true;
            lua_sethook(m->L, on_over, LUA_MASKCOUNT, 1);
        }
        // Compiled code does not see the hook at once: it has half of the reserve until it is
        // refused.
        if (wanted > m->limit + (m->refused ? reserve(m) : reserve(m) / 2)) {
            m->refused = true;
            return NULL;
        }
    }
    void *out = m->alloc(m->ud, p, before, after);
    if (out != NULL || after == 0) {
        m->used = m->used + after - (p != NULL ? before : 0);
    }
    return out;
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

static void collect(mg_lua_memory *m, uint64_t now_ms) {
    lua_gc(m->L, LUA_GCCOLLECT, 0);
    m->collected = m->used;
    m->collected_ms = now_ms;
    m->over = m->used > m->limit;
    m->refused = m->over;
}

void mg_lua_memory_tend(mg_lua_memory *m, uint64_t now_ms) {
    if (m->limit == 0 || m->used < m->limit / 5 * 3) {
        return;
    }
    bool grown = m->used > m->collected + m->limit / 10;
    if (m->over && m->used <= m->limit) {
        m->over = m->refused = false;
    }
    bool full = mg_lua_memory_is_full(m) && now_ms - m->collected_ms >= FULL_INTERVAL_MS;
    if (grown || full) {
        collect(m, now_ms);
    }
}
