// lua/message_queue.h: what was told to a listener, until scripts ask for it. It holds so much at
// most: what comes beyond is dropped, and stands there as missed.
//
// Pure.
#pragma once

#include "base/list.h"
#include "base/str.h"

enum { MG_MESSAGES_MAX = 10000, MG_MESSAGES_BYTES_MAX = 8 << 20 };

typedef struct mg_message {
    mg_link link;
    bool missed; // it stands for what is not known
    int pid;     // who told it, as PostgreSQL knows; 0: not known
    size_t channel_n, text_n;
    char bytes[]; // the channel, then the text
} mg_message;

typedef struct mg_message_queue {
    mg_link list;
    uint32_t count;
    size_t bytes;
} mg_message_queue;

void mg_messages_init(mg_message_queue *q);
void mg_messages_deinit(mg_message_queue *q);

// Copies a message. `channel`: empty if whoever listens knows it.
void mg_messages_put(mg_message_queue *q, mg_str channel, mg_str text, int pid);

// Something may have been missed; told once where it is the last that was told.
void mg_messages_miss(mg_message_queue *q);

// The oldest; NULL: there is none. It stays until it is dropped.
mg_message *mg_messages_first(const mg_message_queue *q);
void mg_messages_drop(mg_message_queue *q, mg_message *m);

static inline mg_str mg_message_channel(const mg_message *m) {
    return (mg_str){m->bytes, m->channel_n};
}

static inline mg_str mg_message_text(const mg_message *m) {
    return (mg_str){m->bytes + m->channel_n, m->text_n};
}
