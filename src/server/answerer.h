// server/answerer.h: who answers the requests of a route: the scripts, a folder of files, later a
// proxy or a tunnel.
//
// An answerer is an mg_app: the front (server/front.h) gives it an exchange with on_request, once
// the route is found and its limits hold; from then on the events of the exchange are the
// answerer's, which answers with server/answer.h, at once or later. What it does not have it may
// pass on to the scripts (mg_front_pass). What it keeps for an exchange hangs on x->app_data.
//
// A new kind is a struct that begins with an mg_answerer, and a function that makes one of what the
// route says: see server/folder.c, and what lua/bind_routes.c reads of a route.
#pragma once

#include "server/exchange.h"

typedef struct mg_answerer mg_answerer;
struct mg_answerer {
    mg_app app; // first: the seam's functions get it
    void (*free)(mg_answerer *a);
};
