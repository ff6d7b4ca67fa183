// A date that was read, written, reads the same; and eight bytes as a time read back as written.
#include "fuzz.h"
#include "http/date.h"

static void check_round(int64_t seconds) {
    char text[MG_DATE_BYTES + 1];
    int64_t again;
    mg_date_write(text, seconds);
    must(strlen(text) == MG_DATE_BYTES);
    must(mg_date_parse(mg_str_of(text), &again));
    bool inside = seconds >= MG_DATE_MIN && seconds <= MG_DATE_MAX;
    must(!inside || again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t seconds;
    if (mg_date_parse((mg_str){(const char *)data, size}, &seconds)) {
        check_round(seconds);
    }
    if (size >= sizeof seconds) {
        memcpy(&seconds, data, sizeof seconds);
        check_round(seconds);
        check_round(seconds % MG_DATE_MAX);
    }
    return 0;
}
