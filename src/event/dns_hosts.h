// event/dns_hosts.h: the names of /etc/hosts (hosts(5)), read when the file has changed and not for
// each question: the loop waits meanwhile.
//
// Owns what it has read. Not for other rooms.
#pragma once

#include "event/dns_cache.h"

typedef struct mg_dns_hosts mg_dns_hosts;

mg_dns_hosts *mg_dns_hosts_new(const char *path); // copied
void mg_dns_hosts_free(mg_dns_hosts *h);          // accepts NULL

// A new answer with the addresses of `name` (in lower case), in the order of the file; NULL: it is
// not there. Looks once a second whether the file has changed.
mg_dns_answer *mg_dns_hosts_find(mg_dns_hosts *h, const char *name, uint64_t now_ms);
