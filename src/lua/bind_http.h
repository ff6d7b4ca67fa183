// lua/bind_http.h: the grammar of queries, forms, cookies and dates for context.lua.
#pragma once

#include <lua.h>

// Pushes { parse_query, parse_form, parse_multipart, parse_cookies, set_cookie, date, parse_date, mime, status_phrase }.
int mg_open_http(lua_State *L);
