// event/dns_channel.h: one c-ares channel on a loop: its sockets, its clock.
//
// c-ares 1.18 reads resolv.conf only when a channel is made, so a channel lives as long as the file
// stays as it is. Not for other rooms.
#pragma once

#include "base/list.h"
#include "event/dns.h"
#include "event/dns_head.h"
#include "event/timer.h"

#include <ares.h>

typedef struct mg_dns_channel mg_dns_channel;
struct mg_dns_channel {
    mg_link link; // the owner's
    void *owner;
    // An answer has come over UDP, c-ares has not seen it yet and may not believe it: a hint. Only
    // records.
    void (*on_head)(mg_dns_channel *c, const mg_dns_head *head);
    uint32_t under_way;
    mg_loop *loop;
    ares_channel ares;
    mg_link sockets;
    mg_timer clock;
};

// `owner` and `on_head` are to be set before anything is asked.
int mg_dns_channel_new(mg_dns_channel **out, mg_loop *loop, const mg_dns_options *options);

// Questions under way end with a call of their callbacks. Never inside such a callback. Accepts
// NULL.
void mg_dns_channel_free(mg_dns_channel *c);

// `on_answer` (c-ares's) may come inside this call.
// `family`: AF_UNSPEC for both.
void mg_dns_channel_ask(mg_dns_channel *c, const char *name, int family,
                        ares_addrinfo_callback on_answer, void *arg);
