// store/redis_near.h: a cache in Redis whose hot values are kept near (store/near_cache.h). What is
// read is tracked by its server (CLIENT TRACKING,
// https://redis.io/docs/manual/client-side-caching), which tells when it changes. A connection that
// is lost, and a slot that moves, leave nothing behind; one that says nothing for a second is asked
// whether it is still one.
#pragma once

#include "store/near_cache.h"
#include "store/redis_cache.h"

// Borrows `r`, of which nothing has been asked yet, and which must outlive it; takes `far` (of the
// same) and `near`.
mg_cache *mg_redis_near_lend(mg_redis *r, mg_cache *far, mg_near_cache *near);
