// What a worker keeps for connections that live long, whatever scripts serve: topics, the ring to
// the other workers, event streams.

#include "gate/worker_inside.h"

#include "config/options.h"

// Until a configuration is known.
static const mg_topics_options no_topics = {.topics = 1, .subscribed = 1};

static void on_lost(void *arg, uint32_t place, uint64_t lost) {
    mg_worker *w = arg;
    mg_log_printf(w->logs.error, MG_LOG_WARN,
                  "worker %u: %llu messages that worker %u published are lost for its subscribers: "
                  "it did not take them in time",
                  w->slot + 1, (unsigned long long)lost, place + 1);
}

void mg_worker_begin_live(mg_worker *w) {
    w->topics = mg_topics_new(&no_topics);
    if (!w->options->alone) {
        w->ring = mg_ring_new(w->loop, w->shm, w->slot);
        mg_ring_on_lost(w->ring, on_lost, w);
        mg_topics_set_ring(w->topics, w->ring);
    }
    w->event_streams = mg_event_streams_new(w->loop, w->topics, 0);
}

void mg_worker_limit_live(mg_worker *w, const mg_config_limits *l) {
    mg_topics_options o;
    mg_config_topics_options(l, &o);
    mg_topics_set_options(w->topics, &o);
    mg_event_streams_set_outbox(w->event_streams, l->outbox);
    mg_worker_limit_sockets(w, l);
}

void mg_worker_join_fleet(mg_worker *w, mg_redis *fleet) {
    if (fleet == w->fleet) {
        return;
    }
    mg_topics_redis_free(w->other_nodes);
    w->fleet = fleet;
    const mg_topics_redis_options o = {.topics = w->topics,
                                       .redis = fleet,
                                       .node = mg_shm_node(w->shm),
                                       .on_warning = mg_worker_on_warning,
                                       .arg = w};
    w->other_nodes = fleet != NULL ? mg_topics_redis_new(w->loop, &o) : NULL;
}

void mg_worker_take_waker(mg_worker *w, mg_message *m) {
    if (w->ring == NULL) {
        return;
    }
    int rc = mg_ring_set_waker(w->ring, m->a, m->fd);
    m->fd = -1;
    if (rc != MG_OK) {
        mg_log_printf(w->logs.error, MG_LOG_ERROR, "worker %u: what wakes worker %u: %s",
                      w->slot + 1, m->a + 1, mg_strerror(rc));
    }
}

void mg_worker_show_live(const mg_worker *w, mg_cell_topics *out) {
    mg_topics_traffic traffic = mg_topics_traffic_of(w->topics);
    mg_event_streams_status streams = mg_event_streams_read(w->event_streams);
    *out = (mg_cell_topics){
        .event_streams = streams.streams,
        .topics = mg_topics_names(w->topics),
        .published = traffic.published,
        .delivered = traffic.delivered,
        .lost = traffic.lost,
        .slow = streams.slow,
    };
}

void mg_worker_end_live(mg_worker *w) {
    mg_event_streams_free(w->event_streams);
    mg_topics_free(w->topics);
    mg_ring_free(w->ring);
}
