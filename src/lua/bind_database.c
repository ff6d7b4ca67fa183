// Databases: lua/moongate/database.lua calls these.
//
// A session is an operation that never finishes: whatever cancels it (the script, the end of its
// scope, the end of the vm) drops it on the loop. Its statements stand in its list, for their calls
// are gone with it.

#include "lua/bind_database.h"
#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_listen.h"
#include "lua/database_values.h"
#include "lua/missing.h"

#include <stdlib.h>
#include <string.h>

enum {
    SQL_KEPT = 500, // bytes of a statement that an error carries
    SQL_SHOWN = 80, // ... that its message shows
    VALUES_ON_STACK = 16,
    FETCH_ROWS_MAX = 10000,
    SLICE_VALUES = 20000, // that are made Lua's in one turn
};

typedef struct session_op {
    mg_op op;
    mg_database *database;
    mg_db_session *session; // NULL: ended
    mg_link statements;     // by statement_op.of_session
    bool tells_types;       // as its statements
} session_op;

typedef struct statement_op {
    mg_op op;
    const mg_database *database;
    mg_link of_session;
    session_op *begins; // goes with it, if it is cancelled
    bool piecewise;     // of rows: there is a session only if there is more of them
    mg_db_call *call;   // NULL: not under way
    bool first;         // only the first row is wanted
    mg_db_rows *rows;   // NULL: there are none, or a fault
    bool tells_types;   // of the columns
    int array;          // a reference: what the first `pushed` of many rows are in; LUA_NOREF: none
    uint32_t pushed;
    const char *fault;
    char *message;
    int native;
    char *fields[MG_DB_FIELDS];
    size_t sql_n;
    char sql[]; // its beginning
} statement_op;

// --- statements ---

static void on_done(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    statement_op *s = arg;
    s->call = NULL;
    if (s->begins != NULL && (fault != NULL || (s->piecewise && !rows->more))) {
        s->begins->session = NULL; // it never was
    }
    s->begins = NULL;
    mg_link_remove(&s->of_session);
    if (fault != NULL) {
        s->fault = fault->code;
        s->message = mg_strdup(fault->message);
        s->native = fault->native;
        for (int i = 0; i < MG_DB_FIELDS; i++) {
            s->fields[i] = fault->fields[i] != NULL ? mg_strdup(fault->fields[i]) : NULL;
        }
    } else if (rows != NULL) {
        s->rows = mg_database_copy_rows(rows);
    }
    mg_op_finish(&s->op);
}

// It will not be done: its database or session is gone.
static void close_statement(statement_op *s) {
    s->call = NULL;
    s->begins = NULL;
    mg_link_remove(&s->of_session);
    s->fault = "closed";
    s->message = mg_strdup("it was closed while the statement was under way");
    mg_op_finish(&s->op);
}

// One line of the statement's beginning.
static void push_shown_sql(lua_State *L, const statement_op *s) {
    char shown[SQL_SHOWN];
    size_t n = s->sql_n;
    if (n > sizeof shown) {
        for (n = sizeof shown; n > 0 && ((unsigned char)s->sql[n] & 0xc0) == 0x80; n--) {
        }
    }
    for (size_t i = 0; i < n; i++) {
        shown[i] = (unsigned char)s->sql[i] < ' ' ? ' ' : s->sql[i];
    }
    lua_pushlstring(L, shown, n);
    lua_pushstring(L, n < s->sql_n ? "..." : "");
    lua_concat(L, 2);
}

