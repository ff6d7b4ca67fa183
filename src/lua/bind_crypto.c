// Signatures and passwords: lua/moongate/crypto.lua and password.lua call these. What takes long
// goes to a thread.

#include "base/crypto.h"
#include "base/crypto_key.h"
#include "base/mem.h"
#include "event/task.h"
#include "lua/args.h"
#include "lua/bind.h"

static const char key_type[] = "moongate.key";
static const char *const algorithms[] = {"RS256", "PS256", "ES256", "EdDSA", NULL};

// --- keys ---

static const mg_key *check_key(lua_State *L, int index) {
    return *(mg_key **)luaL_checkudata(L, index, key_type);
}

static int collect_key(lua_State *L) {
    mg_key **box = lua_touserdata(L, 1);
    mg_key_unref(*box);
    *box = NULL;
    return 0;
}

static int show_key(lua_State *L) {
    const mg_key *k = check_key(L, 1);
    lua_pushfstring(L, "a %s key", mg_key_is_private(k) ? "private" : "public");
    return 1;
}

static void make_key_type(lua_State *L) {
    if (luaL_newmetatable(L, key_type)) {
        lua_pushcfunction(L, collect_key);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, show_key);
        lua_setfield(L, -2, "__tostring");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable"); // nobody calls __gc by hand
    }
    lua_pop(L, 1);
}

static mg_str member(lua_State *L, const char *name) {
    mg_str s = {0};
    lua_getfield(L, 1, name);
    if (lua_type(L, -1) == LUA_TSTRING) {
        s = mg_lua_str(L, -1); // lives in the table
    }
    lua_pop(L, 1);
    return s;
}

static mg_key *key_of_jwk(lua_State *L, const char **wrong) {
    return mg_key_of_jwk(
        &(mg_jwk){
            .kty = member(L, "kty"),
            .crv = member(L, "crv"),
            .x = member(L, "x"),
            .y = member(L, "y"),
            .d = member(L, "d"),
            .n = member(L, "n"),
            .e = member(L, "e"),
            .p = member(L, "p"),
            .q = member(L, "q"),
            .dp = member(L, "dp"),
            .dq = member(L, "dq"),
            .qi = member(L, "qi"),
        },
        wrong);
}

// key(PEM, or the members of a JWK as bytes) -> a key, the algorithms that it fits as a list,
// whether it is private | nil, message
static int new_key(lua_State *L) {
    const char *wrong = NULL;
    lua_settop(L, 1);
    mg_key **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, key_type);
    lua_setmetatable(L, -2);
    *box =
        lua_istable(L, 1) ? key_of_jwk(L, &wrong) : mg_key_of_pem(mg_lua_check_str(L, 1), &wrong);
    if (*box == NULL) {
        return mg_lua_refuse(L, wrong);
    }
    lua_newtable(L);
    int n = 0;
    for (int a = 0; a < MG_SIGNATURE_ALGORITHMS; a++) {
        if (mg_key_fits(*box, (mg_signature_algorithm)a)) {
            lua_pushstring(L, algorithms[a]);
            lua_rawseti(L, -2, ++n);
        }
    }
    lua_pushboolean(L, mg_key_is_private(*box));
    return 3;
}

// verify(key, algorithm, bytes, signature) -> boolean
static int verify(lua_State *L) {
    const mg_key *k = check_key(L, 1);
    mg_signature_algorithm a = (mg_signature_algorithm)luaL_checkoption(L, 2, NULL, algorithms);
    mg_str bytes = mg_lua_check_str(L, 3);
    lua_pushboolean(L, mg_key_verify(k, a, bytes, mg_lua_check_str(L, 4)));
    return 1;
}

// --- what goes to a thread ---

typedef struct work work;
struct work {
    mg_op op;
    mg_task task;
    mg_link waiting; // in `line`
    bool (*run)(work *w);
    bool heavy;  // stands in line
    bool begun;  // in a thread, until it is done
    bool orphan; // released meanwhile
    bool good;
    mg_key *key; // one of its references
    mg_signature_algorithm algorithm;
    mg_scrypt_cost cost;
    mg_buf input, salt, output;
};

// What needs much memory and a whole processor is done few at a time, so that nobody who asks for
// many takes either from the rest. All generations of a thread stand in one line.
enum { HEAVY_MOST = 2, LINE_MOST = 1000 };
static _Thread_local struct {
    mg_link waiting;
    unsigned running, length;
} line;

static void free_work(work *w) {
    mg_key_unref(w->key);
    if (w->input.p != NULL) {
        mg_secret_clear(w->input.p, w->input.cap);
    }
    mg_buf_deinit(&w->input);
    mg_buf_deinit(&w->salt);
    mg_buf_deinit(&w->output);
    mg_free(w);
}

