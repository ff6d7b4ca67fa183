// of_text.h: configurations made of JSON texts.
#pragma once

#include "config/config.h"
#include "unit.h"

#define FILE_NAME "/nowhere/conf/moongate.lua"

// There must be no fault.
static inline void load(mg_config *c, const char *json) {
    mg_buf faults = {0};
    if (mg_config_init(c, FILE_NAME, mg_str_of(json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    assert_int_equal(faults.n, 0);
    mg_buf_deinit(&faults);
}
