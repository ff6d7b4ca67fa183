// Files: lua/moongate/files.lua calls these.

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/file.h"
#include "event/file_work.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/json_values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A read of a whole file, or an order. A thread may be busy with it when nobody wants it any more.
typedef struct file_op {
    mg_op op;
    mg_file_read *read;
    mg_file_work *work;
    bool orphan; // released while under way
    int status;
    mg_file_verb verb;
    mg_buf data;
    mg_file_info info;
    mg_file_entry *entries;
    size_t count;
} file_op;

static int push_failure(lua_State *L, int status) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, status == -EFBIG ? "limit" : status == MG_ECLOSED ? "closed" : "file");
    lua_pushstring(L, mg_strerror(status));
    lua_pushinteger(L, status);
    const char *name = strerrorname_np(status < 0 && status > MG_ELIMIT ? -status : -1);
    lua_pushstring(L, name);
    return 5;
}

// --- operations that end by themselves ---

static void cancel_file(mg_op *op) {
    file_op *f = (file_op *)op;
    if (f->read != NULL) {
        mg_file_read_cancel(f->read);
    } else {
        mg_file_work_cancel(f->work);
    }
}

static void free_file(file_op *f) {
    for (size_t i = 0; i < f->count; i++) {
        mg_free(f->entries[i].name);
    }
    mg_free(f->entries);
    mg_buf_deinit(&f->data);
    mg_free(f);
}

static void release_file(mg_op *op) {
    file_op *f = (file_op *)op;
    if (f->read != NULL || f->work != NULL) {
        f->orphan = true; // freed when its thread is done
    } else {
        free_file(f);
    }
}

static void finish_file(file_op *f, int status) {
    f->read = NULL;
    f->work = NULL;
    f->status = status;
    if (f->orphan) {
        free_file(f);
    } else {
        mg_op_finish(&f->op);
    }
}

static file_op *start_file(mg_vm *vm, const mg_op_kind *kind) {
    file_op *f = mg_calloc(1, sizeof *f);
    mg_op_start(vm, &f->op, kind);
    return f;
}

static int push_handle(lua_State *L, file_op *f, int rc) {
    uint64_t handle = f->op.handle;
    if (rc != 0) {
        finish_file(f, rc);
    }
    lua_pushnumber(L, (lua_Number)handle);
    return 1;
}

// --- reading ---

static void on_read_all(void *arg, int status, const char *data, size_t n) {
    file_op *f = arg;
    if (status == 0 && !f->orphan) {
        mg_buf_append(&f->data, data, n);
    }
    finish_file(f, status);
}

static int push_read(lua_State *L, mg_op *op) {
    const file_op *f = (const file_op *)op;
    if (f->status != 0) {
        return push_failure(L, f->status);
    }
    lua_pushboolean(L, 1);
    mg_lua_push_str(L, mg_buf_str(&f->data));
    return 2;
}

static const mg_op_kind read_kind = {"read_file", push_read, cancel_file, release_file};

// read_file(path, max_bytes) -> operation of a string
static int read_file(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    const char *path = luaL_checkstring(L, 1);
    size_t max = (size_t)luaL_checknumber(L, 2);
    file_op *f = start_file(vm, &read_kind);
    return push_handle(L, f, mg_file_read_all(&f->read, vm->loop, path, max, on_read_all, f));
}

// --- orders ---

static void take_entries(file_op *f, const mg_file_result *result) {
    f->entries = mg_calloc(result->count, sizeof *f->entries);
    f->count = result->count;
    for (size_t i = 0; i < f->count; i++) {
        f->entries[i] = result->entries[i];
        f->entries[i].name = mg_strdup(result->entries[i].name);
    }
}

static void on_work_done(void *arg, const mg_file_result *result) {
    file_op *f = arg;
    f->info = result->info;
    if (result->status == 0 && result->count > 0 && !f->orphan) {
        take_entries(f, result);
    }
    finish_file(f, result->status);
}

static const char *const kind_names[] = {
    [MG_FILE_REGULAR] = "file",
    [MG_FILE_FOLDER] = "folder",
    [MG_FILE_LINK] = "link",
    [MG_FILE_OTHER] = "other",
};

