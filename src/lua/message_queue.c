#include "lua/message_queue.h"

#include "base/mem.h"

#include <string.h>

void mg_messages_init(mg_message_queue *q) {
    *q = (mg_message_queue){.count = 0};
    mg_link_init(&q->list);
}

void mg_messages_deinit(mg_message_queue *q) {
    mg_message *m;
    while ((m = mg_messages_first(q)) != NULL) {
        mg_messages_drop(q, m);
    }
}

static mg_message *append(mg_message_queue *q, size_t n) {
    mg_message *m = mg_calloc(1, sizeof *m + n);
    mg_link_append(&q->list, &m->link);
    q->count++;
    q->bytes += n;
    return m;
}

static void copy(char *to, mg_str from) {
    if (from.n > 0) {
        memcpy(to, from.p, from.n);
    }
}

void mg_messages_put(mg_message_queue *q, mg_str channel, mg_str text, int pid) {
    size_t n = channel.n + text.n;
    if (q->count >= MG_MESSAGES_MAX || q->bytes + n > MG_MESSAGES_BYTES_MAX) {
        mg_messages_miss(q);
        return;
    }
    mg_message *m = append(q, n);
    m->pid = pid;
    m->channel_n = channel.n;
    m->text_n = text.n;
    copy(m->bytes, channel);
    copy(m->bytes + channel.n, text);
}

void mg_messages_miss(mg_message_queue *q) {
    bool known = !mg_link_alone(&q->list) && MG_OF(q->list.prev, mg_message, link)->missed;
    if (!known) {
        append(q, 0)->missed = true;
    }
}

mg_message *mg_messages_first(const mg_message_queue *q) {
    return mg_link_alone(&q->list) ? NULL : MG_OF(q->list.next, mg_message, link);
}

void mg_messages_drop(mg_message_queue *q, mg_message *m) {
    mg_link_remove(&m->link);
    q->count--;
    q->bytes -= m->channel_n + m->text_n;
    mg_free(m);
}
