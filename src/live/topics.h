// live/topics.h: the topics of a worker: names, and who has subscribed to each.
//
// A topic is there as long as somebody in this worker subscribes to it. What is published reaches
// all subscribers of this worker at once, those of other workers of the node through the ring
// (live/ring.h), those of other nodes through a remote. Messages of one publisher come to every
// subscriber in the order in which they were published; those that others publish meanwhile come
// between them somewhere.
//
// It belongs to the worker, not to its scripts: subscriptions outlive generations. A subscriber is
// embedded in what is to be told (a WebSocket, an event stream), which owns it and ends it.
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "live/packet.h"

typedef struct mg_topics mg_topics;
typedef struct mg_subscriber mg_subscriber;
typedef struct mg_ring mg_ring; // live/ring.h

enum { MG_TOPIC_NAME_MAX = 255 }; // bytes

typedef struct mg_subscriber_ops {
    // A message for it; whoever keeps `p` takes a reference. It only records and sends: it may end
    // this subscriber, and no other one.
    void (*on_message)(mg_subscriber *s, mg_packet *p);
} mg_subscriber_ops;

// Caller-owned memory. Zero is none.
struct mg_subscriber {
    const mg_subscriber_ops *ops;
    mg_topics *topics;
    mg_link subscriptions;
    uint32_t count;
};

typedef struct mg_topics_options {
    uint32_t topics;     // in this worker, at once
    uint32_t subscribed; // topics of one subscriber
    uint32_t message_bytes;
} mg_topics_options;

typedef struct mg_topics_traffic {
    uint64_t published; // by this worker
    uint64_t delivered; // to subscribers of this worker
    uint64_t lost;      // that other workers published faster than this one took them
} mg_topics_traffic;

// Joins nodes. A static table; each function may be NULL. They are called on the loop and only
// record.
typedef struct mg_topics_remote {
    // It was published in this worker: other nodes are to have it. The text is borrowed.
    void (*publish)(void *arg, mg_str topic, const mg_publication *m);
    // The first of this worker has subscribed, the last has left: what the one returns is kept with
    // the topic, and given to the other.
    void *(*subscribed)(void *arg, mg_str topic);
    void (*unsubscribed)(void *arg, mg_str topic, void *kept);
} mg_topics_remote;

mg_topics *mg_topics_new(const mg_topics_options *o); // copied
void mg_topics_free(mg_topics *t);                    // nobody subscribes any more. Accepts NULL
void mg_topics_set_options(mg_topics *t, const mg_topics_options *o);

// Both borrowed; NULL: none, as at first. `r` publishes to and delivers for the other workers.
void mg_topics_set_ring(mg_topics *t, mg_ring *r);
// What other workers see of the topics is as it should be, though somebody has scribbled on it.
// From time to time.
void mg_topics_mend(mg_topics *t);
// A remote that comes later is told of the topics that are there.
void mg_topics_set_remote(mg_topics *t, const mg_topics_remote *remote, void *arg);

void mg_subscriber_init(mg_subscriber *s, mg_topics *t, const mg_subscriber_ops *ops);
void mg_subscriber_leave(mg_subscriber *s); // unsubscribes from all. Not twice harmful

// What is wrong with a name, as static text; NULL: nothing.
const char *mg_topic_name_fault(mg_str name);

// MG_OK, also if it was subscribed already; MG_ELIMIT and a text that says which limit. The name is
// a good one, and copied.
int mg_topics_subscribe(mg_subscriber *s, mg_str name, mg_error *err);
bool mg_topics_unsubscribe(mg_subscriber *s, mg_str name); // false: it was not subscribed

// To everybody, `except` (NULL: nobody) left out. MG_ELIMIT and a text if it is too large.
int mg_topics_publish(mg_topics *t, mg_str name, const mg_publication *m, mg_subscriber *except,
                      mg_error *err);

// What came from elsewhere: to the subscribers of this worker alone.
void mg_topics_deliver(mg_topics *t, mg_str name, const mg_publication *m);

// Subscribers: of this worker, and of all workers of this node.
uint32_t mg_topics_count_here(const mg_topics *t, mg_str name);
uint32_t mg_topics_count(const mg_topics *t, mg_str name);

uint32_t mg_topics_names(const mg_topics *t); // how many topics there are in this worker
mg_topics_traffic mg_topics_traffic_of(const mg_topics *t);
