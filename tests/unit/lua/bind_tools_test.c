#include "lua/bind_tools.h"

#include "state.h"

static int setup(void **state) {
    *state = state_with(mg_open_tools, "tools");
    return 0;
}

static int teardown(void **state) {
    lua_close(*state);
    return 0;
}

static void base64_has_two_alphabets(void **state) {
    run_lua(*state, "equal('+/+/+w==', tools.base64_encode('\\251\\255\\191\\251'))\n"
                    "equal('-_-_-w', tools.base64_encode('\\251\\255\\191\\251', 'url'))\n"
                    "equal('\\251\\255\\191\\251', tools.base64_decode('+/+/+w=='))\n"
                    "equal('\\251\\255\\191\\251', tools.base64_decode('-_-_-w', 'url'))\n"
                    "equal('\\251\\255\\191\\251', tools.base64_decode('-_-_-w==', 'url'))\n"
                    "equal('', tools.base64_decode(''))\n"
                    "equal('', tools.base64_encode(''))\n");
}

static void malformed_text_gives_nil_and_a_message(void **state) {
    run_lua(*state, "local function wrong(message, value, got)\n"
                    "  equal(nil, value)\n"
                    "  equal(message, got)\n"
                    "end\n"
                    "wrong('malformed base64', tools.base64_decode('a'))\n"
                    "wrong('malformed base64', tools.base64_decode('-_-_', 'standard'))\n"
                    "wrong('malformed base64', tools.base64_decode('+/+/', 'url'))\n"
                    "wrong('malformed hex', tools.hex_decode('abc'))\n"
                    "wrong('malformed percent encoding', tools.url_decode('100%'))\n");
}

static void wrong_arguments_raise_at_the_callers_line(void **state) {
    run_lua(
        *state,
        "local want = \"bad argument #1 to 'f' (string expected, got number)\"\n"
        "for _, name in ipairs({ 'base64_encode', 'base64_decode', 'hex_encode', 'hex_decode',\n"
        "    'url_encode', 'url_decode', 'sha256', 'sha1', 'md5', 'hmac_sha256',\n"
        "    'constant_time_equal' }) do\n"
        "  refused(want, tools[name], 7)\n"
        "end\n"
        "refused(\"bad argument #2 to 'f' (string expected, got no value)\",\n"
        "  tools.hmac_sha256, 'key')\n"
        "refused(\"bad argument #2 to 'f' (invalid option 'URL')\",\n"
        "  tools.base64_encode, 'x', 'URL')\n");
}

static void hex_and_url_go_both_ways(void **state) {
    run_lua(*state, "equal('00ff41', tools.hex_encode('\\0\\255A'))\n"
                    "equal('\\0\\255A', tools.hex_decode('00FF41'))\n"
                    "equal('a%20b%2F%C3%A4~', tools.url_encode('a b/\\195\\164~'))\n"
                    "equal('a b/+', tools.url_decode('a%20b%2f+'))\n");
}

static void a_query_has_sorted_keys_and_repeats_arrays(void **state) {
    run_lua(*state,
            "equal('', tools.query_encode({}))\n"
            "equal('a=1&a=x%20y&b=true&b%26=%3D&c=9007199254740991&d=0.5',\n"
            "  tools.query_encode({ d = 0.5, c = 2^53 - 1, b = true, ['b&'] = '=',\n"
            "    a = { 1, 'x y' }, empty = {} }))\n"
            "local t, want = {}, {}\n"
            "for i = 100, 999 do t['k' .. i], want[#want + 1] = i, 'k' .. i .. '=' .. i end\n"
            "equal(table.concat(want, '&'), tools.query_encode(t))\n"
            "equal('a=1&aa=2&ab=3', tools.query_encode({ ab = 3, aa = 2, a = 1 }))\n");
}

static void a_query_refuses_what_it_cannot_say(void **state) {
    run_lua(*state, "refused('the keys of a query are strings, not a number', tools.query_encode,\n"
                    "  { 'x' })\n"
                    "refused(\"the value of 'f' in a query cannot be a function\",\n"
                    "  tools.query_encode, { f = print })\n"
                    "refused(\"the value of 'f' in a query cannot be a table\",\n"
                    "  tools.query_encode, { f = { {} } })\n"
                    "refused(\"the value of 'f' in a query is a table but no array\",\n"
                    "  tools.query_encode, { f = { x = 1 } })\n"
                    "refused(\"the value of 'f' in a query is not a finite number\",\n"
                    "  tools.query_encode, { f = 0 / 0 })\n"
                    "equal('a=1', tools.query_encode({ a = 1 }))\n");
}

static void utf8_is_told_from_other_bytes(void **state) {
    run_lua(*state, "equal(true, tools.is_utf8('')) equal(true, tools.is_utf8('\\195\\164'))\n"
                    "equal(false, tools.is_utf8('\\195')) equal(false, tools.is_utf8('a\\255'))\n");
}

