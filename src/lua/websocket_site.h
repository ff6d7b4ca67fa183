// lua/websocket_site.h: what a vm knows of the WebSockets that its scripts serve (live/guest.h): it
// is a host of them, and tells its scheduler of what came for them. For lua/ alone.
#pragma once

#include "live/host.h"
#include "lua/vm.h"

typedef struct mg_site {
    mg_vm_hold hold;
    mg_vm *vm;
    mg_host host;
    mg_op told;        // stands among the vm's events while somebody is ready
    uint64_t telling;  // the guest of whom something is being told; 0: none
    lua_State *caller; // whose function runs, which has the host pack; NULL: none
    int pack_ref;      // registry: pack(slot) -> the state of the guest in that slot, or nothing
    uint32_t in_turn;  // told since the loop last turned
} mg_site;

// The vm's, made when it is first asked for; NULL: there are no WebSockets here.
mg_site *mg_site_of(mg_vm *vm);

// What MG_EVENT_SOCKET tells: MG_SITE_*, in this order from 1.
enum { MG_SITE_RENEWED = 1, MG_SITE_MESSAGE, MG_SITE_ENDED };

// A coroutine that waits for a message of its guest, or anybody that waits for room.
typedef struct mg_guest_op {
    mg_op op;
    mg_guest *guest; // NULL: it is gone
    bool ended;
} mg_guest_op;

extern const mg_op_kind mg_receive_kind, mg_room_kind;

void mg_site_push_kind(lua_State *L, mg_packet_kind kind); // "text" or "binary"
