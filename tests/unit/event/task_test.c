#include "event/task.h"

#include "event/timer.h"
#include "wire.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

typedef struct job {
    mg_task task;
    pthread_t thread;
    sem_t *started;
    sem_t *go;
    atomic_int runs;
    int dones;
    int status;
} job;

static mg_loop *loop;

static void run(mg_task *t) {
    job *j = MG_OF(t, job, task);
    j->thread = pthread_self();
    j->runs++;
    if (j->started != NULL) {
        sem_post(j->started);
    }
    if (j->go != NULL) {
        sem_wait(j->go);
    }
}

static void done(mg_task *t, int status) {
    job *j = MG_OF(t, job, task);
    j->dones++;
    j->status = status;
}

static const mg_task_ops ops = {run, done};

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    return 0;
}

static int set_up_real(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(false);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return mg_loop_free(loop);
}

static void a_task_runs_in_a_thread_and_is_done_on_the_loop(void **state) {
    (void)state;
    job j = {.dones = 0};
    assert_int_equal(mg_task_start(loop, &j.task, &ops), 0);
    assert_true(mg_loop_has_outside_work(loop));
    assert_int_equal(j.dones, 0);
    mg_loop_run(loop);
    assert_int_equal(j.runs, 1);
    assert_int_equal(j.dones, 1);
    assert_int_equal(j.status, 0);
    assert_false(pthread_equal(j.thread, pthread_self()));
    assert_false(mg_loop_has_outside_work(loop));
}

static void a_task_cancelled_while_it_runs_is_done_once_as_cancelled(void **state) {
    (void)state;
    sem_t started;
    sem_t go;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    job j = {.started = &started, .go = &go};
    assert_int_equal(mg_task_start(loop, &j.task, &ops), 0);
    sem_wait(&started);
    mg_task_cancel(&j.task);
    turn_times(loop, 3);
    assert_int_equal(j.dones, 0);
    sem_post(&go);
    mg_loop_run(loop);
    assert_int_equal(j.dones, 1);
    assert_int_equal(j.status, MG_ECANCELLED);
    sem_destroy(&started);
    sem_destroy(&go);
}

static void a_task_cancelled_in_the_queue_never_runs(void **state) {
    (void)state;
    enum { CROWD = 8 }; // UV_THREADPOOL_SIZE, as main sets it
    sem_t started;
    sem_t go;
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    job crowd[CROWD];
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (job){.started = &started, .go = &go};
        assert_int_equal(mg_task_start(loop, &crowd[i].task, &ops), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        sem_wait(&started);
    }
    job j = {.dones = 0};
    assert_int_equal(mg_task_start(loop, &j.task, &ops), 0);
    mg_task_cancel(&j.task);
    assert_int_equal(j.dones, 0);
    turn_until(loop, &j.dones, 1);
    assert_int_equal(j.status, MG_ECANCELLED);
    assert_int_equal(j.runs, 0);
    for (int i = 0; i < CROWD; i++) {
        sem_post(&go);
    }
    mg_loop_run(loop);
    assert_int_equal(crowd[CROWD - 1].dones, 1);
    sem_destroy(&started);
    sem_destroy(&go);
}

static void on_time(mg_timer *t) {
    (void)t;
}

static void the_virtual_clock_waits_for_a_thread(void **state) {
    (void)state;
    sem_t go;
    sem_init(&go, 0, 0);
    job j = {.go = &go};
    mg_timer t = {0};
    mg_timer_start(loop, &t, 1000, 0, on_time);
    mg_task_start(loop, &j.task, &ops);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mg_loop_turn(loop, false, true, UINT64_MAX), MG_LOOP_MOVED);
    }
    assert_int_equal(mg_loop_now_ms(loop), 0);
    sem_post(&go);
    while (j.dones == 0) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
        assert_int_equal(mg_loop_now_ms(loop), 0);
    }
    mg_loop_run(loop);
    assert_int_equal(mg_loop_now_ms(loop), 1000);
    sem_destroy(&go);
}

static void freeing_the_loop_waits_for_its_threads(void **state) {
    (void)state;
    mg_loop *own = new_loop(false);
    job j = {.dones = 0};
    mg_task_start(own, &j.task, &ops);
    mg_loop_free(own);
    assert_int_equal(j.dones, 1);
}

#define VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define REAL(f)    cmocka_unit_test_setup_teardown(f, set_up_real, tear_down)

int main(void) {
    setenv("UV_THREADPOOL_SIZE", "8", 1);
    const struct CMUnitTest tests[] = {
        REAL(a_task_runs_in_a_thread_and_is_done_on_the_loop),
        REAL(a_task_cancelled_while_it_runs_is_done_once_as_cancelled),
        REAL(a_task_cancelled_in_the_queue_never_runs),
        VIRTUAL(a_task_runs_in_a_thread_and_is_done_on_the_loop),
        VIRTUAL(a_task_cancelled_while_it_runs_is_done_once_as_cancelled),
        VIRTUAL(a_task_cancelled_in_the_queue_never_runs),
        VIRTUAL(the_virtual_clock_waits_for_a_thread),
        cmocka_unit_test(freeing_the_loop_waits_for_its_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
