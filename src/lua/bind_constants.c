// Numbers that both halves must know, and that are written here or below, in C.

#include "base/log_line.h"
#include "base/slots.h"
#include "event/file.h"
#include "http/method.h"
#include "lua/bind.h"
#include "lua/client_request.h"
#include "lua/inbox.h"
#include "lua/websocket_site.h"

static void set(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_methods(lua_State *L) {
    lua_newtable(L);
    for (mg_method m = 0; m < MG_METHOD_COUNT; m++) {
        set(L, mg_method_name(m).p, m);
    }
    set(L, "UNKNOWN", MG_METHOD_UNKNOWN);
    lua_setfield(L, -2, "methods");
}

static void set_log_levels(lua_State *L) {
    lua_newtable(L);
    set(L, "debug", MG_LOG_DEBUG);
    set(L, "info", MG_LOG_INFO);
    set(L, "warn", MG_LOG_WARN);
    set(L, "error", MG_LOG_ERROR);
    lua_setfield(L, -2, "log_levels");
}

static void set_events(lua_State *L) {
    lua_newtable(L);
    set(L, "request", MG_EVENT_REQUEST);
    set(L, "done", MG_EVENT_DONE);
    set(L, "signal", MG_EVENT_SIGNAL);
    set(L, "stream", MG_EVENT_STREAM);
    set(L, "socket", MG_EVENT_SOCKET);
    lua_setfield(L, -2, "events");
}

static void set_sockets(lua_State *L) {
    lua_newtable(L);
    set(L, "renewed", MG_SITE_RENEWED);
    set(L, "message", MG_SITE_MESSAGE);
    set(L, "ended", MG_SITE_ENDED);
    lua_setfield(L, -2, "sockets");
}

void mg_bind_constants(lua_State *L) {
    lua_newtable(L);
    set(L, "slots", MG_SLOTS_MAX);
    set(L, "file_piece", MG_FILE_PIECE_BYTES);
    set(L, "call_seconds", MG_CALL_TOTAL_MS / 1000.0);
    set(L, "call_idle_seconds", MG_CALL_IDLE_MS / 1000.0);
    set(L, "stream_read_max", MG_INBOX_READ_MAX);
    set(L, "stream_delimiter_max", MG_INBOX_DELIMITER_MAX);
    set_events(L);
    set_sockets(L);
    set_methods(L);
    set_log_levels(L);
    lua_setfield(L, -2, "constants");
}
