#include "gate/job_leases.h"

#include "base/mem.h"
#include "base/random.h"

#include <stdio.h>

enum {
    LEASE_MS = 10 * 1000,
    MARGIN_MS = 500,     // clocks, and what lies between asking and running
    LOOK_MS = 1000,      // how often one is asked for that another node has
    RENEW_MS = 3 * 1000, // ... and one that is ours is renewed
};

typedef struct lease {
    mg_link link;
    mg_job_leases *all;
    const void *owner;
    mg_redis *redis;
    mg_redis_request request;
    bool asked;   // `asked_ms` says when
    bool busy;    // it is under way
    bool perhaps; // it may be ours: taken, or asked for and not answered
    bool skipped; // the job should have run, and nobody knew whether it may
    bool told;
    uint64_t asked_ms, until_ms;
    char why[256]; // it could not be asked; "": it could
    mg_buf key;    // with prefix
    char name[];
} lease;

// Takes it, or renews it: 1; another node has it: 0.
static const char take_script[] = "local holder = redis.call('get', KEYS[1])"
                                  " if holder and holder ~= ARGV[1] then return 0 end"
                                  " redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";
static const char release_script[] =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

static void on_time(mg_timer *t);

void mg_job_leases_init(mg_job_leases *l, bool (*is_ours)(void *arg, mg_str name), void *arg) {
    mg_random random;
    *l = (mg_job_leases){.is_ours = is_ours, .arg = arg};
    mg_link_init(&l->list);
    mg_link_init(&l->leaving);
    mg_random_init(&random, 0);
    snprintf(l->token, sizeof l->token, "%016llx%016llx",
             (unsigned long long)mg_random_u64(&random),
             (unsigned long long)mg_random_u64(&random));
}

static lease *find(const mg_job_leases *l, mg_str name) {
    for (mg_link *at = l->list.next; at != &l->list; at = at->next) {
        lease *e = MG_OF(at, lease, link);
        if (mg_str_eq(mg_str_of(e->name), name)) {
            return e;
        }
    }
    return NULL;
}

// --- asking ---

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    lease *e = MG_OF(q, lease, request);
    (void)index;
    (void)last;
    e->busy = false;
    e->why[0] = '\0';
    bool is_error = r->count == 0 || r->values[0].type == MG_REDIS_ERROR;
    if (is_error) {
        mg_str said = r->count > 0 ? mg_redis_text(r, r->values) : MG_STR("no reply");
        snprintf(e->why, sizeof e->why, "%.*s", (int)(said.n < 200 ? said.n : 200), said.p);
    } else if (r->values[0].type == MG_REDIS_INTEGER && r->values[0].integer == 1) {
        e->until_ms = e->asked_ms + LEASE_MS - MARGIN_MS;
        e->told = e->skipped = false;
    } else {
        e->perhaps = false;
        e->until_ms = 0;
        e->told = e->skipped = false;
    }
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    lease *e = MG_OF(q, lease, request);
    e->busy = false;
    snprintf(e->why, sizeof e->why, "%s", f->text);
}

static void say(lease *e, mg_str script, mg_str milliseconds) {
    const mg_str words[] = {MG_STR("EVAL"),           script,      MG_STR("1"), mg_buf_str(&e->key),
                            mg_str_of(e->all->token), milliseconds};
    const mg_redis_command command = {words, milliseconds.n > 0 ? 6 : 5};
    mg_error err;
    e->request = (mg_redis_request){.on_reply = on_reply, .on_fault = on_fault};
    e->asked = true;
    e->asked_ms = mg_loop_now_ms(e->all->loop);
    e->busy = mg_redis_send(e->redis, &e->request, &command, 1, &err) == MG_OK;
    if (!e->busy) {
        snprintf(e->why, sizeof e->why, "%.200s", err.text);
    }
}

static void ask(lease *e) {
    char ms[24];
    uint64_t now = mg_loop_now_ms(e->all->loop);
    uint64_t wait = e->until_ms > now && e->why[0] == '\0' ? RENEW_MS : LOOK_MS;
    bool due = !e->asked || now - e->asked_ms >= wait;
    if (!e->busy && due && e->all->is_ours(e->all->arg, mg_str_of(e->name))) {
        snprintf(ms, sizeof ms, "%d", LEASE_MS);
        say(e, MG_STR(take_script), mg_str_of(ms));
        e->perhaps |= e->busy;
    }
}

static void on_time(mg_timer *t) {
    mg_job_leases *l = MG_OF(t, mg_job_leases, timer);
    for (mg_link *at = l->list.next; at != &l->list; at = at->next) {
        ask(MG_OF(at, lease, link));
    }
}