// Into the table at the top: what the server told besides.
static void set_fields(lua_State *L, const statement_op *s) {
    static const char *const names[MG_DB_FIELDS] = {
        [MG_DB_SQLSTATE] = "sqlstate", [MG_DB_DETAIL] = "detail",
        [MG_DB_HINT] = "hint",         [MG_DB_POSITION] = "position",
        [MG_DB_SCHEMA] = "schema",     [MG_DB_TABLE] = "table",
        [MG_DB_COLUMN] = "column",     [MG_DB_CONSTRAINT] = "constraint_name",
    };
    for (int i = 0; i < MG_DB_FIELDS; i++) {
        if (s->fields[i] == NULL) {
            continue;
        }
        if (i == MG_DB_POSITION) {
            lua_pushinteger(L, atoi(s->fields[i]));
        } else {
            lua_pushstring(L, s->fields[i]);
        }
        lua_setfield(L, -2, names[i]);
    }
    if (s->native != 0) {
        lua_pushinteger(L, s->native);
        lua_setfield(L, -2, "native");
    }
}

static int push_fault(lua_State *L, const statement_op *s) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, strcmp(s->fault, "closed") == 0 ? "closed" : "database");
    lua_pushstring(L, s->message);
    if (s->sql_n > 0) {
        lua_pushliteral(L, ", in \"");
        push_shown_sql(L, s);
        lua_pushliteral(L, "\"");
        lua_concat(L, 4);
    }
    lua_createtable(L, 0, 4);
    lua_pushstring(L, s->fault);
    lua_setfield(L, -2, "reason");
    set_fields(L, s);
    if (s->sql_n > 0) {
        lua_pushlstring(L, s->sql, s->sql_n);
        lua_setfield(L, -2, "statement");
    }
    return 4;
}

static int push_too_wide(lua_State *L) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "database");
    lua_pushliteral(L, "the rows have too many columns");
    return 3;
}

// Name and type of each column in turn, for those who decode some of them. Returns how much it has
// pushed.
static int push_types(lua_State *L, const statement_op *s) {
    const mg_db_rows *rows = s->rows;
    if (!s->tells_types || rows->types == NULL || !lua_checkstack(L, 4)) {
        return 0;
    }
    lua_createtable(L, (int)(2 * rows->columns), 0);
    for (uint32_t i = 0; i < rows->columns; i++) {
        mg_lua_push_str(L, rows->names[i]);
        lua_rawseti(L, -2, (int)(2 * i + 1));
        lua_pushnumber(L, rows->types[i]);
        lua_rawseti(L, -2, (int)(2 * i + 2));
    }
    return 1;
}

// Many rows are made Lua's over several turns.
static int push_slice(lua_State *L, statement_op *s) {
    const mg_db_rows *rows = s->rows;
    uint32_t left = rows->rows - s->pushed;
    uint32_t most = 1 + SLICE_VALUES / (rows->columns + 1);
    uint32_t n = left < most ? left : most;
    if (s->array == LUA_NOREF) {
        mg_database_push_array(L, rows);
        s->array = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->array);
    if (!mg_database_add_rows(L, rows, s->pushed, n)) {
        lua_pop(L, 2);
        return push_too_wide(L);
    }
    s->pushed += n;
    return s->pushed < rows->rows ? MG_OP_MORE : 2 + push_types(L, s);
}

static int push_statement(lua_State *L, mg_op *op) {
    statement_op *s = (statement_op *)op;
    if (s->fault != NULL) {
        return push_fault(L, s);
    }
    lua_pushboolean(L, 1);
    if (s->rows == NULL) {
        return 1;
    }
    if (!s->first && (uint64_t)s->rows->rows * (s->rows->columns + 1) > SLICE_VALUES) {
        return push_slice(L, s);
    }
    bool fits = s->first ? mg_database_push_first(L, s->rows) : mg_database_push_rows(L, s->rows);
    return fits ? 2 + push_types(L, s) : push_too_wide(L);
}

static void cancel_statement(mg_op *op) {
    statement_op *s = (statement_op *)op;
    if (s->call == NULL) {
        return;
    }
    if (s->begins != NULL) {
        s->begins->session = NULL;
    }
    mg_database_cancel(s->call);
}

static void release_statement(mg_op *op) {
    statement_op *s = (statement_op *)op;
    mg_link_remove(&s->of_session);
    luaL_unref(s->op.vm->L, LUA_REGISTRYINDEX, s->array);
    for (int i = 0; i < MG_DB_FIELDS; i++) {
        mg_free(s->fields[i]);
    }
    mg_free(s->rows);
    mg_free(s->message);
    mg_free(s);
}

