// store/redis_keys.h: which words of a command of Redis are keys, and what a cluster can do with
// it: one server has all of them, it is parted, every server gets it, or none can. Pure.
//
// A command that is not known has its key first, as those of modules do: a server that is asked for
// what it does not have says who has it.
#pragma once

#include "store/redis_conn.h"

typedef enum mg_redis_whither {
    MG_REDIS_BY_KEYS,  // to whoever has its keys
    MG_REDIS_ANYONE,   // to any master
    MG_REDIS_EVERYONE, // to every master
    MG_REDIS_IN_TURN,  // to one master after the other: SCAN
    MG_REDIS_NEXT,     // with the command behind it
    MG_REDIS_NOBODY,   // `why` says why
} mg_redis_whither;

// How one reply is made of several.
typedef enum mg_redis_join {
    MG_REDIS_ONE,   // it cannot be parted; of everyone: the first error, else the first reply
    MG_REDIS_LIST,  // values in the order of the keys: MGET
    MG_REDIS_SUM,   // of integers: DEL
    MG_REDIS_PAIRS, // each key with its value, all must be well: MSET
} mg_redis_join;

typedef struct mg_redis_route {
    uint8_t whither; // mg_redis_whither
    uint8_t join;    // mg_redis_join
    bool reads;      // it changes nothing: a replica may answer, and it may be asked again
    const char *why; // static
    uint32_t first, last, step; // words [first], [first + step] ... up to [last] are keys
    uint32_t also;              // another one; 0: none
} mg_redis_route;

mg_redis_route mg_redis_route_of(const mg_redis_command *c);

// The slot of its keys. MG_OK; MG_ESYNTAX and a text: they lie in several. Of MG_REDIS_BY_KEYS.
int mg_redis_slot_of(const mg_redis_command *c, const mg_redis_route *route, uint16_t *slot,
                     mg_error *err);
