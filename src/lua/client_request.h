// lua/client_request.h: what a script asks of the HTTP client, as options of a call. For
// bind_client.c alone.
#pragma once

#include "base/arena.h"
#include "client/raw.h"
#include "lua/vm.h"

// Times of a call for which no option says otherwise.
enum { MG_CALL_CONNECT_MS = 5000, MG_CALL_TOTAL_MS = 30000, MG_CALL_IDLE_MS = 30000 };

// Reads (method, url, headers, body, options) from the stack at 1 to 5. Texts lie in Lua's strings
// of those arguments and in `arena`. NULL, or what is wrong, in words for the caller (static, or in
// `text`). Raises only for wrong types of 1, 2 and 4, before anything is taken.
const char *mg_client_request_read(lua_State *L, mg_arena *arena, mg_call_options *out,
                                   char text[256]);

// Reads (host, port, path of a Unix socket instead of both, alpn, options) from the stack at 1 to
// 5, likewise, as options of a raw stream.
const char *mg_client_raw_read(lua_State *L, mg_arena *arena, mg_raw_options *out,
                               uint32_t *idle_ms, char text[256]);
