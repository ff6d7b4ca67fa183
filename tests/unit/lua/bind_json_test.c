#include "lua/bind_json.h"

#include "base/error.h"
#include "state.h"

static int setup(void **state) {
    *state = state_with(mg_open_json, "json");
    return 0;
}

static int teardown(void **state) {
    lua_close(*state);
    return 0;
}

static void encodes_plain_values(void **state) {
    run_lua(*state, "equal('null', json.encode(nil))\n"
                    "equal('null', json.encode(json.null))\n"
                    "equal('true', json.encode(true))\n"
                    "equal('false', json.encode(false))\n"
                    "equal('42', json.encode(42))\n"
                    "equal('-1.5', json.encode(-1.5))\n"
                    "equal('1e+300', json.encode(1e300))\n"
                    "equal('9007199254740991', json.encode(2^53 - 1))\n"
                    "equal('\"a\\\\n\\\\\"\"', json.encode('a\\n\"'))\n"
                    "equal('\"\"', json.encode(''))\n");
}

static void encodes_objects_and_arrays(void **state) {
    run_lua(*state, "equal('{}', json.encode({}))\n"
                    "equal('{\"a\":1}', json.encode({ a = 1 }))\n"
                    "equal('[1,\"x\",[true],{\"k\":{}}]',\n"
                    "  json.encode({ 1, 'x', { true }, { k = {} } }))\n"
                    "equal('[null,null]', json.encode({ json.null, json.null }))\n"
                    "equal('{\"1\":2}', json.encode({ ['1'] = 2 }))\n");
}

static void an_array_may_be_stored_in_any_order(void **state) {
    run_lua(*state, "equal('[1,2,3]', json.encode({ [3] = 3, [2] = 2, [1] = 1 }))\n"
                    "local t = {}\n"
                    "for i = 100, 1, -1 do t[i] = i end\n"
                    "local want = {}\n"
                    "for i = 1, 100 do want[i] = i end\n"
                    "equal('[' .. table.concat(want, ',') .. ']', json.encode(t))\n"
                    "equal('[[2,1],[1,2]]', json.encode({ [2] = { 1, 2 }, [1] = { 2, 1 } }))\n");
}

static void a_marked_table_is_an_array_even_if_empty(void **state) {
    run_lua(*state, "equal('[]', json.encode(json.array({})))\n"
                    "equal('[]', json.encode(json.array()))\n"
                    "local t = { 1 }\n"
                    "equal(t, json.array(t))\n"
                    "equal(t, json.array(t))\n"
                    "equal('[1]', json.encode(t))\n"
                    "t[1] = nil\n"
                    "equal('{\"t\":[]}', json.encode({ t = t }))\n"
                    "refused('$: a table with other keys beside positions cannot be JSON '\n"
                    "  .. '(allowed: strings alone, or 1 to n without a gap)',\n"
                    "  json.encode, json.array({ a = 1 }))\n");
}

static void marking_keeps_a_metatable_of_its_own(void **state) {
    run_lua(*state,
            "refused(\"bad argument #1 to 'f' (the table has a metatable of its own)\",\n"
            "  json.array, setmetatable({}, {}))\n"
            "refused(\"bad argument #1 to 'f' (table expected, got nil)\", json.array, nil)\n"
            "equal('{\"a\":1}', json.encode(setmetatable({ a = 1 }, { __index = {} })))\n");
}

static void mixed_and_sparse_tables_are_refused(void **state) {
    run_lua(*state,
            "local positions = ' with other keys beside positions cannot be JSON '\n"
            "  .. '(allowed: strings alone, or 1 to n without a gap)'\n"
            "refused('$: a table' .. positions, json.encode, { 1, 2, x = 3 })\n"
            "refused('$: a table' .. positions, json.encode, { [true] = 1 })\n"
            "refused('$.a: a table' .. positions, json.encode, { a = { [1.5] = 1 } })\n"
            "refused('$.a: a table' .. positions, json.encode, { a = { [0] = 1 } })\n"
            "local gaps = ': an array with gaps cannot be JSON '\n"
            "  .. '(moongate.json.null may fill them)'\n"
            "refused('$' .. gaps, json.encode, { 1, nil, 3 })\n"
            "refused('$' .. gaps, json.encode, { [2] = 1 })\n"
            "refused('$.list[2]' .. gaps, json.encode, { list = { 1, { [1e15] = 1 } } })\n"
            // Few string keys before many numbers: whatever the order of the hash, it is refused.
            "local t = { x = 1 }\n"
            "for i = 1, 50 do t[i * 1000] = i end\n"
            "equal(false, (pcall(json.encode, t)))\n");
}

