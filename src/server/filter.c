#include "server/filter.h"

#include <assert.h>

void mg_filter_add(mg_exchange *x, mg_filter *f) {
    assert(!mg_exchange_committed(x));
    f->x = x;
    f->next = x->filters;
    x->filters = f;
}

int mg_filter_pass(mg_filter *f, mg_str data) {
    mg_filter *next = f->next;
    int64_t *left = next != NULL ? &next->left : &f->x->length_left;
    if (*left >= 0) {
        assert(data.n <= (uint64_t)*left);
        *left -= (int64_t)data.n;
    }
    if (data.n == 0) {
        return MG_OK;
    }
    return next != NULL ? next->ops->content(next, data) : mg_exchange_send(f->x, data);
}

int64_t mg_filters_head(mg_exchange *x, mg_answer *a, int64_t length) {
    for (mg_filter *f = x->filters; f != NULL; f = f->next) {
        f->left = length;
        f->ops->head(f, a, &length);
    }
    return length;
}

int mg_filters_flush(mg_exchange *x) {
    int rc = MG_OK;
    for (mg_filter *f = x->filters; f != NULL && rc != MG_ECLOSED; f = f->next) {
        int now = f->ops->flush(f);
        rc = now != MG_OK ? now : rc;
    }
    return rc;
}

void mg_filters_end(mg_exchange *x, mg_fields *trailers) {
    for (mg_filter *f = x->filters; f != NULL; f = f->next) {
        f->ops->end(f, trailers);
    }
}

void mg_filters_release(mg_exchange *x) {
    while (x->filters != NULL) {
        mg_filter *f = x->filters;
        x->filters = f->next;
        f->ops->release(f);
    }
}
