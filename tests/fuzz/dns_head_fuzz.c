// What a nameserver, or whoever says to be one, sends: a name of the right form comes out, or
// nothing.
#include "event/dns_head.h"
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_dns_head h;
    memset(&h, 'x', sizeof h);
    if (!mg_dns_head_read(data, size, &h)) {
        return 0;
    }
    size_t n = strnlen(h.name, sizeof h.name);
    must(n >= 2 && n < sizeof h.name && h.name[n - 1] == '.');
    must(12 + n + 1 + 4 <= size); // a label's length stands for its dot
    must(h.code <= 15 && (!h.holds || h.code == 0));
    must(h.family == 0 || h.family == AF_INET || h.family == AF_INET6);
    for (size_t i = 0; i < n; i++) {
        must(h.name[i] < 'A' || h.name[i] > 'Z');
    }
    return 0;
}
