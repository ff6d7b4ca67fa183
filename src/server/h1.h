// server/h1.h: HTTP/1.1 as a wire (server/wire.h): reads requests off a connection, one after the
// other, and writes their answers.
//
// Between two requests it keeps nothing: the connection's owner is mg_h1_idle, which all share.
#pragma once

#include "server/conn.h"

extern mg_owner mg_h1_idle;
