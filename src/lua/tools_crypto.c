#include "lua/bind_tools.h"

#include "base/crypto.h"
#include "lua/scratch.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum { RANDOM_MAX = 65536, UUID_BYTES = 16, UUID_TEXT = 36 };

static int push_digest(lua_State *L, mg_digest_kind kind) {
    unsigned char digest[MG_DIGEST_MAX];
    size_t n = mg_digest(kind, mg_tools_check_string(L, 1), digest);
    if (n == 0) {
        return luaL_error(L, "OpenSSL on this machine refuses %s", mg_digest_name(kind));
    }
    lua_pushlstring(L, (const char *)digest, n);
    return 1;
}

static int sha256(lua_State *L) {
    return push_digest(L, MG_SHA256);
}

static int sha1(lua_State *L) {
    return push_digest(L, MG_SHA1);
}

static int md5(lua_State *L) {
    return push_digest(L, MG_MD5);
}

static int hmac_sha256(lua_State *L) {
    mg_str key = mg_tools_check_string(L, 1);
    mg_str s = mg_tools_check_string(L, 2);
    unsigned char digest[MG_DIGEST_MAX];
    luaL_argcheck(L, key.n <= INT32_MAX, 1, "the key is too long");
    size_t n = mg_hmac_sha256(key, s, digest);
    if (n == 0) {
        return luaL_error(L, "OpenSSL on this machine refuses HMAC with SHA256");
    }
    lua_pushlstring(L, (const char *)digest, n);
    return 1;
}

static void fill_random(lua_State *L, void *out, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)out + done, n - done, 0);
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            luaL_error(L, "the kernel gives no random bytes: %s", strerror(errno));
        }
    }
}

static int random_bytes(lua_State *L) {
    luaL_checktype(L, 1, LUA_TNUMBER);
    double n = lua_tonumber(L, 1);
    luaL_argcheck(L, n >= 1 && n <= RANDOM_MAX && n == (double)(size_t)n, 1,
                  "expected an integer from 1 to 65536");
    lua_settop(L, 1);
    mg_buf *out = mg_scratch_take(L);
    fill_random(L, mg_buf_reserve(out, (size_t)n), (size_t)n);
    out->n = (size_t)n;
    mg_scratch_push(L, 2);
    return 1;
}

// Sets version and variant (RFC 9562 sections 4.1 and 4.2) and pushes the text.
static int push_uuid(lua_State *L, uint8_t id[UUID_BYTES], unsigned version) {
    id[6] = (uint8_t)((id[6] & 0x0F) | version << 4);
    id[8] = (uint8_t)((id[8] & 0x3F) | 0x80);
    static const char digits[] = "0123456789abcdef";
    char text[UUID_TEXT];
    size_t n = 0;
    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[n++] = '-';
        }
        text[n++] = digits[id[i] >> 4];
        text[n++] = digits[id[i] & 15];
    }
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

static int uuid(lua_State *L) {
    uint8_t id[UUID_BYTES];
    fill_random(L, id, sizeof id);
    return push_uuid(L, id, 4);
}

// Milliseconds, with 12 bits of their fraction below; greater at each call, so that a thread's ids
// sort as they were made.
static uint64_t next_tick(void) {
    static _Thread_local uint64_t last;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t fraction = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;
    uint64_t tick = ms << 12 | fraction;
    last = tick > last ? tick : last + 1;
    return last;
}

static int uuid7(lua_State *L) {
    uint8_t id[UUID_BYTES];
    fill_random(L, id + 8, sizeof id - 8);
    uint64_t tick = next_tick();
    for (int i = 0; i < 6; i++) {
        id[i] = (uint8_t)(tick >> (52 - 8 * i));
    }
    id[6] = (uint8_t)(tick >> 8 & 0x0F);
    id[7] = (uint8_t)tick;
    return push_uuid(L, id, 7);
}

static int constant_time_equal(lua_State *L) {
    mg_str a = mg_tools_check_string(L, 1);
    mg_str b = mg_tools_check_string(L, 2);
    lua_pushboolean(L, mg_secret_equal(a, b));
    return 1;
}

void mg_tools_add_crypto(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"sha256", sha256},
        {"sha1", sha1},
        {"md5", md5},
        {"hmac_sha256", hmac_sha256},
        {"random_bytes", random_bytes},
        {"uuid", uuid},
        {"uuid7", uuid7},
        {"constant_time_equal", constant_time_equal},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
