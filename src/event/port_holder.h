// event/port_holder.h: who listens on a TCP port, told by /proc. Slow; asked only after a bind has
// failed.
#pragma once

#include "event/listener.h"

typedef struct mg_port_holder {
    bool ours; // this process itself listens on exactly this address
    int pid;   // of a process that is in the way; 0: not to be seen
} mg_port_holder;

mg_port_holder mg_port_holder_find(const mg_address *addr);
