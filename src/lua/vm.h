// lua/vm.h: one Lua state beside the loop: what C wants to tell Lua is queued here, and told once a
// turn.
//
// C callbacks never run Lua. They put exchanges, finished operations and signals into queues of the
// mg_vm; its turn hook then calls the scheduler (lua/moongate/core/sched.lua), which takes them out
// one by one with native.next_event(). That is the only door into Lua while the server runs.
#pragma once

#include "base/log_line.h"
#include "base/slots.h"
#include "lua/depth.h"
#include "lua/jobs.h"
#include "lua/memory.h"
#include "lua/op.h"
#include "lua/random_id.h"
#include "lua/request_ops.h"
#include "lua/services.h"
#include "server/answer.h"
#include "server/front.h"
#include "server/server.h"

#include <lualib.h>

struct mg_vm {
    mg_app app; // first: the seam's functions get it
    mg_front front;
    lua_State *L;
    mg_loop *loop;
    mg_server *server; // NULL until there is one
    mg_turn turn;
    int turn_ref;  // registry reference of the scheduler's function; LUA_NOREF before it is there
    bool attached; // to the loop
    bool severed;  // from it, for ever
    bool wanted;   // Lua has something to do in this turn though nothing is queued here
    mg_link requests; // exchanges by app_link
    mg_link events;   // finished operations and signals, in the order in which they happened
    mg_link later;    // operations that are to be finished in the next turn
    mg_slots exchanges;
    mg_slots ops;
    mg_slots streams;     // bind_stream.c
    mg_slots remotes;     // bind_websocket_client.c
    mg_link holds;        // what ends with the vm at the latest
    struct mg_site *site; // websocket_site.h; NULL: none yet
    uint32_t generation;  // for people
    mg_op *telling;       // its result is being pushed; NULL: none is
    uint32_t failures;    // of the scheduler, in a row
    uint64_t serving; // the exchange that the scheduler was told of last; 0: it has gone on since
    int limit_ref;    // registry reference of what raises once there are too many operations

    mg_depth depth;
    mg_lua_memory memory; // unbounded unless attached
    char stall[256];      // why the running coroutine was made to fail; "": it was not
    int router_ref; // registry reference of the Lua value whose matcher the front's routes borrow

    const mg_vm_jobs *jobs; // NULL: every job may run
    void *jobs_arg;
    const mg_services *services; // never NULL

    // The error log, if there is one. Borrows the event. Called from other threads while the
    // scripts are loaded.
    void (*on_log)(void *arg, const mg_log_event *event);
    void *log_arg;
    mg_buf json;       // bind_answer.c: an encoded body
    mg_random_ids ids; // of requests
};

// Kinds of events that native.next_event() returns.
enum { MG_EVENT_REQUEST = 1, MG_EVENT_DONE, MG_EVENT_SIGNAL, MG_EVENT_STREAM, MG_EVENT_SOCKET };

// What runs, for whoever watches from outside: the handle of the exchange that Lua works for (0:
// none), a count that rises whenever it goes on to another task, and the address of that task's
// coroutine (0: the scheduler runs). Lua writes it through FFI, and reads there whether
// something was queued since next_event() found nothing more (some other vm's may pass for it),
// and whether the turn has taken long already: then what is left waits for the next one.
enum { MG_NOTE_HANDLE, MG_NOTE_STEPS, MG_NOTE_COROUTINE, MG_NOTE_MORE, MG_NOTE_LATE };
extern volatile double mg_vm_note[MG_NOTE_LATE + 1];

// The vm whose Lua runs; NULL: none. For signal handlers in the loop's thread.
extern mg_vm *volatile mg_vm_running;

// Belongs to `L`, which is borrowed; the router and scheduler come from Lua later. Does not touch
// the loop: scripts may be loaded in another thread.
mg_vm *mg_vm_new(lua_State *L, mg_loop *loop);

// What serves requests: the front, which finds their routes before they come here.
static inline mg_app *mg_vm_seam(mg_vm *vm) {
    return &vm->front.app;
}
// On the loop: from now on the scheduler runs in its turns.
void mg_vm_attach(mg_vm *vm);

// On the loop: cancels all operations, drops what is queued and leaves the loop. What Lua still
// calls (finalizers, when the state is closed in another thread) raises.
void mg_vm_sever(mg_vm *vm);

// Severs it, if that is still to do, and frees it: behind lua_close, whose finalizers may look for
// it. Accepts NULL.
void mg_vm_free(mg_vm *vm);

// The vm of a function registered with mg_vm_register.
static inline mg_vm *mg_vm_of(lua_State *L) {
    mg_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    if (__builtin_expect(vm->severed, 0)) {
        luaL_error(L, "the scripts were replaced: nothing can be done for them any more");
    }
    return vm;
}

// The same for a function that begins an operation: raises with code `limit` if there are too many.
mg_vm *mg_vm_with_room(lua_State *L);

// Tells the error log; stderr if there is none.
void mg_vm_log(const mg_vm *vm, const mg_log_event *event);

// Adds the vm's own functions to the table at the top.
void mg_bind_vm(lua_State *L, mg_vm *vm);

// Adds functions to the table at the top, each with the vm as its first upvalue.
void mg_vm_register(lua_State *L, mg_vm *vm, const luaL_Reg *functions);

// What C keeps for scripts, in vm->holds: dropped when the vm is severed, if it is still there.
typedef struct mg_vm_hold mg_vm_hold;
struct mg_vm_hold {
    mg_link link;
    void (*drop)(mg_vm_hold *h); // ends it, and takes it out of the list
};

// Tells of something that nobody has started, as `event`: `op` is the vm's from now on.
void mg_vm_tell(mg_vm *vm, mg_op *op, const mg_op_kind *kind, int event);

// --- requests ---

// The exchange of the handle at `index`, or NULL if it is over.
mg_exchange *mg_vm_exchange(lua_State *L, mg_vm *vm, int index);

// The answer is complete: the handle becomes stale, and operations that wait for the exchange fail.
// To be called right before the call that ends the exchange.
void mg_vm_release_exchange(mg_vm *vm, mg_exchange *x);

// The exchange is about to end, but its request goes on: as above, but the handle is told of that
// (mg_vm_tell_gone), and no other request gets it before, or before mg_vm_forget.
void mg_vm_part_with_exchange(mg_vm *vm, mg_exchange *x);
void mg_vm_tell_gone(mg_vm *vm, uint64_t handle, mg_gone why);
void mg_vm_forget(mg_vm *vm, uint64_t handle);