static void push_info(lua_State *L, const mg_file_info *info) {
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)info->mode & 07777);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kind_names[info->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushnumber(L, (lua_Number)info->size);
    lua_setfield(L, -2, "size");
    lua_pushnumber(L, info->modified_s);
    lua_setfield(L, -2, "modified");
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "mode");
}

static void push_entries(lua_State *L, const file_op *f) {
    lua_createtable(L, (int)f->count, 0);
    for (size_t i = 0; i < f->count; i++) {
        const mg_file_entry *e = &f->entries[i];
        lua_createtable(L, 0, 3);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, kind_names[e->kind]);
        lua_setfield(L, -2, "kind");
        if (e->size >= 0) {
            lua_pushnumber(L, (lua_Number)e->size);
            lua_setfield(L, -2, "size");
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    mg_json_push_array_mark(L);
    lua_setmetatable(L, -2);
}

static int push_work(lua_State *L, mg_op *op) {
    const file_op *f = (const file_op *)op;
    if (f->status != 0) {
        return push_failure(L, f->status);
    }
    lua_pushboolean(L, 1);
    if (f->verb == MG_FILE_INFO) {
        push_info(L, &f->info);
    } else if (f->verb == MG_FILE_LIST) {
        push_entries(L, f);
    } else {
        lua_pushboolean(L, 1);
    }
    return 2;
}

static const mg_op_kind work_kind = {"file_work", push_work, cancel_file, release_file};

static int start_work(lua_State *L, mg_vm *vm, const mg_file_order *order) {
    file_op *f = start_file(vm, &work_kind);
    f->verb = order->verb;
    return push_handle(L, f, mg_file_work_start(&f->work, vm->loop, order, on_work_done, f));
}

// write_file(path, data, mode (-1: as it was), append, make_folders, sync) -> operation
static int write_file(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_file_order order = {
        .verb = lua_toboolean(L, 4) ? MG_FILE_APPEND : MG_FILE_WRITE,
        .path = luaL_checkstring(L, 1),
        .mode = (int)luaL_checkinteger(L, 3),
        .make_folders = lua_toboolean(L, 5),
        .sync = lua_toboolean(L, 6),
    };
    order.data = mg_lua_check_str(L, 2);
    return start_work(L, vm, &order);
}

// stat_file(path, follow) -> operation of { kind, size, modified, mode }
static int stat_file(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_file_order order = {
        .verb = MG_FILE_INFO, .path = luaL_checkstring(L, 1), .follow = lua_toboolean(L, 2)};
    return start_work(L, vm, &order);
}

// list_folder(path, max) -> operation of a list of { name, kind, size }
static int list_folder(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_file_order order = {.verb = MG_FILE_LIST,
                           .path = luaL_checkstring(L, 1),
                           .max = (size_t)luaL_checknumber(L, 2)};
    return start_work(L, vm, &order);
}

// change_file(what, path, to) -> operation
static int change_file(lua_State *L) {
    static const char *const names[] = {"delete", "delete_folder", "rename", "make_folder", NULL};
    static const mg_file_verb verbs[] = {MG_FILE_DELETE, MG_FILE_DELETE_FOLDER, MG_FILE_RENAME,
                                         MG_FILE_MAKE_FOLDER};
    mg_vm *vm = mg_vm_with_room(L);
    mg_file_order order = {
        .verb = verbs[luaL_checkoption(L, 1, NULL, names)],
        .path = luaL_checkstring(L, 2),
        .to = luaL_optstring(L, 3, NULL),
    };
    luaL_argcheck(L, order.to != NULL || order.verb != MG_FILE_RENAME, 3, "a path is wanted");
    return start_work(L, vm, &order);
}

// --- files that are read in pieces ---

typedef struct piece_op piece_op;

// An operation that never finishes: a handle, which Lua cancels to close the file.
typedef struct stream_op {
    mg_op op;
    mg_file *file;
    uint64_t offset;
    bool opened;
    bool busy;
    int status;      // of a failed open
    piece_op *piece; // whoever waits
} stream_op;

struct piece_op {
    mg_op op;
    stream_op *stream; // NULL: it is told, or the file was closed
    size_t wanted;
    int status;
    mg_buf data;
};

static void finish_piece(stream_op *s, int status) {
    piece_op *p = s->piece;
    if (p != NULL) {
        s->piece = NULL;
        p->stream = NULL;
        p->status = status;
        mg_op_finish(&p->op);
    }
}

static void read_on(stream_op *s) {
    int rc = s->status != 0 ? s->status : mg_file_read_at(s->file, s->offset, s->piece->wanted);
    if (rc != 0) {
        finish_piece(s, rc);
    } else {
        s->busy = true;
    }
}

static void on_open(void *arg, int status, const struct stat *st) {
    stream_op *s = arg;
    (void)st;
    s->opened = true;
    s->status = status;
    if (s->piece != NULL) {
        read_on(s);
    }
}

static void on_piece(void *arg, int status, const char *data, size_t n) {
    stream_op *s = arg;
    s->busy = false;
    if (s->piece != NULL && status == 0) {
        mg_buf_append(&s->piece->data, data, n);
        s->offset += n;
    }
    finish_piece(s, status);
}

static const mg_file_events stream_events = {on_open, on_piece};

static void close_stream(mg_op *op) {
    stream_op *s = (stream_op *)op;
    mg_file_close(s->file);
    finish_piece(s, MG_ECLOSED);
}

static void release_stream(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind stream_kind = {"file_stream", NULL, close_stream, release_stream};

// open_stream(path) -> handle, closed by cancel(handle); or nil, message
static int open_stream(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    const char *path = luaL_checkstring(L, 1);
    stream_op *s = mg_calloc(1, sizeof *s);
    int rc = mg_file_open(&s->file, vm->loop, NULL, path, &stream_events, s);
    if (rc != 0) {
        mg_free(s);
        return mg_lua_refuse(L, mg_strerror(rc));
    }
    mg_op_start(vm, &s->op, &stream_kind);
    lua_pushnumber(L, (lua_Number)s->op.handle);
    return 1;
}

static int push_piece(lua_State *L, mg_op *op) {
    const piece_op *p = (const piece_op *)op;
    if (p->status != 0) {
        return push_failure(L, p->status);
    }
    lua_pushboolean(L, 1);
    if (p->data.n == 0) {
        return 1;
    }
    mg_lua_push_str(L, mg_buf_str(&p->data));
    return 2;
}

static void cancel_piece(mg_op *op) {
    piece_op *p = (piece_op *)op;
    if (p->stream != NULL) {
        p->stream->piece = NULL;
    }
}

static void release_piece(mg_op *op) {
    mg_buf_deinit(&((piece_op *)op)->data);
    mg_free(op);
}

static const mg_op_kind piece_kind = {"file_piece", push_piece, cancel_piece, release_piece};

static stream_op *stream_at(lua_State *L, mg_vm *vm, int index) {
    mg_op *op = mg_slots_get(&vm->ops, (uint64_t)luaL_checknumber(L, index));
    return op != NULL && op->kind == &stream_kind ? (stream_op *)op : NULL;
}

// read_stream(handle, n) -> operation of up to n (<= 256 KiB) bytes, of nothing at the end
static int read_stream(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    stream_op *s = stream_at(L, vm, 1);
    size_t wanted = (size_t)luaL_checknumber(L, 2);
    piece_op *p = mg_calloc(1, sizeof *p);
    p->wanted = wanted;
    mg_op_start(vm, &p->op, &piece_kind);
    if (s == NULL || s->piece != NULL || s->busy) {
        p->status = s == NULL ? MG_ECLOSED : -EBUSY;
        mg_op_finish(&p->op);
    } else {
        p->stream = s;
        s->piece = p;
        if (s->opened) {
            read_on(s);
        }
    }
    lua_pushnumber(L, (lua_Number)p->op.handle);
    return 1;
}

void mg_bind_files(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"read_file", read_file},     {"write_file", write_file},
        {"stat_file", stat_file},     {"list_folder", list_folder},
        {"change_file", change_file}, {"open_stream", open_stream},
        {"read_stream", read_stream}, {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
