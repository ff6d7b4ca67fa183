#include "event/file_work.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/file_now.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct mg_file_work {
    mg_task task;
    mg_file_order order; // owns its texts
    mg_file_result result;
    atomic_bool stop;
    void (*on_done)(void *arg, const mg_file_result *result);
    void *arg;
};

static void run_in_thread(mg_task *t);
static int carry_out(mg_file_work *w);
static void done(mg_task *t, int status);
static void free_work(mg_file_work *w);

static const mg_task_ops ops = {run_in_thread, done};

int mg_file_work_start(mg_file_work **out, mg_loop *loop, const mg_file_order *order,
                       void (*on_done)(void *arg, const mg_file_result *result), void *arg) {
    mg_file_work *w = mg_calloc(1, sizeof *w);
    w->order = *order;
    w->order.path = mg_strdup(order->path);
    w->order.to = order->to == NULL ? NULL : mg_strdup(order->to);
    w->order.data.p = order->data.n == 0 ? NULL : mg_strndup(order->data.p, order->data.n);
    w->on_done = on_done;
    w->arg = arg;
    int rc = mg_task_start(loop, &w->task, &ops);
    if (rc != MG_OK) {
        free_work(w);
        return rc;
    }
    *out = w;
    return MG_OK;
}

void mg_file_work_cancel(mg_file_work *w) {
    atomic_store(&w->stop, true);
    mg_task_cancel(&w->task);
}

static void run_in_thread(mg_task *t) {
    mg_file_work *w = MG_OF(t, mg_file_work, task);
    w->result.status = carry_out(w);
}

static int errno_of(int rc) {
    return rc == 0 ? 0 : -errno;
}

static int carry_out(mg_file_work *w) {
    const mg_file_order *o = &w->order;
    switch (o->verb) {
    case MG_FILE_WRITE:
        return mg_file_write_now(o, &w->stop, true);
    case MG_FILE_APPEND:
        return mg_file_append_now(o);
    case MG_FILE_INFO:
        return mg_file_info_now(o->path, o->follow, &w->result.info);
    case MG_FILE_LIST:
        return mg_file_list_now(o->path, o->max, &w->result.entries, &w->result.count);
    case MG_FILE_DELETE:
        return errno_of(unlink(o->path));
    case MG_FILE_DELETE_FOLDER:
        return errno_of(rmdir(o->path));
    case MG_FILE_RENAME:
        return errno_of(rename(o->path, o->to));
    case MG_FILE_MAKE_FOLDER:
        return mg_file_make_folders_now(o->path);
    }
    return -EINVAL;
}

static void done(mg_task *t, int status) {
    mg_file_work *w = MG_OF(t, mg_file_work, task);
    if (status != MG_OK) {
        w->result.status = status;
    }
    w->on_done(w->arg, &w->result);
    free_work(w);
}

static void free_work(mg_file_work *w) {
    mg_file_free_entries(w->result.entries, w->result.count);
    mg_free((void *)(uintptr_t)w->order.path);
    mg_free((void *)(uintptr_t)w->order.to);
    mg_free((void *)(uintptr_t)w->order.data.p);
    mg_free(w);
}