static void finish(work *w, bool good) {
    w->begun = false;
    w->good = good;
    if (w->orphan) {
        free_work(w);
    } else {
        mg_op_finish(&w->op);
    }
}

static void run_task(mg_task *t) {
    work *w = MG_OF(t, work, task);
    w->good = w->run(w);
}

static void begin(work *w);

static void task_done(mg_task *t, int status) {
    work *w = MG_OF(t, work, task);
    bool heavy = w->heavy;
    finish(w, status == MG_OK && w->good);
    mg_link *next = heavy ? mg_link_shift(&line.waiting) : NULL;
    line.running -= heavy;
    if (next != NULL) {
        line.length--;
        begin(MG_OF(next, work, waiting));
    }
}

static void begin(work *w) {
    static const mg_task_ops ops = {run_task, task_done};
    w->begun = true;
    line.running += w->heavy;
    if (mg_task_start(w->op.vm->loop, &w->task, &ops) != MG_OK) {
        line.running -= w->heavy;
        finish(w, false);
    }
}

static void stand_in_line(work *w) {
    if (line.waiting.next == NULL) {
        mg_link_init(&line.waiting);
    }
    if (line.running < HEAVY_MOST) {
        begin(w);
    } else {
        mg_link_append(&line.waiting, &w->waiting);
        line.length++;
    }
}

static void cancel_work(mg_op *op) {
    work *w = (work *)op;
    if (w->begun) {
        mg_task_cancel(&w->task);
    } else if (!mg_link_alone(&w->waiting)) {
        mg_link_remove(&w->waiting);
        line.length--;
    }
}

static void release_work(mg_op *op) {
    work *w = (work *)op;
    if (w->begun) {
        w->orphan = true; // freed when its thread is done
    } else {
        free_work(w);
    }
}

static int push_work(lua_State *L, mg_op *op) {
    const work *w = (const work *)op;
    if (!w->good) {
        return mg_lua_push_failure(L, "limit", "OpenSSL refuses it, or has no memory for it");
    }
    lua_pushboolean(L, 1);
    mg_lua_push_str(L, mg_buf_str(&w->output));
    return 2;
}

static const mg_op_kind work_kind = {"crypto", push_work, cancel_work, release_work};

static work *start_work(mg_vm *vm, bool (*run)(work *w)) {
    work *w = mg_calloc(1, sizeof *w);
    w->run = run;
    mg_link_init(&w->waiting);
    mg_op_start(vm, &w->op, &work_kind);
    return w;
}

// --- signing ---

static bool run_sign(work *w) {
    return mg_key_sign(w->key, w->algorithm, mg_buf_str(&w->input), &w->output);
}

// sign(key, algorithm, bytes) -> operation of the signature
static int sign(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    const mg_key *k = check_key(L, 1);
    mg_signature_algorithm a = (mg_signature_algorithm)luaL_checkoption(L, 2, NULL, algorithms);
    mg_str bytes = mg_lua_check_str(L, 3);
    work *w = start_work(vm, run_sign);
    w->key = mg_key_ref((mg_key *)(uintptr_t)k);
    w->algorithm = a;
    mg_buf_append_str(&w->input, bytes);
    lua_pushnumber(L, (lua_Number)w->op.handle);
    begin(w);
    return 1;
}

// --- passwords ---

static bool run_scrypt(work *w) {
    unsigned char out[MG_SCRYPT_BYTES];
    bool good = mg_scrypt(mg_buf_str(&w->input), mg_buf_str(&w->salt), w->cost, out);
    mg_buf_append(&w->output, (const char *)out, good ? sizeof out : 0);
    return good;
}

// scrypt(password, salt, log2 of n, r, p) -> operation of 32 bytes | nil: too many stand in line
static int scrypt(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_str password = mg_lua_check_str(L, 1);
    mg_str salt = mg_lua_check_str(L, 2);
    mg_scrypt_cost cost = {(unsigned)luaL_checkinteger(L, 3), (unsigned)luaL_checkinteger(L, 4),
                           (unsigned)luaL_checkinteger(L, 5)};
    if (line.length >= LINE_MOST) {
        lua_pushnil(L);
        return 1;
    }
    work *w = start_work(vm, run_scrypt);
    w->heavy = true;
    w->cost = cost;
    mg_buf_append_str(&w->input, password);
    mg_buf_append_str(&w->salt, salt);
    lua_pushnumber(L, (lua_Number)w->op.handle);
    stand_in_line(w);
    return 1;
}

void mg_bind_crypto(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"key", new_key}, {"verify", verify}, {"sign", sign}, {"scrypt", scrypt}, {NULL, NULL},
    };
    make_key_type(L);
    lua_newtable(L);
    mg_vm_register(L, vm, functions);
    lua_setfield(L, -2, "crypto");
}
