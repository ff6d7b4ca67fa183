#include "lua/memory.h"

#include "base/clock.h"
#include "lua/stall.h"
#include "lua/vm.h"

#include <luajit.h>
#include <stdio.h>

enum {
    LEAST_RESERVE = 1 << 20,
    FULL_INTERVAL_MS = 1000,
    MANY_RESERVES = 8,
    LITTLE = 4096,
    REST_BYTES = 4 << 20,
    MUCH_BYTES = 16 << 20,
    BUSY_GARBAGE_BYTES = 4 << 20,
    LEAST_PAUSE = 200, // percent of what lives, at which the next cycle begins: LuaJIT's own
    CYCLES = 2,        // the first may have begun before the last turn
    REST_INTERVAL_MS = 10000,
    REST_MS = 4,
    REST_STEP_KB = 256,
};

static mg_vm *vm_of(const mg_lua_memory *m) {
    return MG_OF(m, mg_vm, memory);
}

// Raises at every instruction until the scheduler runs again, or loading has failed: no pcall of
// the script can go on.
static void on_over(lua_State *L, lua_Debug *ar) {
    (void)ar;
    void *ud;
    lua_getallocf(L, &ud);
    const mg_lua_memory *m = ud;
    mg_vm *vm = vm_of(m);
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

// While the scheduler runs no script does.
static bool is_scripts(const mg_lua_memory *m) {
    return !vm_of(m)->attached || mg_vm_note[MG_NOTE_COROUTINE] != 0;
}

static void make_fail(mg_lua_memory *m) {
    m->over = true;
    lua_sethook(m->L, on_over, LUA_MASKCOUNT, 1);
    m->ends_soon = mg_stall_interrupt(vm_of(m));
}

// What C does between turns cannot fail; it is little.
static bool is_bounded(const mg_lua_memory *m) {
    return m->limit > 0 && (mg_vm_running == vm_of(m) || !vm_of(m)->attached);
}

// What is little enough to have much room beyond the limit. LuaJIT 2.1 may not survive that
// compiled code is refused memory, so that a script has it if the hook ends it soon. The scheduler
// has it to end those who hold the memory, but not for what comes from outside.
static size_t little(const mg_lua_memory *m) {
    if (is_scripts(m)) {
        return m->ends_soon ? LITTLE : 0;
    }
    return reserve(m) / 2;
}

static size_t beyond(const mg_lua_memory *m, size_t after) {
    if (after <= little(m)) {
        return MANY_RESERVES * reserve(m);
    }
    return m->refused ? reserve(m) : reserve(m) / 2;
}

// LuaJIT 2.1 puts a coroutine before its collector, and then asks for its stack: without one the
// collector reads what was there before. Who gets a coroutine has got it all.
static bool must_have(const mg_lua_memory *m, const void *p, size_t after) {
    return p == NULL && after == m->stack_bytes;
}

static void *count(void *ud, void *p, size_t before, size_t after) {
    mg_lua_memory *m = ud;
    if (after > before && is_bounded(m)) {
        size_t wanted = m->used + (after - before);
        if (wanted > m->limit && is_scripts(m) && lua_gethook(m->L) == NULL) {
            make_fail(m);
        }
        if (wanted > m->limit + beyond(m, after) && !must_have(m, p, after)) {
            m->refused = true;
            make_fail(m);
            return NULL;
        }
    }
    void *out = m->alloc(m->ud, p, before, after);
    if (out != NULL || after == 0) {
        m->used = m->used + after - (p != NULL ? before : 0);
    }
    return out;
}

static void *note_bytes(void *ud, void *p, size_t before, size_t after) {
    mg_lua_memory *m = ud;
    m->stack_bytes = p == NULL ? after : m->stack_bytes;
    return m->alloc(m->ud, p, before, after);
}

void mg_lua_memory_attach(mg_lua_memory *m, lua_State *L, size_t limit) {
    *m = (mg_lua_memory){.L = L, .limit = limit};
    m->alloc = lua_getallocf(L, &m->ud);
    lua_setallocf(L, note_bytes, m);
    lua_newthread(L); // its stack comes last
    lua_pop(L, 1);
    m->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
    m->collected = m->used;
    lua_setallocf(L, count, m);
}

void mg_lua_memory_detach(mg_lua_memory *m) {
    if (m->L != NULL) {
        lua_setallocf(m->L, m->alloc, m->ud);
        m->L = NULL;
        m->limit = 0;
    }
}

// `over`, a bool: it came to the end of a cycle.
static int collect_all(lua_State *L) {
    bool *over = lua_touserdata(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0);
    *over = true;
    return 0;
}

static int collect_some(lua_State *L) {
    bool *over = lua_touserdata(L, 1);
    uint64_t end = mg_monotonic_ms() + REST_MS;
    do {
        *over = lua_gc(L, LUA_GCSTEP, REST_STEP_KB) != 0;
    } while (!*over && mg_monotonic_ms() < end);
    return 0;
}

// Finalizers of scripts may raise. The collector itself takes a little, to shrink a table.
static bool run_collector(mg_lua_memory *m, lua_CFunction fn) {
    bool over = false;
    size_t limit = m->limit;
    m->limit = 0;
    if (lua_cpcall(m->L, fn, &over) != 0) {
        lua_pop(m->L, 1);
    }
    m->limit = limit;
    return over;
}

static void note_collection(mg_lua_memory *m, uint64_t now_ms) {
    m->collected = m->used;
    m->collected_ms = now_ms;
    m->resting = false;
}

void mg_lua_memory_collect(mg_lua_memory *m, uint64_t now_ms) {
    if (m->L == NULL) {
        return;
    }
    uint64_t began_ms = mg_monotonic_ms();
    (void)run_collector(m, collect_all); // what a finalizer ended is as good as over
    m->took_ms = mg_monotonic_ms() - began_ms;
    note_collection(m, now_ms);
}

// What lived at the last collection may be garbage by now.
static bool wants_rest(const mg_lua_memory *m, uint64_t now_ms) {
    return m->used > m->collected + REST_BYTES || (m->rested < CYCLES && m->used > MUCH_BYTES &&
                                                   now_ms - m->collected_ms >= REST_INTERVAL_MS);
}

void mg_lua_memory_rest(mg_lua_memory *m, uint64_t now_ms) {
    m->resting |= wants_rest(m, now_ms); // until the cycle is over, though less and less is used
    if (m->L != NULL && m->resting && run_collector(m, collect_some)) {
        note_collection(m, now_ms);
        m->rested++;
    }
}

// Full collections that find nothing would follow one another.
static bool has_grown(const mg_lua_memory *m) {
    return m->used > m->collected + m->limit / 10;
}

// It is full, and that was not looked into just now: to look takes a tenth of the time at most.
static bool is_full_anew(const mg_lua_memory *m, uint64_t now_ms) {
    uint64_t apart_ms = 10 * m->took_ms > FULL_INTERVAL_MS ? 10 * m->took_ms : FULL_INTERVAL_MS;
    return mg_lua_memory_is_full(m) && now_ms - m->collected_ms >= apart_ms;
}

bool mg_lua_memory_has_room(mg_lua_memory *m, uint64_t now_ms) {
    if (mg_lua_memory_is_full(m) && (has_grown(m) || is_full_anew(m, now_ms))) {
        mg_lua_memory_collect(m, now_ms);
    }
    return !mg_lua_memory_is_full(m);
}

void mg_lua_memory_make_room(mg_lua_memory *m, uint64_t now_ms) {
    if (m->used > m->collected + reserve(m) / 4) {
        mg_lua_memory_collect(m, now_ms);
    }
    m->over = m->refused = m->used > m->limit;
}

// Compiled code keeps what it was specialised to: a closure, and all that can be reached from it.
static void forget_compiled(mg_lua_memory *m) {
    luaJIT_setmode(m->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
}

void mg_lua_memory_pace(mg_lua_memory *m, bool busy) {
    size_t live = m->low > 0 ? m->low : m->used;
    bool small = m->limit > 0 && m->limit / 4 < BUSY_GARBAGE_BYTES;
    size_t garbage = small ? m->limit / 4 : BUSY_GARBAGE_BYTES;
    size_t pause = busy ? 100 + garbage / (live / 100 + 1) : 0;
    m->low = m->used;
    if (m->L != NULL) {
        lua_gc(m->L, LUA_GCSETPAUSE, (int)(pause > LEAST_PAUSE ? pause : LEAST_PAUSE));
    }
}

void mg_lua_memory_tend(mg_lua_memory *m, uint64_t now_ms) {
    m->low = m->used < m->low ? m->used : m->low;
    m->over = m->refused = false;
    m->rested = 0;
    if (m->limit == 0 || m->used < m->limit / 5 * 3) {
        return;
    }
    bool full = is_full_anew(m, now_ms);
    if (has_grown(m) || full) {
        mg_lua_memory_collect(m, now_ms);
    }
    if (full && mg_lua_memory_is_full(m)) {
        forget_compiled(m);
        mg_lua_memory_collect(m, now_ms);
    }
}