static void a_number_has_one_exact_text(void **state) {
    run_lua(*state, "local function text(want, value) equal(want, tools.number_text(value)) end\n"
                    "text('1700000000123456', 1700000000123456)\n"
                    "text('-9007199254740992', -2^53)\n"
                    "text('1e+16', 1e16)\n"
                    "text('0.1', 0.1)\n"
                    "text('0.30000000000000004', 0.1 + 0.2)\n"
                    "text('9223372036854775807', 9223372036854775807LL)\n"
                    "text('-9223372036854775808', -9223372036854775807LL - 1)\n"
                    "text('18446744073709551615', 18446744073709551615ULL)\n"
                    "local value, message = tools.number_text(0 / 0)\n"
                    "equal(nil, value) equal('nan and infinities have no text', message)\n"
                    "value, message = tools.number_text({})\n"
                    "equal('a string or a number is wanted, not a table', message)\n"
                    "value, message = tools.number_text(require('ffi').new('int[1]'))\n"
                    "equal('a string or a number is wanted, not a cdata', message)\n"
                    "equal('a=1e%2B16&b=9223372036854775807&c=1700000000123456',\n"
                    "  tools.query_encode({ a = 1e16, b = 9223372036854775807LL,\n"
                    "    c = 1700000000123456 }))\n");
}

static void digests_agree_with_their_standards(void **state) {
    run_lua(*state, "local hex = tools.hex_encode\n"
                    "equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',\n"
                    "  hex(tools.sha256('abc')))\n"
                    "equal('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',\n"
                    "  hex(tools.sha256('')))\n"
                    "equal('a9993e364706816aba3e25717850c26c9cd0d89d', hex(tools.sha1('abc')))\n"
                    "equal('900150983cd24fb0d6963f7d28e17f72', hex(tools.md5('abc')))\n"
                    // RFC 4231, test cases 2 and 6.
                    "equal('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',\n"
                    "  hex(tools.hmac_sha256('Jefe', 'what do ya want for nothing?')))\n"
                    "equal('60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',\n"
                    "  hex(tools.hmac_sha256(('\\170'):rep(131),\n"
                    "    'Test Using Larger Than Block-Size Key - Hash Key First')))\n"
                    "equal('b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad',\n"
                    "  hex(tools.hmac_sha256('', '')))\n");
}

static void random_bytes_differ_and_have_their_length(void **state) {
    run_lua(*state,
            "for _, n in ipairs({ 1, 16, 1000, 65536 }) do equal(n, #tools.random_bytes(n)) end\n"
            "assert(tools.random_bytes(16) ~= tools.random_bytes(16))\n"
            "local want = \"bad argument #1 to 'f' (expected an integer from 1 to 65536)\"\n"
            "for _, n in ipairs({ 0, -1, 65537, 1.5, 0 / 0, 1 / 0 }) do\n"
            "  refused(want, tools.random_bytes, n)\n"
            "end\n"
            "refused(\"bad argument #1 to 'f' (number expected, got string)\",\n"
            "  tools.random_bytes, '16')\n");
}

static void uuids_carry_version_and_variant(void **state) {
    run_lua(*state,
            "local x = '%x%x%x%x'\n"
            "for _ = 1, 100 do\n"
            "  assert(tools.uuid():match('^' .. x .. x .. '%-' .. x .. '%-4%x%x%x%-[89ab]'\n"
            "    .. '%x%x%x%-' .. x .. x .. x .. '$'))\n"
            "  assert(tools.uuid7():match('^' .. x .. x .. '%-' .. x .. '%-7%x%x%x%-[89ab]'\n"
            "    .. '%x%x%x%-' .. x .. x .. x .. '$'))\n"
            "end\n"
            "assert(tools.uuid() ~= tools.uuid())\n");
}

static void later_uuids_of_version_7_sort_behind_earlier_ones(void **state) {
    run_lua(*state, "local before = os.time()\n"
                    "local last = ''\n"
                    "for _ = 1, 10000 do\n"
                    "  local id = tools.uuid7()\n"
                    "  assert(last < id)\n"
                    "  last = id\n"
                    "end\n"
                    "local ms = tonumber(last:sub(1, 8) .. last:sub(10, 13), 16)\n"
                    "assert(ms >= before * 1000 and ms <= (os.time() + 60) * 1000)\n");
}

static void comparison_looks_at_all_bytes(void **state) {
    run_lua(*state, "equal(true, tools.constant_time_equal('', ''))\n"
                    "equal(true, tools.constant_time_equal('a\\0b', 'a\\0b'))\n"
                    "equal(false, tools.constant_time_equal('a\\0b', 'a\\0c'))\n"
                    "equal(false, tools.constant_time_equal('a', 'ab'))\n"
                    "equal(false, tools.constant_time_equal('xb', 'ab'))\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(base64_has_two_alphabets, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_text_gives_nil_and_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_arguments_raise_at_the_callers_line, setup, teardown),
        cmocka_unit_test_setup_teardown(hex_and_url_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_has_one_exact_text, setup, teardown),
        cmocka_unit_test_setup_teardown(utf8_is_told_from_other_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_query_has_sorted_keys_and_repeats_arrays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_query_refuses_what_it_cannot_say, setup, teardown),
        cmocka_unit_test_setup_teardown(digests_agree_with_their_standards, setup, teardown),
        cmocka_unit_test_setup_teardown(random_bytes_differ_and_have_their_length, setup, teardown),
        cmocka_unit_test_setup_teardown(uuids_carry_version_and_variant, setup, teardown),
        cmocka_unit_test_setup_teardown(later_uuids_of_version_7_sort_behind_earlier_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(comparison_looks_at_all_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
