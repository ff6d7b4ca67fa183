// bench/count: upstreams in memory, "origin" and, over HTTP/2, "origin_h2". The one server of each
// answers each request with the same fields and 1 KiB.
#pragma once

#include "proxy/upstream.h"

// Stands in for the network of `loop`, for ever.
mg_upstreams *count_origin_open(mg_loop *loop);