static void what_json_has_not_is_refused_with_its_path(void **state) {
    run_lua(*state,
            "refused('$: a function cannot be JSON', json.encode, print)\n"
            "refused('$.users[3].f: a function cannot be JSON',\n"
            "  json.encode, { users = { 1, 2, { f = print } } })\n"
            "refused('$[\"a b\"][\"1x\"]: a userdata cannot be JSON',\n"
            "  json.encode, { ['a b'] = { ['1x'] = io.stdout } })\n"
            "refused('$[1]: a thread cannot be JSON', json.encode, { coroutine.create(print) })\n"
            "refused('$[1]: nan cannot be JSON', json.encode, { 0 / 0 })\n"
            "refused('$[2].x: infinity cannot be JSON', json.encode, { 1, { x = -1 / 0 } })\n"
            "refused('$.s: a string that is not UTF-8 cannot be JSON',\n"
            "  json.encode, { s = 'a\\255' }, { strict = true })\n"
            "refused('$[1][\"\\255\"]: a string that is not UTF-8 cannot be JSON',\n"
            "  json.encode, { { ['\\255'] = 1 } }, { strict = true })\n"
            "local ffi = require('ffi')\n"
            "refused('$[1]: a cdata cannot be JSON', json.encode, { ffi.new('int32_t', 1) })\n"
            "refused('$[1]: a cdata cannot be JSON', json.encode, { ffi.new('int64_t[1]') })\n"
            "refused(\"bad argument #1 to 'f' (value expected)\", json.encode)\n");
}

static void a_cycle_is_named_where_it_closes(void **state) {
    run_lua(*state, "local t = { list = { 1, {} } }\n"
                    "t.list[2].top = t\n"
                    "refused('$.list[2].top: a table that holds itself cannot be JSON',\n"
                    "  json.encode, t)\n"
                    "local same = {}\n"
                    "equal('[{},{}]', json.encode({ same, same }))\n");
}

static void depth_has_a_limit(void **state) {
    run_lua(*state,
            "local t = 1\n"
            "for i = 1, 128 do t = { t } end\n"
            "equal(('['):rep(128) .. 1 .. (']'):rep(128), json.encode(t))\n"
            "refused('$' .. ('[1]'):rep(128)\n"
            "  .. ': tables nested deeper than 128 levels cannot be JSON', json.encode, { t })\n");
}

static void a_long_path_is_cut(void **state) {
    run_lua(*state,
            "local t = { f = print }\n"
            "for i = 1, 100 do t = { [('k'):rep(100)] = t } end\n"
            "local good, message = pcall(json.encode, t)\n"
            "equal(false, good)\n"
            "assert(#message < 1024 and message:find('a function cannot be JSON', 1, true))\n");
}

static void wide_integers_are_exact(void **state) {
    run_lua(*state, "equal('[9223372036854775807,-9223372036854775808,18446744073709551615]',\n"
                    "  json.encode({ 9223372036854775807LL, -9223372036854775807LL - 1,\n"
                    "    18446744073709551615ULL }))\n"
                    "local text = '[9007199254740993,-9007199254740993,18446744073709551615,'\n"
                    "  .. '9223372036854775807,-9223372036854775808,9223372036854775808]'\n"
                    "local t = json.decode(text)\n"
                    "equal('9007199254740993LL', tostring(t[1]))\n"
                    "equal('-9007199254740993LL', tostring(t[2]))\n"
                    "equal('18446744073709551615ULL', tostring(t[3]))\n"
                    "equal('-9223372036854775808LL', tostring(t[5]))\n"
                    "equal('9223372036854775808ULL', tostring(t[6]))\n"
                    "equal(text, json.encode(t))\n"
                    "equal('number', type(json.decode('9007199254740992')))\n"
                    "equal(-2^53, json.decode('-9007199254740992'))\n"
                    "equal(1.8446744073709552e19, json.decode('18446744073709551616'))\n");
}

