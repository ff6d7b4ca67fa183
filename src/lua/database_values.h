// lua/database_values.h: a statement's parameters out of Lua values, and rows into Lua tables.
//
// Parameters: nil and null are NULL, integers are exact (numbers up to 2^53, LuaJIT's int64_t and
// uint64_t), strings are text; bytes come marked, as mg_database_push_blob makes them. Rows are an
// array (lua/json_values.h) of tables by column name; of columns with one name the last counts.
#pragma once

#include "store/database.h"

#include <lua.h>

// Prepares the state; doing it again does no harm.
void mg_database_values_open(lua_State *L);

// Pushes the marked table for the string at `index`.
void mg_database_push_blob(lua_State *L, int index);

// Reads the values from `first` to `first + n - 1` into `out`; texts are borrowed from Lua. Returns
// 0, or the number of a value that cannot be one, counted from 1, with what is wrong in `*what`.
uint32_t mg_database_read_values(lua_State *L, int first, uint32_t n, mg_db_value *out,
                                 const char **what);

// A copy in one block, for mg_free.
mg_db_rows *mg_database_copy_rows(const mg_db_rows *rows);

// Pushes the array, whose fields `affected`, `last_id` (nil: none) and `more` are not of its JSON,
// without the rows.
void mg_database_push_array(lua_State *L, const mg_db_rows *rows);

// Puts `n` rows from `from` on into the array on top of the stack. False: there are too many
// columns.
bool mg_database_add_rows(lua_State *L, const mg_db_rows *rows, uint32_t from, uint32_t n);

// Pushes the array with all rows. False: there are too many columns; nothing is pushed.
bool mg_database_push_rows(lua_State *L, const mg_db_rows *rows);

// Pushes the first row alone, or nil.
bool mg_database_push_first(lua_State *L, const mg_db_rows *rows);
