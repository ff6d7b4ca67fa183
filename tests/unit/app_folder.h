// app_folder.h: a temporary project folder with one script, and the framework where a test's binary
// looks for it.
#pragma once

#include "unit.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct app_folder {
    char root[40];
    char script[64];
} app_folder;

static inline void app_folder_open(app_folder *f) {
    strcpy(f->root, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->script, sizeof f->script, "%s/app.lua", f->root);
}

static inline void app_folder_write(const app_folder *f, const char *source) {
    FILE *file = fopen(f->script, "we");
    assert_non_null(file);
    fputs(source, file);
    assert_int_equal(fclose(file), 0);
}

static inline void app_folder_close(const app_folder *f) {
    unlink(f->script);
    assert_int_equal(rmdir(f->root), 0);
}