static void settle(lease *e) {
    if (e->busy) {
        mg_redis_cancel(&e->request);
        e->busy = false;
    }
}

// --- claiming ---

static lease *new_lease(mg_job_leases *l, mg_str name) {
    lease *e = mg_calloc(1, sizeof *e + name.n + 1);
    memcpy(e->name, name.p, name.n);
    e->all = l;
    mg_link_append(&l->list, &e->link);
    return e;
}

void mg_job_leases_claim(mg_job_leases *l, mg_loop *loop, mg_redis *redis, mg_str name,
                         const void *owner) {
    if (l->retired) {
        return;
    }
    lease *e = find(l, name);
    e = e != NULL ? e : new_lease(l, name);
    if (e->redis != redis) { // another one: whatever was is not so there
        settle(e);
        e->redis = redis;
        e->until_ms = 0;
        e->asked = e->perhaps = false;
        mg_buf_clear(&e->key);
        mg_buf_printf(&e->key, "%s~job:%s", mg_redis_settings_of(redis)->prefix, e->name);
    }
    e->owner = owner;
    l->loop = loop;
    if (!mg_timer_active(&l->timer)) {
        mg_timer_start(loop, &l->timer, LOOK_MS, LOOK_MS, on_time);
    }
    ask(e);
}

bool mg_job_leases_has(mg_job_leases *l, mg_str name) {
    lease *e = find(l, name);
    if (e == NULL) {
        return !l->retired;
    }
    bool has = !l->retired && mg_loop_now_ms(l->loop) < e->until_ms;
    e->skipped |= !has && e->why[0] != '\0';
    return has;
}

// --- giving back ---

static void free_lease(lease *e) {
    mg_link_remove(&e->link);
    mg_buf_deinit(&e->key);
    mg_free(e);
}

static void on_released(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    (void)index;
    (void)r;
    (void)last;
    free_lease(MG_OF(q, lease, request));
}

static void on_unreleased(mg_redis_request *q, const mg_redis_fault *f) {
    (void)f; // its time ends it
    free_lease(MG_OF(q, lease, request));
}

// What is said goes when the turn ends. Its Redis may go before it answers: then the lease lies
// among those that leave until the end.
static void give_back(lease *e) {
    bool held = e->perhaps;
    if (e->busy) {
        mg_redis_cancel(&e->request);
    }
    mg_link_remove(&e->link);
    mg_link_append(&e->all->leaving, &e->link);
    if (held) {
        say(e, MG_STR(release_script), (mg_str){NULL, 0});
        e->request.on_reply = on_released;
        e->request.on_fault = on_unreleased;
    }
    if (!held || !e->busy) {
        free_lease(e);
    }
}

void mg_job_leases_forget(mg_job_leases *l, const void *owner) {
    mg_link *next;
    for (mg_link *at = l->list.next; at != &l->list; at = next) {
        lease *e = MG_OF(at, lease, link);
        next = at->next;
        if (e->owner == owner) {
            give_back(e);
        }
    }
}

void mg_job_leases_give_back(mg_job_leases *l, mg_str name) {
    lease *e = find(l, name);
    if (e != NULL) {
        give_back(e);
    }
}

void mg_job_leases_retire(mg_job_leases *l, bool (*is_running)(void *arg, mg_str name)) {
    mg_link *next;
    l->retired = true;
    mg_timer_stop(&l->timer);
    for (mg_link *at = l->list.next; at != &l->list; at = next) {
        lease *e = MG_OF(at, lease, link);
        next = at->next;
        if (!is_running(l->arg, mg_str_of(e->name))) {
            give_back(e);
        }
    }
}

static void free_all(mg_link *list) {
    while (!mg_link_alone(list)) {
        free_lease(MG_OF(list->next, lease, link));
    }
}

void mg_job_leases_deinit(mg_job_leases *l) {
    mg_timer_stop(&l->timer);
    free_all(&l->list);
    free_all(&l->leaving);
}

// --- those that nobody may run ---

void mg_job_leases_tell(mg_job_leases *l, void (*on_news)(void *arg, const char *text), void *arg) {
    for (mg_link *at = l->list.next; at != &l->list; at = at->next) {
        lease *e = MG_OF(at, lease, link);
        mg_error text;
        if (!e->skipped || e->told) {
            continue;
        }
        e->told = true;
        mg_error_set(&text, MG_OK,
                     "job %s does not run: whether another node runs it is not known while Redis "
                     "cannot be asked: %s",
                     e->name, e->why);
        on_news(arg, text.text);
    }
}
