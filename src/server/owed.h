// server/owed.h: what peers have not taken yet, of all connections together, and who goes when that
// is more than limits.output.
//
// What one owes is counted where it is known: bytes that the kernel has not taken by the
// connection, content of a stream of HTTP/2 that waits for its turn or its window by the stream.
// Nobody is made to go in the middle of something: the bound is held at the end of a turn, and
// whoever makes answers ends the turn once `server->owing` says that it is passed.
#pragma once

#include "event/deadline.h"

#include <stddef.h>
#include <stdint.h>

struct mg_server;

// It is `now` bytes; `counted` is what it was when this was last said.
void mg_owed_count(struct mg_server *s, uint32_t *counted, size_t now);

// `progress` bytes were taken since `d` was started: enough to go on, at the rate that peers have
// to take answers at?
bool mg_owed_moves(const struct mg_server *s, const mg_deadlines *q, const mg_deadline *d,
                   uint32_t progress);

// Makes peers go until what is owed is within the bound: first who has owed for a while and has
// taken nothing, then who owes the most beside what it has taken.
void mg_owed_bound(struct mg_server *s);