static void pretty_breaks_lines(void **state) {
    run_lua(*state, "equal('{\\n  \"a\": [\\n    1,\\n    {}\\n  ]\\n}',\n"
                    "  json.encode({ a = { 1, {} } }, { pretty = true }))\n"
                    "equal('[1]', json.encode({ 1 }, { pretty = false }))\n"
                    "refused(\"bad argument #2 to 'f' (table expected, got boolean)\",\n"
                    "  json.encode, 1, true)\n");
}

static void decodes_values(void **state) {
    run_lua(*state,
            "equal(json.null, json.decode('null'))\n"
            "equal(true, json.decode(' true '))\n"
            "equal(false, json.decode('false'))\n"
            "equal(-0.5, json.decode('-0.5'))\n"
            "equal('a\\n\\226\\130\\172', json.decode('\"a\\\\n\\\\u20ac\"'))\n"
            "local t = json.decode('{\"a\":[1,null,{\"b\":\"c\"}],\"\":2,\"\\\\u0064\":3}')\n"
            "equal(3, #t.a)\n"
            "equal(json.null, t.a[2])\n"
            "equal('c', t.a[3].b)\n"
            "equal(2, t[''])\n"
            "equal(3, t.d)\n"
            "equal(2, json.decode('{\"a\":1,\"a\":2}').a)\n");
}

static void empty_arrays_and_objects_survive(void **state) {
    run_lua(*state, "for _, text in ipairs({ '[]', '{}', '[[],{},[[]]]', '{\"a\":[]}' }) do\n"
                    "  equal(text, json.encode(json.decode(text)))\n"
                    "end\n"
                    "local t = json.decode('[1]')\n"
                    "t[1] = nil\n"
                    "equal('[]', json.encode(t))\n");
}

static void malformed_text_gives_nil_and_a_place(void **state) {
    run_lua(*state, "local function wrong(text, want, options)\n"
                    "  local value, message = json.decode(text, options)\n"
                    "  equal(nil, value)\n"
                    "  equal(want, message)\n"
                    "end\n"
                    "wrong('', '1:1: the text ends too early')\n"
                    "wrong('[1,\\n 2,\\n x]', '3:2: expected a value')\n"
                    "wrong('[1]]', '1:4: something follows the value')\n"
                    "wrong('{\"a\":{\"b\":[1,{\"c\":tru}]}}', '1:19: expected a value')\n"
                    "wrong('{\"a\" 1}', \"1:6: expected ':' behind the key\")\n"
                    "wrong('[[1]]', '1:2: nested too deep', { max_depth = 1 })\n"
                    "wrong(('['):rep(129), '1:129: nested too deep')\n"
                    "wrong('[1,[2],3]', '1:9: more values than are allowed', { max_values = 4 })\n"
                    "equal(3, #json.decode('[1,[2],3]', { max_values = 5 }))\n"
                    "wrong('\"\\255\"', '1:2: invalid UTF-8')\n");
}

static void depth_is_an_option_of_decode(void **state) {
    run_lua(*state,
            "local text = ('['):rep(1024) .. (']'):rep(1024)\n"
            "equal(text, text)\n"
            "local t = assert(json.decode(text, { max_depth = 1024 }))\n"
            "local n = 0\n"
            "while t do t, n = t[1], n + 1 end\n"
            "equal(1024, n)\n"
            "local want = 'max_depth must be a number from 1 to 1024'\n"
            "for _, depth in ipairs({ 0, 1025, 'x', 0 / 0, -1 }) do\n"
            "  refused(want, json.decode, '1', { max_depth = depth })\n"
            "end\n"
            "refused(\"bad argument #1 to 'f' (string expected, got number)\", json.decode, 12)\n");
}

static void null_prints_its_name_and_stays_the_same(void **state) {
    lua_State *L = *state;
    mg_open_json(L);
    lua_setglobal(L, "again");
    run_lua(L, "equal('null', tostring(json.null))\n"
               "equal(json.null, again.null)\n"
               "equal('[]', again.encode(json.array({})))\n"
               "equal(json.null, again.decode('null'))\n");
}

