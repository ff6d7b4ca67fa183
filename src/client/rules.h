// client/rules.h: which addresses may be called at all: what keeps a URL that somebody else chose
// away from the inside of a network.
//
// A set of rules judges addresses, after names were looked up and before anything is dialled, so
// that no name, however often it changes its mind, leads around it. An address is refused if it is
// denied and not allowed. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo,
// ISATAP, compatible) is denied if either is, and allowed if itself is.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/network.h"

// Does not change once it is made.
typedef struct mg_rules mg_rules;

typedef enum mg_rules_list { MG_RULES_DENY, MG_RULES_ALLOW } mg_rules_list;

// Rules are handed over as one text: an item for each entry of a list. Equal texts, equal rules.
void mg_rules_append(mg_buf *out, mg_rules_list list, mg_str entry);

// Entries are networks as "10.0.0.0/8", "::1" or names: "all", "private" (whatever is not public:
// all of the others too), "loopback", "link_local", "unix". Allowed ones alone deny all others.
// MG_ECONFIG and a text for one that is none of these. An empty text: `*out` is NULL.
int mg_rules_new(mg_rules **out, mg_str text, mg_error *err);
void mg_rules_free(mg_rules *r); // accepts NULL

// What refuses the address: an entry, or "" if there are allowed ones alone; NULL: nothing does. An
// `r` of NULL refuses nothing.
const char *mg_rules_refuse(const mg_rules *r, const struct sockaddr_storage *address);
