// lua/bind_http.h: the grammar of HTTP for scripts: queries, forms, cookies, dates, media types.
// The Lua half is lua/moongate/core/request/context.lua.
//
// A wrong argument raises at the caller's line; what a peer may send wrong gives nil and a message.
#pragma once

#include "base/str.h"

#include <lua.h>

// Pushes the table of functions: parse_query, parse_form, parse_multipart, form, parse_cookies,
// set_cookie, date, parse_date, mime, parse_content_type, status_phrase. May be called many times
// in a state.
int mg_open_http(lua_State *L);

// http_cookies.c: adds parse_cookies and set_cookie to the table on top.
void mg_http_add_cookies(lua_State *L);

// For both: takes the name on top and sets it to `value` in the table below, unless it is there.
void mg_http_set_first(lua_State *L, mg_str value);