static int use_in_finalizer(lua_State *L) {
    return luaL_dostring(L, "assert(json.encode({ finalizer = ('x'):rep(1000) }))\n"
                            "assert(json.decode('\"\\\\u0041\"') == 'A')\n");
}

static int make_garbage(lua_State *L) {
    lua_newuserdata(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, use_in_finalizer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return 0;
}

static void finalizers_may_use_json_in_the_middle_of_a_call(void **state) {
    lua_State *L = *state;
    lua_register(L, "make_garbage", make_garbage);
    run_lua(L, "collectgarbage('setpause', 0)\n"
               "collectgarbage('setstepmul', 100000)\n"
               "local big = {}\n"
               "for i = 1, 200 do big[i] = 'text ' .. i end\n"
               "local want = '[\"' .. table.concat(big, '\",\"') .. '\"]'\n"
               "local text = '[' .. ('\"\\\\u0042\",'):rep(200) .. '1]'\n"
               "for round = 1, 200 do\n"
               "  for _ = 1, 20 do make_garbage() end\n"
               "  equal(want, json.encode(big))\n"
               "  local list = json.decode(text)\n"
               "  for i = 1, 200 do equal('B', list[i]) end\n"
               "end\n");
}

static void encodes_behind_what_a_buffer_holds(void **state) {
    lua_State *L = *state;
    mg_buf out = {0};
    mg_buf_append_str(&out, MG_STR("head "));
    assert_int_equal(luaL_dostring(L, "return 7, { 1, { a = 'b' } }, print"), 0);
    assert_int_equal(mg_json_encode_value(L, -2, &out), MG_OK);
    assert_text("head [1,{\"a\":\"b\"}]", mg_buf_str(&out));
    assert_int_equal(lua_gettop(L), 3);
    assert_int_equal(mg_json_encode_value(L, 1, &out), MG_OK);
    assert_text("head [1,{\"a\":\"b\"}]7", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void a_fault_leaves_the_buffer_as_it_was(void **state) {
    lua_State *L = *state;
    mg_buf out = {0};
    mg_buf_append_str(&out, MG_STR("head"));
    assert_int_equal(luaL_dostring(L, "return { 1, 2, { f = print } }"), 0);
    assert_int_equal(mg_json_encode_value(L, 1, &out), MG_ELUA);
    assert_text("head", mg_buf_str(&out));
    assert_int_equal(lua_gettop(L), 2);
    assert_string_equal(lua_tostring(L, -1), "$[3].f: a function cannot be JSON");
    mg_buf_deinit(&out);
}

static void decodes_for_c_and_leaves_one_value(void **state) {
    lua_State *L = *state;
    lua_pushinteger(L, 1);
    assert_int_equal(mg_json_decode_value(L, MG_STR("[[\"\\u0041\"]]"), (mg_json_bounds){0}),
                     MG_OK);
    assert_int_equal(lua_gettop(L), 2);
    assert_int_equal(lua_objlen(L, 2), 1);
    assert_int_equal(mg_json_decode_value(L, MG_STR("[[1],{\"a\":[2,x"), (mg_json_bounds){0}),
                     MG_ESYNTAX);
    assert_int_equal(lua_gettop(L), 3);
    assert_string_equal(lua_tostring(L, -1), "1:14: expected a value");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodes_plain_values, setup, teardown),
        cmocka_unit_test_setup_teardown(encodes_objects_and_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(an_array_may_be_stored_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marked_table_is_an_array_even_if_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(marking_keeps_a_metatable_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(mixed_and_sparse_tables_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_json_has_not_is_refused_with_its_path, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_cycle_is_named_where_it_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_path_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(wide_integers_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(pretty_breaks_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(decodes_values, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_arrays_and_objects_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_text_gives_nil_and_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_an_option_of_decode, setup, teardown),
        cmocka_unit_test_setup_teardown(null_prints_its_name_and_stays_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(finalizers_may_use_json_in_the_middle_of_a_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(encodes_behind_what_a_buffer_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fault_leaves_the_buffer_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(decodes_for_c_and_leaves_one_value, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
