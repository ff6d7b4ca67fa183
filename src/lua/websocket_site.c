#include "lua/websocket_site.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind_json.h"

enum {
    STATE_MAX = 64 * 1024, // bytes of a state that crosses to other scripts
    IN_A_TURN = 256,       // events before the loop looks at its sockets again
};

// --- what is told ---

static int push_event(lua_State *L, const mg_guest_event *e) {
    const mg_guest *g = e->guest;
    lua_pushnumber(L, (lua_Number)g->handle);
    lua_pushinteger(L, (lua_Integer)mg_slot_index(g->handle) + 1);
    lua_pushinteger(L, MG_SITE_RENEWED + (int)e->kind);
    lua_pushinteger(L, (lua_Integer)g->route_id);
    switch (e->kind) {
    case MG_GUEST_MESSAGE:
        mg_lua_push_str(L, e->data);
        mg_site_push_kind(L, e->type);
        return 6;
    case MG_GUEST_ENDED:
        lua_pushinteger(L, g->code);
        mg_lua_push_str(L, mg_buf_str(&g->reason));
        return 6;
    case MG_GUEST_RENEWED:
        break;
    }
    return 4;
}

static mg_site *of_told(mg_op *op) {
    return MG_OF(op, mg_site, told);
}

// Takes the line.
static void log_lost(mg_vm *vm, mg_buf *line) {
    mg_log_event event = {
        .level = MG_LOG_ERROR,
        .message = mg_buf_str(line),
        .wall_ms = mg_loop_wall_ms(vm->loop),
    };
    mg_vm_log(vm, &event);
    mg_buf_deinit(line);
}

static void tell_no_room(mg_vm *vm, const mg_guest *g) {
    mg_buf line = {0};
    mg_buf_printf(&line,
                  "a socket of %s is closed with 1011: what came of it found no room, since ",
                  g->route->name);
    mg_buf_append_str(&line, MG_STR(MG_LUA_MEMORY_FAULT));
    log_lost(vm, &line);
}

// Pushing raised when the scheduler was told last: nobody handles that guest.
static void lose_untold(mg_site *s) {
    mg_guest *g = s->telling != 0 ? mg_guests_get(s->vm->services->guests, s->telling) : NULL;
    mg_guest_event e;
    s->telling = 0;
    if (g == NULL) {
        return;
    }
    tell_no_room(s->vm, g);
    if (g->code == 0) {
        mg_socket_close(&g->socket, MG_WS_INTERNAL, (mg_str){NULL, 0});
    }
    while (mg_guest_look(g, &e)) {
        mg_guest_drop_message(g);
    }
    mg_guest_done(g);
    mg_link_remove(&s->told.link); // its release looks whether somebody is ready
}

// What is told here was taken from its queue: should memory fail, it is the socket that is lost.
static int push_told(lua_State *L, mg_op *op) {
    mg_site *s = of_told(op);
    mg_guest_event e;
    lose_untold(s);
    if (!mg_host_next(&s->host, &e)) {
        return 0;
    }
    s->in_turn++;
    s->telling = e.guest->handle;
    int n = push_event(L, &e);
    s->telling = 0;
    if (e.kind == MG_GUEST_MESSAGE) {
        mg_guest_drop_message(e.guest);
    }
    return n;
}

static void cancel_told(mg_op *op) {
    (void)op;
}

// There may be more.
static void release_told(mg_op *op) {
    mg_site *s = of_told(op);
    if (mg_link_alone(&s->host.ready)) {
        s->in_turn = 0;
    } else if (s->in_turn < IN_A_TURN) {
        mg_op_finish(op);
    } else {
        s->in_turn = 0;
        mg_op_finish_later(op);
    }
}

static const mg_op_kind told_kind = {"socket event", push_told, cancel_told, release_told};

// --- what the host is told ---

static mg_site *of(mg_host *h) {
    return MG_OF(h, mg_site, host);
}

static void on_ready(mg_host *h) {
    mg_op *op = &of(h)->told;
    if (mg_link_alone(&op->link)) {
        mg_op_finish(op);
        mg_loop_turn_soon(op->vm->loop);
    }
}

static void finish(void **waiting, bool ended) {
    mg_guest_op *w = *waiting;
    if (w != NULL && mg_link_alone(&w->op.link)) {
        w->ended = ended;
        mg_op_finish(&w->op);
        mg_loop_turn_soon(w->op.vm->loop);
    }
}

// A peer that left without a word has nobody who waits for what its coroutine does.
static void on_news(mg_host *h, mg_guest *g) {
    if (g->reader != NULL) {
        finish(&g->reader, g->code != 0);
    } else if (g->code == MG_WS_ABNORMAL && g->request != 0) {
        mg_vm_tell_gone(of(h)->vm, g->request, MG_GONE_CLIENT);
        g->request = 0;
    }
}

static void on_drained(mg_host *h, mg_guest *g) {
    (void)h;
    finish(&g->writer, g->code != 0);
}

