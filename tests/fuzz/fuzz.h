// fuzz.h: what every fuzzer needs.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// libFuzzer calls it with bytes of exactly this size, so a read beyond them is seen.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Stops the fuzzer, which then keeps the input.
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
