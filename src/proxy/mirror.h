// proxy/mirror.h: a copy of a request for another upstream, whose answer nobody waits for.
//
// While the body comes it is kept, up to a limit; when it is whole the copy is sent, and the
// mirror is on its own. It takes no time of the client's: whatever is slow, too large or too much
// is dropped and counted. It goes with its answer, or with the set of upstreams that it is sent to.
#pragma once

#include "proxy/forward.h"
#include "proxy/upstream.h"

typedef struct mg_mirror mg_mirror;

enum {
    MG_MIRROR_BODY_BYTES = 64 * 1024,
    MG_MIRRORS_MOST = 64, // of a set, in one worker
};

// One that `u` wants for this request, by its share; NULL: none. The caller's until it is sent or
// dropped.
mg_mirror *mg_mirror_new(mg_upstream *u);

// More of the body; copied. Accepts NULL.
void mg_mirror_add(mg_mirror *m, mg_str piece);

typedef struct mg_mirrored {
    mg_exchange *exchange;
    const mg_forward_rules *rules;
    mg_str target;
    const mg_fields *fields;
    bool has_body;
} mg_mirrored;

// The body is whole: it goes. All of `request` is borrowed for the call. Accepts NULL.
void mg_mirror_send(mg_mirror *m, const mg_mirrored *request);

// The request never became whole. Accepts NULL.
void mg_mirror_drop(mg_mirror *m);

// Nobody but its mirrors has the set any more.
void mg_mirrors_end(mg_upstreams *us);
