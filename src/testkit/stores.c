// The cache, the databases and the migrations of the app under test.

#include "testkit/kit_inside.h"

#include "lua/args.h"
#include "lua/bind_database.h"
#include "store/memory_cache.h"
#include "store/migration_files.h"
#include "store/postgres.h"
#include "store/postgres_migrate.h"
#include "store/sqlite.h"
#include "store/sqlite_migrate.h"

#include <lauxlib.h>
#include <sys/mman.h>

static void close_database(mg_testkit *k) {
    mg_database *d = k->database.database;
    if (d != NULL) {
        k->services.database_count = 0;
        k->database.database = NULL;
        mg_bind_database_forget(k->vm, d);
        mg_database_free(d);
    }
}

static void close_cache(mg_testkit *k) {
    mg_cache_free(k->services.cache);
    k->services.cache = NULL;
    if (k->cache_room != NULL) {
        munmap(k->cache_room, k->cache_bytes);
        k->cache_room = NULL;
    }
}

// test_cache(bytes): an empty cache instead of the one before; 0: none.
static int cache(lua_State *L) {
    mg_testkit *k = mg_testkit_of(L);
    mg_error err;
    close_cache(k);
    k->cache_bytes = (size_t)luaL_checknumber(L, 1);
    if (k->cache_bytes == 0) {
        return 0;
    }
    k->cache_room =
        mmap(NULL, k->cache_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k->cache_room == MAP_FAILED) {
        k->cache_room = NULL;
        return luaL_error(L, "cache: no memory");
    }
    mg_memory_cache *memory = NULL;
    if (mg_memory_cache_format(k->cache_room, k->cache_bytes, &err) != MG_OK ||
        mg_memory_cache_open(&memory, k->cache_room, k->cache_bytes, &err) != MG_OK) {
        return luaL_error(L, "%s", err.text);
    }
    k->services.cache = mg_memory_cache_lend(memory, k->vm->loop, 1);
    return 0;
}

static int open_database(mg_testkit *k, const char *url, mg_error *err) {
    mg_database **out = &k->database.database;
    if (strncmp(url, "sqlite:", 7) == 0) {
        return mg_sqlite_open(out, k->loop, &(mg_sqlite_options){.path = url + 7}, err);
    }
    return mg_postgres_open(out, k->loop, &(mg_postgres_options){.url = url}, err);
}

// test_database("sqlite:PATH", "sqlite::memory:", "postgres://...", or false): the default database
// instead of the last one
static int database(lua_State *L) {
    mg_testkit *k = mg_testkit_of(L);
    mg_error err;
    const char *url = lua_toboolean(L, 1) ? luaL_checkstring(L, 1) : NULL;
    close_database(k);
    if (url == NULL) {
        return 0;
    }
    if (open_database(k, url, &err) != MG_OK) {
        return luaL_error(L, "database: %s", err.text);
    }
    k->services.database_count = 1;
    return 0;
}

static void push_statements(lua_State *L, const mg_migration *m, bool postgres) {
    mg_str rest = m->text;
    lua_newtable(L);
    for (int i = 1; rest.n > 0; i++) {
        size_t n = postgres ? mg_postgres_statement_bytes(rest) : mg_sqlite_statement_bytes(rest);
        if (n == 0) {
            break;
        }
        lua_pushlstring(L, rest.p, n);
        lua_rawseti(L, -2, i);
        rest = (mg_str){rest.p + n, rest.n - n};
    }
}

// test_migrations(folder, for PostgreSQL) -> list of { path =, statements = list }, in their order
static int migrations(lua_State *L) {
    mg_migrations files;
    mg_arena arena = {0};
    mg_error err;
    bool postgres = lua_toboolean(L, 2);
    const char *kind = postgres ? MG_MIGRATION_POSTGRES : MG_MIGRATION_SQLITE;
    if (mg_migration_files_read(&files, &arena, luaL_checkstring(L, 1), kind, &err) != MG_OK) {
        mg_arena_deinit(&arena);
        return luaL_error(L, "%s", err.text);
    }
    lua_createtable(L, (int)files.n, 0);
    for (size_t i = 0; i < files.n; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, files.items[i].path);
        lua_setfield(L, -2, "path");
        push_statements(L, &files.items[i], postgres);
        lua_setfield(L, -2, "statements");
        lua_rawseti(L, -2, (int)i + 1);
    }
    mg_arena_deinit(&arena);
    return 1;
}

void mg_testkit_close_stores(mg_testkit *k) {
    close_database(k);
    close_cache(k);
}

const luaL_Reg mg_testkit_store_functions[] = {
    {"test_database", database},
    {"test_cache", cache},
    {"test_migrations", migrations},
    {NULL, NULL},
};