static const mg_op_kind statement_kind = {"database", push_statement, cancel_statement,
                                          release_statement};

// The part that an error carries, without half a character at its end.
static size_t kept_bytes(mg_str sql) {
    size_t n = sql.n;
    if (n > SQL_KEPT) {
        for (n = SQL_KEPT; n > 0 && ((unsigned char)sql.p[n] & 0xc0) == 0x80; n--) {
        }
    }
    return n;
}

// --- types that scripts decode themselves ---

static char raw_key; // of the registry: a table, name of a database -> uint32_t[] as a userdata
static bool any_raw; // in any state of this process: asked first, as it is mostly false

static const char *name_of(const mg_services *services, const mg_database *d) {
    uint32_t i = 0;
    while (services->databases[i].database != d) {
        i++;
    }
    return services->databases[i].name;
}

static void read_raw(lua_State *L, const mg_vm *vm, const mg_database *d, mg_db_statement *s) {
    if (!any_raw) {
        return;
    }
    mg_lua_push_kept(L, &raw_key);
    if (lua_istable(L, -1)) {
        lua_pushstring(L, name_of(vm->services, d));
        lua_rawget(L, -2);
        if (lua_isuserdata(L, -1)) {
            s->raw = lua_touserdata(L, -1); // the table keeps it
            s->raw_count = (uint32_t)(lua_objlen(L, -1) / sizeof *s->raw);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

// database_decode(name, list of types): their values come as the server writes them, and with the
// rows, name and type of each column
static int decode(lua_State *L) {
    int n = (int)lua_objlen(L, 2);
    luaL_checkstring(L, 1);
    mg_lua_push_kept(L, &raw_key);
    if (!lua_istable(L, -1)) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        mg_lua_keep(L, &raw_key);
    }
    lua_pushvalue(L, 1);
    uint32_t *types = lua_newuserdata(L, (size_t)n * sizeof *types + 1);
    if (n == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        types[i] = (uint32_t)lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_rawset(L, -3);
    any_raw = true;
    return 0;
}

static statement_op *new_statement(mg_vm *vm, const mg_database *d, mg_str sql) {
    size_t n = kept_bytes(sql);
    statement_op *s = mg_calloc(1, sizeof *s + n);
    s->database = d;
    s->array = LUA_NOREF;
    s->sql_n = n;
    if (n > 0) {
        memcpy(s->sql, sql.p, n);
    }
    mg_link_init(&s->of_session);
    mg_op_start(vm, &s->op, &statement_kind);
    return s;
}

static void discard(mg_op *op) {
    mg_slots_remove(&op->vm->ops, op->handle);
    op->kind->release(op);
}

// Pushes the handle, or nil and why it could not be started.
static int push_started(lua_State *L, statement_op *s, int rc) {
    if (rc == MG_OK) {
        lua_pushnumber(L, (lua_Number)s->op.handle);
        return 1;
    }
    discard(&s->op);
    return mg_lua_refuse(L, rc == MG_ELIMIT ? "limit" : rc == MG_ECLOSED ? "closed" : "error");
}

// --- sessions ---

static void drop_session(session_op *s) {
    mg_db_session *session = s->session;
    s->session = NULL;
    if (session != NULL) {
        mg_database_drop(session);
    }
    while (!mg_link_alone(&s->statements)) {
        close_statement(MG_OF(s->statements.next, statement_op, of_session));
    }
}

static void cancel_session(mg_op *op) {
    drop_session((session_op *)op);
}

static void release_session(mg_op *op) {
    session_op *s = (session_op *)op;
    while (mg_link_shift(&s->statements) != NULL) {
    }
    mg_free(s);
}

static const mg_op_kind session_kind = {"database session", NULL, cancel_session, release_session};

static session_op *new_session(mg_vm *vm, mg_database *d) {
    session_op *s = mg_calloc(1, sizeof *s);
    s->database = d;
    mg_link_init(&s->statements);
    mg_op_start(vm, &s->op, &session_kind);
    return s;
}

// NULL: it has ended.
static session_op *find_session(lua_State *L, mg_vm *vm) {
    session_op *s = mg_slots_get(&vm->ops, (uint64_t)lua_tonumber(L, 1));
    bool usable = s != NULL && s->op.kind == &session_kind && s->session != NULL;
    return usable ? s : NULL;
}

// Pushes the statement that begins the session, and the session.
static int push_begun(lua_State *L, statement_op *s, session_op *session, int rc) {
    if (rc != MG_OK) {
        session->session = NULL;
        discard(&session->op);
        return push_started(L, s, rc);
    }
    mg_link_append(&session->statements, &s->of_session);
    s->begins = session;
    push_started(L, s, rc);
    lua_pushnumber(L, (lua_Number)session->op.handle);
    return 2;
}

// --- functions ---

mg_database *mg_lua_database(lua_State *L, const mg_vm *vm) {
    const char *name = luaL_checkstring(L, 1);
    const mg_services *services = vm->services;
    for (uint32_t i = 0; i < services->database_count; i++) {
        if (strcmp(services->databases[i].name, name) == 0) {
            return services->databases[i].database;
        }
    }
    return NULL;
}

static int push_unknown(lua_State *L) {
    return mg_lua_refuse(L, "unknown");
}

// Room for `n` values: `few`, or a userdata that it pushes.
static mg_db_value *values_room(lua_State *L, mg_db_value *few, uint32_t n) {
    return n <= VALUES_ON_STACK ? few : lua_newuserdata(L, n * sizeof *few);
}

// Reads the arguments from `first` on. Returns 0, or the count of results that say what is wrong.
static int read_values(lua_State *L, int first, mg_db_value *few, mg_db_statement *out) {
    const char *what = NULL;
    int top = lua_gettop(L);
    out->count = top >= first ? (uint32_t)(top - first + 1) : 0;
    mg_db_value *values = values_room(L, few, out->count);
    out->values = values;
    uint32_t bad = mg_database_read_values(L, first, out->count, values, &what);
    if (bad == 0) {
        return 0;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "parameter");
    lua_pushnumber(L, bad);
    int index = first + (int)bad - 1;
    if (mg_missing_is(L, index)) {
        mg_missing_push(L, index);
    } else {
        lua_pushstring(L, what);
    }
    return 4;
}

// database_names() -> list
static int names(lua_State *L) {
    const mg_services *services = mg_vm_of(L)->services;
    lua_createtable(L, (int)services->database_count, 0);
    for (uint32_t i = 0; i < services->database_count; i++) {
        lua_pushstring(L, services->databases[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

// database_blob(bytes) -> a value that is bound as bytes
static int blob(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    mg_database_push_blob(L, 1);
    return 1;
}

// database_check(...) -> true, or nil, "parameter", number, what is wrong
static int check(lua_State *L) {
    mg_db_value few[VALUES_ON_STACK];
    mg_db_statement s = {0};
    int wrong = read_values(L, 1, few, &s);
    if (wrong > 0) {
        return wrong;
    }
    lua_pushboolean(L, 1);
    return 1;
}

// database_has_one_writer(name) -> boolean
static int has_one_writer(lua_State *L) {
    const mg_database *d = mg_lua_database(L, mg_vm_of(L));
    lua_pushboolean(L, d != NULL && mg_database_has_one_writer(d));
    return 1;
}

// database_query(name, only the first row, sql, ...) -> operation, or nil, "unknown" | "limit" |
// "closed" | "parameter" with its number and what is wrong
static int query(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_value few[VALUES_ON_STACK];
    mg_db_statement s = {.sql = mg_lua_check_str(L, 3)};
    int wrong = read_values(L, 4, few, &s);
    if (wrong > 0) {
        return wrong;
    }
    mg_database *d = mg_lua_database(L, vm);
    if (d == NULL) {
        return push_unknown(L);
    }
    read_raw(L, vm, d, &s);
    statement_op *op = new_statement(vm, d, s.sql);
    op->first = lua_toboolean(L, 2);
    op->tells_types = s.raw_count > 0;
    return push_started(L, op, mg_database_query(&op->call, d, &s, on_done, op));
}

// In the session that the first argument names.
static int push_in_session(lua_State *L, mg_vm *vm, mg_db_statement *s, bool first) {
    session_op *session = find_session(L, vm);
    if (session == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    s->session = session->session;
    read_raw(L, vm, session->database, s);
    statement_op *op = new_statement(vm, session->database, s->sql);
    op->first = first;
    op->tells_types = s->raw_count > 0;
    mg_link_append(&session->statements, &op->of_session);
    int rc = mg_database_query(&op->call, session->database, s, on_done, op);
    return push_started(L, op, rc);
}

// session_query(session, only the first row, sql, ...): likewise
static int session_query(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_value few[VALUES_ON_STACK];
    mg_db_statement s = {.sql = mg_lua_check_str(L, 3)};
    int wrong = read_values(L, 4, few, &s);
    return wrong > 0 ? wrong : push_in_session(L, vm, &s, lua_toboolean(L, 2));
}

// session_savepoint(session, sql): what makes a savepoint, releases it, or goes back to it;
// likewise
static int session_savepoint(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_statement s = {.sql = mg_lua_check_str(L, 2), .savepoint = true};
    return push_in_session(L, vm, &s, false);
}

static unsigned check_isolation(lua_State *L, int index) {
    static const char *const names[] = {"default", "read_committed", "repeatable_read",
                                        "serializable", NULL};
    static const unsigned flags[] = {0, MG_DB_READ_COMMITTED, MG_DB_REPEATABLE_READ,
                                     MG_DB_SERIALIZABLE};
    return flags[luaL_checkoption(L, index, "default", names)];
}

// database_begin(name, may write, nested, isolation or nil, deferrable) -> operation, session; or
// nil and why not
static int begin(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_database *d = mg_lua_database(L, vm);
    if (d == NULL) {
        return push_unknown(L);
    }
    session_op *session = new_session(vm, d);
    statement_op *op = new_statement(vm, d, (mg_str){0});
    unsigned flags = check_isolation(L, 4) | (lua_toboolean(L, 2) ? MG_DB_WRITE : 0) |
                     (lua_toboolean(L, 3) ? MG_DB_NESTED : 0) |
                     (lua_toboolean(L, 5) ? MG_DB_DEFERRABLE : 0);
    int rc = mg_database_begin(&op->call, d, flags, &session->session, on_done, op);
    return push_begun(L, op, session, rc);
}

// Begins what is read or written piece by piece.
static int push_opened(lua_State *L, mg_vm *vm, mg_db_statement *s) {
    mg_database *d = mg_lua_database(L, vm);
    if (d == NULL) {
        return push_unknown(L);
    }
    read_raw(L, vm, d, s);
    session_op *session = new_session(vm, d);
    statement_op *op = new_statement(vm, d, s->sql);
    op->piecewise = true;
    op->tells_types = session->tells_types = s->raw_count > 0;
    int rc = mg_database_open_rows(&op->call, d, s, &session->session, on_done, op);
    return push_begun(L, op, session, rc);
}

static uint32_t check_row_count(lua_State *L, int index) {
    lua_Integer n = luaL_checkinteger(L, index);
    luaL_argcheck(L, n > 0 && n <= FETCH_ROWS_MAX, index, "1 to 10000 rows");
    return (uint32_t)n;
}

// database_open_rows(name, nested, how many rows at once at most, sql, ...) -> operation, session;
// or as database_query. Without `more` in what the operation gives, the session has ended.
static int open_rows(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_value few[VALUES_ON_STACK];
    mg_db_statement s = {
        .sql = mg_lua_check_str(L, 4),
        .max_rows = check_row_count(L, 3),
        .nested = lua_toboolean(L, 2),
    };
    int wrong = read_values(L, 5, few, &s);
    return wrong > 0 ? wrong : push_opened(L, vm, &s);
}

// database_open_copy(name, nested, whether it takes data, sql) -> operation, session; or nil and
// why not. Of one that gives, the operation's rows are pieces; without `more` they are the last.
static int open_copy(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_statement s = {
        .sql = mg_lua_check_str(L, 4),
        .max_rows = 1,
        .nested = lua_toboolean(L, 2),
        .copy = lua_toboolean(L, 3) ? MG_DB_COPY_IN : MG_DB_COPY_OUT,
    };
    return push_opened(L, vm, &s);
}

// session_copy(session, whether it takes data, sql) -> operation, which gives the first piece, or
// nil, "closed"
static int session_copy(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_db_statement s = {
        .sql = mg_lua_check_str(L, 3),
        .max_rows = 1,
        .copy = lua_toboolean(L, 2) ? MG_DB_COPY_IN : MG_DB_COPY_OUT,
    };
    return push_in_session(L, vm, &s, false);
}

// session_write(session, bytes, whether these are the last) -> operation, or nil, "closed"
static int write_copy(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_str bytes = mg_lua_check_str(L, 2);
    session_op *session = find_session(L, vm);
    if (session == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    statement_op *op = new_statement(vm, session->database, (mg_str){0});
    mg_link_append(&session->statements, &op->of_session);
    bool last = lua_toboolean(L, 3);
    int rc = mg_database_write(&op->call, session->session, bytes, last, on_done, op);
    return push_started(L, op, rc);
}

// session_fetch(session, how many rows at most) -> operation, or nil, "closed"
static int fetch(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    uint32_t n = check_row_count(L, 2);
    session_op *session = find_session(L, vm);
    if (session == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    statement_op *op = new_statement(vm, session->database, (mg_str){0});
    op->tells_types = session->tells_types;
    mg_link_append(&session->statements, &op->of_session);
    int rc = mg_database_fetch(&op->call, session->session, n, on_done, op);
    return push_started(L, op, rc);
}

// session_commit(session) -> operation, or nil, "closed". The session has ended.
static int commit(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    session_op *session = find_session(L, vm);
    if (session == NULL) {
        return mg_lua_refuse(L, "closed");
    }
    statement_op *op = new_statement(vm, session->database, MG_STR("COMMIT"));
    int rc = mg_database_end(&op->call, session->session, true, on_done, op);
    session->session = NULL;
    discard(&session->op);
    return push_started(L, op, rc);
}

void mg_bind_database(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"database_names", names},
        {"database_blob", blob},
        {"database_check", check},
        {"database_decode", decode},
        {"database_query", query},
        {"database_begin", begin},
        {"database_open_rows", open_rows},
        {"database_open_copy", open_copy},
        {"session_query", session_query},
        {"session_copy", session_copy},
        {"session_write", write_copy},
        {"session_savepoint", session_savepoint},
        {"session_fetch", fetch},
        {"session_commit", commit},
        {"database_has_one_writer", has_one_writer},
        {NULL, NULL},
    };
    mg_database_values_open(L);
    mg_vm_register(L, vm, functions);
}

// --- for whoever closes a database ---

void mg_bind_database_forget(mg_vm *vm, const mg_database *database) {
    mg_bind_listen_forget(vm, database);
    for (uint32_t i = 0; i < vm->ops.count; i++) {
        mg_op *op = vm->ops.slots[i].item;
        if (op == NULL) {
            continue;
        }
        if (op->kind == &session_kind && ((session_op *)op)->database == database) {
            drop_session((session_op *)op);
        } else if (op->kind == &statement_kind && ((statement_op *)op)->call != NULL &&
                   ((statement_op *)op)->database == database) {
            mg_database_cancel(((statement_op *)op)->call);
            close_statement((statement_op *)op);
        }
    }
}
