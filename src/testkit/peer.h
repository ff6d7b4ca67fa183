// testkit/peer.h: the far end of a connection in memory, driven by a spec.
#pragma once

#include "event/connect.h"
#include "server/server.h"

#include <lua.h>

// Connects to the server, and pushes the userdata that specs send and receive with: bytes of
// HTTP/1.1, which with `http2` are translated on their way.
void mg_testkit_push_peer(lua_State *L, mg_server *server, bool http2);

// The same of an endpoint at which the app speaks another protocol (app:stream).
void mg_testkit_push_stream_peer(lua_State *L, mg_server *server, const char *address);

// The same of what the app dials: the spec is the server at its end.
void mg_testkit_push_accepted(lua_State *L, mg_connect *c);
