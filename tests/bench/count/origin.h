// bench/count: an upstream in memory, "origin", whose one server answers each request with 1 KiB.
#pragma once

#include "proxy/upstream.h"

// Stands in for the network of `loop`, for ever.
mg_upstreams *count_origin_open(mg_loop *loop);
