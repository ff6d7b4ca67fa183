// All unit tests are one program, since a link takes longer than most of them run: it is the test
// whose name it is called by (build/debug/unit/http/uri_test is a link to it).

#include <stdio.h>
#include <string.h>

typedef struct unit_test {
    const char *name; // "http/uri_test"
    int (*run)(void);
} unit_test;

#define TEST(file, function) int function(void);
#include "unit_tests.inc"
#undef TEST

static const unit_test unit_tests[] = {
#define TEST(file, function) {file, function},
#include "unit_tests.inc"
    {NULL, NULL},
};

static int ends_with(const char *text, const char *end) {
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n > m && text[n - m - 1] == '/' && strcmp(text + n - m, end) == 0;
}

int main(int argc, char **argv) {
    for (const unit_test *t = unit_tests; argc > 0 && t->name != NULL; t++) {
        if (ends_with(argv[0], t->name)) {
            return t->run();
        }
    }
    fprintf(stderr, "%s: no unit test has this name; they lie in build/<mode>/unit/<room>/\n",
            argc > 0 ? argv[0] : "unit");
    return 2;
}
