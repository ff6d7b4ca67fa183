#include "base/siphash.h"

#include "unit.h"

// Of Rust's libstd, whose tables have the same hash: key 00 01 .. 0f, inputs "", 00, 00 01, ...
static void gives_known_values(void **state) {
    (void)state;
    static const uint64_t seed[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    assert_true(mg_siphash(seed, (mg_str){NULL, 0}) == 0xabac0158050fc4dc);
    assert_true(mg_siphash(seed, MG_STR("\0")) == 0xc9f49bf37d57ca93);
}

static void depends_on_every_byte_and_on_the_seed(void **state) {
    (void)state;
    static const uint64_t seed[2] = {1, 2};
    static const uint64_t other[2] = {1, 3};
    char text[] = "room:0123456789";
    uint64_t hash = mg_siphash(seed, mg_str_of(text));
    assert_true(hash != mg_siphash(other, mg_str_of(text)));
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] ^= 1;
        assert_true(hash != mg_siphash(seed, mg_str_of(text)));
        text[i] ^= 1;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_known_values),
        cmocka_unit_test(depends_on_every_byte_and_on_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
