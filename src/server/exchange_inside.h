// server/exchange_inside.h: how a connection drives its exchange. For server/ alone.
#pragma once

#include "server/exchange.h"

void mg_exchange_start(mg_exchange *x); // the head is complete
bool mg_exchange_take_piece(mg_exchange *x,
                            mg_str content);    // false: that was too much, the exchange is over
void mg_exchange_body_progress(mg_exchange *x); // after pieces, and at the body's end
void mg_exchange_lost(mg_exchange *x, mg_gone why); // the connection is going; tells the app, logs
void mg_exchange_writable(mg_exchange *x);
bool mg_exchange_ends_with_close(const mg_exchange *x); // to the peer a FIN now is a whole answer
void mg_exchange_late(mg_exchange *x);
void mg_exchange_start_body_timer(mg_exchange *x);
void mg_exchange_stop_deadlines(mg_exchange *x);
void mg_exchange_record(mg_exchange *x, bool aborted); // tells the access log
