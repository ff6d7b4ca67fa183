// lua/depth.h: how deep functions of C that call scripts lie within each other.
//
// Calls within Lua take no C stack, those through a function of C do: string.gsub takes more than
// 8 KiB each. Where one of them calls back, the stack that is left is looked at.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MG_DEPTH_MAX = 1000,
    MG_DEPTH_STACK = 32 << 20, // bytes, for a thread that runs scripts
};

// Lies in an mg_vm; zeroed is valid. An error may leave any number of levels at once, without a
// word: those whose frames are gone are known by their addresses.
typedef struct mg_depth {
    uintptr_t *frames;
    uint32_t count;
    uint32_t cap;
} mg_depth;

void mg_depth_deinit(mg_depth *d);

// Whether a function of C may call a script from here. `d` counts the levels, this one included.
bool mg_depth_enter(mg_depth *d);

// For the beginning of the process: the stacks of this thread and of those that it starts can grow
// to MG_DEPTH_STACK, if the system lets them.
void mg_depth_make_room(void);
