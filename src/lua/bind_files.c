// Files: lua/moongate/files.lua calls these.

#include "base/mem.h"
#include "event/file.h"
#include "lua/bind.h"

#include <errno.h>

typedef struct file_op {
    mg_op op;
    mg_file_read *read;
    int status;
    char *data;
    size_t n;
} file_op;

static void on_file(void *arg, int status, const char *data, size_t n) {
    file_op *f = arg;
    f->read = NULL;
    f->status = status;
    if (status == 0) {
        f->data = mg_strndup(data, n);
        f->n = n;
    }
    mg_op_finish(&f->op);
}

static int push_file(lua_State *L, mg_op *op) {
    const file_op *f = (const file_op *)op;
    if (f->status == 0) {
        lua_pushboolean(L, 1);
        lua_pushlstring(L, f->data, f->n);
        return 2;
    }
    lua_pushboolean(L, 0);
    lua_pushstring(L, f->status == -EFBIG ? "limit" : "file");
    lua_pushstring(L, mg_strerror(f->status));
    lua_pushinteger(L, f->status);
    return 4;
}

static void cancel_file(mg_op *op) {
    mg_file_read_cancel(((file_op *)op)->read);
}

static void release_file(mg_op *op) {
    mg_free(((file_op *)op)->data);
    mg_free(op);
}

static const mg_op_kind file_kind = {"read_file", push_file, cancel_file, release_file};

// read_file(path, max_bytes) -> operation
static int read_file(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    const char *path = luaL_checkstring(L, 1);
    size_t max = (size_t)luaL_checknumber(L, 2);
    file_op *f = mg_calloc(1, sizeof *f);
    mg_op_start(vm, &f->op, &file_kind);
    int rc = mg_file_read_all(&f->read, vm->loop, path, max, on_file, f);
    if (rc != 0) {
        f->status = rc;
        mg_op_finish(&f->op);
    }
    lua_pushnumber(L, (lua_Number)f->op.handle);
    return 1;
}

void mg_bind_files(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"read_file", read_file},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
