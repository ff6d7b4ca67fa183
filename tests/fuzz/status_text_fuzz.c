// Whatever a server says over its control socket, the text for people is made or refused.
#include "fuzz.h"
#include "gate/status_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_str json = {(const char *)data, size};
    mg_buf out = {0};
    bool ok = false;
    int rc = mg_status_text(json, &out);
    must(rc == MG_OK ? out.n > 0 : rc == MG_ESYNTAX);
    mg_buf_clear(&out);
    must(mg_reply_text(json, &ok, &out) == MG_OK || !ok || out.n == 0);
    mg_buf_deinit(&out);
    return 0;
}
