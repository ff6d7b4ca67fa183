// What the ACME client's process lends to its scripts: lua/moongate/core/acme/ calls these. Keys
// stay here: Lua has names, signatures and certificates.

#include "base/codec.h"
#include "event/tls_acme.h"
#include "event/tls_challenge.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "store/acme_files.h"

static const mg_acme_seam *seam_of(lua_State *L) {
    return mg_vm_of(L)->services->acme;
}

// Takes both buffers.
static int push_result(lua_State *L, int rc, mg_buf *text, mg_buf *more, const mg_error *err) {
    int n = 0;
    if (rc == MG_OK) {
        n = mg_lua_push_str(L, mg_buf_str(text));
        n += more != NULL ? mg_lua_push_str(L, mg_buf_str(more)) : 0;
    }
    mg_buf_deinit(text);
    if (more != NULL) {
        mg_buf_deinit(more);
    }
    return rc == MG_OK ? n : mg_lua_refuse(L, err->text);
}

static int push_done(lua_State *L, int rc, const mg_error *err) {
    if (rc != MG_OK) {
        return mg_lua_refuse(L, err->text);
    }
    lua_pushboolean(L, 1);
    return 1;
}

// wishes() -> JSON
static int wishes(lua_State *L) {
    return mg_lua_push_str(L, seam_of(L)->wishes);
}

// lease(folder) -> true | nil: another process has it | nil, what is wrong
static int lease(lua_State *L) {
    mg_error err;
    int rc = mg_acme_lease(luaL_checkstring(L, 1), &err);
    if (rc == MG_EAGAIN) {
        lua_pushnil(L);
        return 1;
    }
    return push_done(L, rc, &err);
}

// account(place) -> JWK as JSON, its thumbprint | nil, what is wrong
static int account(lua_State *L) {
    mg_error err;
    mg_buf jwk = {0};
    mg_buf thumbprint = {0};
    int rc = mg_acme_account(luaL_checkstring(L, 1), &jwk, &thumbprint, &err);
    return push_result(L, rc, &jwk, &thumbprint, &err);
}

// sign(place, head, payload) -> JWS as JSON | nil, what is wrong
static int sign(lua_State *L) {
    mg_error err;
    mg_buf out = {0};
    int rc = mg_acme_account_sign(luaL_checkstring(L, 1), mg_lua_check_str(L, 2),
                                  mg_lua_check_str(L, 3), &out, &err);
    return push_result(L, rc, &out, NULL, &err);
}

// sign_shared(key in base64url, head, payload) -> JWS as JSON | nil, what is wrong
static int sign_shared(lua_State *L) {
    mg_error err;
    mg_buf key = {0};
    mg_buf out = {0};
    mg_str head = mg_lua_check_str(L, 2);
    mg_str payload = mg_lua_check_str(L, 3);
    int rc = mg_base64_decode(&key, mg_lua_check_str(L, 1), MG_BASE64_URL);
    if (rc == MG_OK) {
        mg_acme_sign_shared(mg_buf_str(&key), head, payload, &out);
    } else {
        mg_error_set(&err, rc, "hmac_key is not in base64url");
    }
    mg_buf_deinit(&key);
    return push_result(L, rc, &out, NULL, &err);
}

// request(place, domain) -> base64url | nil, what is wrong
static int request(lua_State *L) {
    mg_error err;
    mg_buf out = {0};
    int rc = mg_acme_order_request(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &out, &err);
    return push_result(L, rc, &out, NULL, &err);
}

// keep(place, domain, PEM) -> true | nil, what is wrong
static int keep(lua_State *L) {
    mg_error err;
    int rc =
        mg_acme_keep(luaL_checkstring(L, 1), luaL_checkstring(L, 2), mg_lua_check_str(L, 3), &err);
    return push_done(L, rc, &err);
}

// kept(place, domain) -> not before, not after, name for renewal or nil | nothing
static int kept(lua_State *L) {
    int64_t not_before, not_after;
    mg_buf id = {0};
    if (!mg_acme_kept(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &not_before, &not_after,
                      &id)) {
        return 0;
    }
    lua_pushnumber(L, (lua_Number)not_before);
    lua_pushnumber(L, (lua_Number)not_after);
    if (id.n > 0) {
        mg_lua_push_str(L, mg_buf_str(&id));
    } else {
        lua_pushnil(L);
    }
    mg_buf_deinit(&id);
    return 3;
}

// note(place, name) -> text | nil
static int note(lua_State *L) {
    mg_buf text = {0};
    mg_acme_note(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &text);
    if (text.n == 0) {
        lua_pushnil(L);
    } else {
        mg_lua_push_str(L, mg_buf_str(&text));
    }
    mg_buf_deinit(&text);
    return 1;
}

// set_note(place, name, text) -> true | nil, what is wrong
static int set_note(lua_State *L) {
    mg_error err;
    int rc = mg_acme_set_note(luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                              mg_lua_check_str(L, 3), &err);
    return push_done(L, rc, &err);
}

// --- what others are told ---

// show(kind, domain, authorization) -> true | nil, what is wrong
static int show(lua_State *L) {
    const mg_acme_seam *s = seam_of(L);
    mg_error err;
    mg_buf text = {0};
    int rc = mg_challenge_write(&text, luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                                mg_lua_check_str(L, 3), &err);
    if (rc == MG_OK) {
        s->show(s->arg, mg_buf_str(&text));
    }
    mg_buf_deinit(&text);
    return push_done(L, rc, &err);
}

// hide(): no challenge is under way any more
static int hide(lua_State *L) {
    const mg_acme_seam *s = seam_of(L);
    s->show(s->arg, (mg_str){"", 0});
    return 0;
}

// is_shown() -> whether all workers have been told of what was shown or hidden last
static int is_shown(lua_State *L) {
    const mg_acme_seam *s = seam_of(L);
    lua_pushboolean(L, s->is_shown(s->arg));
    return 1;
}

// issued(): there are other certificates than those that are served
static int issued(lua_State *L) {
    const mg_acme_seam *s = seam_of(L);
    s->issued(s->arg);
    return 0;
}

// tell(name, JSON): how a certificate stands
static int tell(lua_State *L) {
    const mg_acme_seam *s = seam_of(L);
    s->tell(s->arg, mg_lua_check_str(L, 1), mg_lua_check_str(L, 2));
    return 0;
}

void mg_bind_acme(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"wishes", wishes},
        {"lease", lease},
        {"account", account},
        {"sign", sign},
        {"sign_shared", sign_shared},
        {"request", request},
        {"keep", keep},
        {"kept", kept},
        {"note", note},
        {"set_note", set_note},
        {"show", show},
        {"hide", hide},
        {"is_shown", is_shown},
        {"issued", issued},
        {"tell", tell},
        {NULL, NULL},
    };
    if (vm->services->acme != NULL) { // scripts of a project find nothing of it
        lua_newtable(L);
        mg_vm_register(L, vm, functions);
        lua_setfield(L, -2, "acme");
    }
}
