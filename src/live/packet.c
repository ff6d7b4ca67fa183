#include "live/packet.h"

#include "base/mem.h"

static mg_str keep(char **at, mg_str s) {
    char *p = *at;
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    *at += s.n;
    return (mg_str){p, s.n};
}

mg_packet *mg_packet_new(const mg_publication *m) {
    mg_packet *p = mg_malloc(sizeof *p + m->payload.n + m->event.n + m->id.n);
    char *at = (char *)(p + 1);
    *p = (mg_packet){.refs = 1, .message = {.kind = m->kind}};
    p->message.payload = keep(&at, m->payload);
    p->message.event = keep(&at, m->event);
    p->message.id = keep(&at, m->id);
    return p;
}

void mg_packet_unref(mg_packet *p) {
    if (p == NULL || --p->refs > 0) {
        return;
    }
    for (size_t i = 0; i < MG_FORM_COUNT; i++) {
        mg_buf_deinit(&p->forms[i]);
    }
    mg_free(p);
}

mg_str mg_packet_bytes(mg_packet *p, mg_packet_form form,
                       void (*encode)(const mg_publication *m, const void *arg, mg_buf *out),
                       const void *arg) {
    mg_buf *b = &p->forms[form];
    if (b->p == NULL) {
        mg_buf_reserve(b, 0);
        encode(&p->message, arg, b);
    }
    return mg_buf_str(b);
}
