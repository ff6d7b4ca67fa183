#include "event/task.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"

typedef struct work {
    uv_work_t req;
    mg_task *task;
} work;

static void run(uv_work_t *req);
static void after(uv_work_t *req, int status);

int mg_task_start(mg_loop *loop, mg_task *t, const mg_task_ops *ops) {
    work *w = mg_malloc(sizeof *w);
    w->task = t;
    *t = (mg_task){.ops = ops, .loop = loop, .work = w};
    int rc = uv_queue_work(&loop->uv, &w->req, run, after);
    if (rc != 0) {
        mg_free(w);
        return rc;
    }
    loop->tasks++;
    return MG_OK;
}

void mg_task_cancel(mg_task *t) {
    work *w = t->work;
    t->cancelled = true;
    uv_cancel((uv_req_t *)&w->req); // fails for one that runs: its result is dropped
}

static void run(uv_work_t *req) {
    mg_task *t = ((work *)(void *)req)->task;
    t->ops->run(t);
}

static void after(uv_work_t *req, int status) {
    mg_task *t = ((work *)(void *)req)->task;
    (void)status;
    t->loop->tasks--;
    mg_loop_note(t->loop);
    mg_free(req);
    t->work = NULL;
    t->ops->done(t, t->cancelled ? MG_ECANCELLED : MG_OK);
}
