#include "http/method.h"

static const mg_str names[MG_METHOD_COUNT + 1] = {
    [MG_METHOD_GET] = {"GET", 3},         [MG_METHOD_HEAD] = {"HEAD", 4},
    [MG_METHOD_POST] = {"POST", 4},       [MG_METHOD_PUT] = {"PUT", 3},
    [MG_METHOD_PATCH] = {"PATCH", 5},     [MG_METHOD_DELETE] = {"DELETE", 6},
    [MG_METHOD_OPTIONS] = {"OPTIONS", 7}, [MG_METHOD_TRACE] = {"TRACE", 5},
    [MG_METHOD_CONNECT] = {"CONNECT", 7}, [MG_METHOD_UNKNOWN] = {"", 0},
};

mg_method mg_method_of(mg_str name) {
    if (name.n == 3 && memcmp(name.p, "GET", 3) == 0) {
        return MG_METHOD_GET; // most are
    }
    for (int m = 0; m < MG_METHOD_COUNT; m++) {
        if (mg_str_eq(name, names[m])) {
            return (mg_method)m;
        }
    }
    return MG_METHOD_UNKNOWN;
}

mg_str mg_method_name(mg_method m) {
    return names[m];
}
