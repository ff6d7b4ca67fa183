// testkit/h2_peer.h: lets a spec that speaks HTTP/1.1 be a client of HTTP/2: requests are
// translated on their way to the server, answers on their way back.
//
// So each spec can be run over both wires. One request is under way at a time, as on a connection
// of HTTP/1.1; what is pipelined behind it waits. It owns its memory.
#pragma once

#include "base/buf.h"

typedef struct mg_h2_peer mg_h2_peer;

// Appends the connection's preface to `out`, which is the server's to read.
mg_h2_peer *mg_h2_peer_new(mg_buf *out);
void mg_h2_peer_free(mg_h2_peer *p); // accepts NULL

// Bytes of the spec. False: they are no requests of HTTP/1.1, so there is nothing to translate.
bool mg_h2_peer_send(mg_h2_peer *p, mg_str bytes, mg_buf *out);

// Bytes of the server; what they mean is appended to `in`. False: to a client of HTTP/1.1 the
// connection has ended (the stream was reset).
bool mg_h2_peer_receive(mg_h2_peer *p, mg_str bytes, mg_buf *in, mg_buf *out);

// The spec sends no more. False: that is the connection's end, not only that of a tunnel.
bool mg_h2_peer_fin(mg_h2_peer *p, mg_buf *out);