static void part_with(void **waiting) {
    mg_guest_op *w = *waiting;
    if (w != NULL) {
        *waiting = NULL;
        w->guest = NULL;
        w->ended = true;
        if (mg_link_alone(&w->op.link)) {
            mg_op_finish(&w->op);
        }
    }
}

static void forget(mg_host *h, mg_guest *g) {
    (void)h;
    part_with(&g->reader);
    part_with(&g->writer);
}

static void tell_lost(mg_vm *vm, const mg_guest *g, mg_str why) {
    mg_buf line = {0};
    mg_buf_printf(&line,
                  "ws.state of a socket of %s cannot cross to the scripts loaded since, and ",
                  g->route->name);
    mg_buf_printf(&line, "the socket is closed with 1012: %.*s", (int)why.n, why.p);
    log_lost(vm, &line);
}

// Leaves the stack as it is but for one value on top.
static int encode(lua_State *L, mg_buf *out) {
    int rc = lua_isnil(L, -1) ? MG_OK : mg_json_pack(L, lua_gettop(L), out);
    if (rc == MG_OK && out->n > STATE_MAX) {
        mg_buf_deinit(out);
        lua_pushfstring(L, "it is larger than %d bytes", STATE_MAX);
        rc = MG_ELIMIT;
    }
    return rc;
}

typedef struct packing {
    mg_site *site;
    mg_guest *guest;
    mg_buf *out;
    int rc;
} packing;

static int pack_protected(lua_State *L) {
    packing *p = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, p->site->pack_ref);
    lua_pushinteger(L, (lua_Integer)mg_slot_index(p->guest->handle) + 1);
    lua_call(L, 1, 1);
    p->rc = encode(L, p->out);
    return 1;
}

static int pack(mg_host *h, mg_guest *g, mg_buf *out) {
    mg_site *s = of(h);
    lua_State *L = s->caller != NULL ? s->caller : s->vm->L;
    packing p = {s, g, out, MG_OK};
    mg_vm *outer = mg_vm_running;
    if (s->pack_ref == LUA_NOREF) {
        return MG_OK;
    }
    mg_vm_running = s->vm;
    lua_pushcfunction(L, pack_protected);
    lua_pushlightuserdata(L, &p);
    if (lua_pcall(L, 1, 1, 0) != 0) {
        p.rc = MG_ELUA;
    }
    mg_vm_running = outer;
    if (p.rc != MG_OK) {
        mg_buf_deinit(out);
        tell_lost(s->vm, g, lua_isstring(L, -1) ? mg_lua_str(L, -1) : MG_STR("it cannot be read"));
    }
    lua_pop(L, 1);
    return p.rc;
}

static const mg_host_ops host_ops = {
    .on_ready = on_ready,
    .on_news = on_news,
    .on_drained = on_drained,
    .pack = pack,
    .forget = forget,
};

// --- life ---

static void drop(mg_vm_hold *h) {
    mg_site *s = MG_OF(h, mg_site, hold);
    mg_host_leave(&s->host);
    s->vm->site = NULL;
    mg_link_remove(&s->told.link);
    mg_link_remove(&s->hold.link);
    mg_free(s);
}

mg_site *mg_site_of(mg_vm *vm) {
    if (vm->site == NULL && vm->services->guests != NULL) {
        mg_site *s = mg_calloc(1, sizeof *s);
        s->vm = vm;
        s->hold.drop = drop;
        mg_link_append(&vm->holds, &s->hold.link);
        mg_host_init(&s->host, &host_ops, vm->services->guests, vm->generation);
        s->told.kind = &told_kind;
        s->told.vm = vm;
        s->told.event = MG_EVENT_SOCKET;
        mg_link_init(&s->told.link);
        s->pack_ref = LUA_NOREF;
        vm->site = s;
    }
    return vm->site;
}

// --- operations ---

void mg_site_push_kind(lua_State *L, mg_packet_kind kind) {
    if (kind == MG_PACKET_TEXT) {
        lua_pushliteral(L, "text");
    } else {
        lua_pushliteral(L, "binary");
    }
}

// Whoever waited asks again.
static int push_receive(lua_State *L, mg_op *op) {
    (void)op;
    lua_pushboolean(L, 1);
    lua_pushboolean(L, 1);
    return 2;
}

static int push_room(lua_State *L, mg_op *op) {
    if (((const mg_guest_op *)op)->ended) {
        return mg_lua_push_failure(L, "closed", "the socket is closed");
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void cancel_op(mg_op *op) {
    (void)op; // nothing runs
}

static void release_receive(mg_op *op) {
    mg_guest_op *r = (mg_guest_op *)op;
    if (r->guest != NULL) {
        r->guest->reader = NULL;
    }
    mg_free(r);
}

static void release_room(mg_op *op) {
    mg_guest_op *w = (mg_guest_op *)op;
    if (w->guest != NULL) {
        w->guest->writer = NULL;
    }
    mg_free(w);
}

const mg_op_kind mg_receive_kind = {"ws receive", push_receive, cancel_op, release_receive};
const mg_op_kind mg_room_kind = {"ws send", push_room, cancel_op, release_room};
