// A header is judged alike however it comes: a beginning of it may still become one, and what
// stands behind it changes nothing. It keeps within its limit.
#include "fuzz.h"
#include "http/proxy_header.h"

#include <string.h>

enum { MOST = 1024 };

static mg_proxy_verdict give(const uint8_t *data, size_t n, mg_proxy_reading *r) {
    *r = (mg_proxy_reading){.most = MOST};
    return mg_proxy_header_read(r, (mg_str){(const char *)data, n});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_proxy_reading whole;
    mg_proxy_verdict verdict = give(data, size, &whole);
    must(verdict != MG_PROXY_MORE || size < MOST);
    must((verdict == MG_PROXY_BAD) == (whole.fault != NULL));
    if (verdict == MG_PROXY_DONE) {
        must(whole.used > 0 && whole.used <= size && whole.used <= MOST);
    }
    bool over = false;
    for (size_t n = 0; n <= size && !over; n++) {
        mg_proxy_reading r;
        mg_proxy_verdict now = give(data, n, &r);
        over = now != MG_PROXY_MORE;
        if (over) {
            must(now == verdict && r.used == whole.used);
            must(memcmp(&r.header, &whole.header, sizeof r.header) == 0);
            must(verdict == MG_PROXY_BAD || n == whole.used);
        }
    }
    must(over == (verdict != MG_PROXY_MORE));
    return 0;
}
