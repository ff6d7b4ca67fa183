// event/task.h: work for the thread pool.
#pragma once

#include "event/loop.h"

typedef struct mg_task mg_task;
typedef struct mg_task_ops {
    // In a thread; touches only what the task owns.
    void (*run)(mg_task *t);
    // On the loop, exactly once: 0, or MG_ECANCELLED if it was cancelled.
    void (*done)(mg_task *t, int status);
} mg_task_ops;

// Heap memory embedded in the caller's job struct, alive until `done`. `ops` is static.
struct mg_task {
    const mg_task_ops *ops;
    mg_loop *loop;
    void *work; // the event room's own
    bool cancelled;
};

// Queues it. MG_OK, or a negative code and `done` is not called.
int mg_task_start(mg_loop *loop, mg_task *t, const mg_task_ops *ops);

// A task still queued does not run; one that runs goes on and its result is dropped. `done` comes
// later, with MG_ECANCELLED, in both cases. Not to be called after `done`.
void mg_task_cancel(mg_task *t);
