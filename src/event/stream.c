#include "event/stream.h"

#include "base/error.h"
#include "event/stream_ops.h"

#include <errno.h>

int mg_stream_read_start(mg_stream *s) {
    if (s->closing) {
        return MG_ECLOSED;
    }
    if (s->reading || s->ended) {
        return MG_OK;
    }
    int rc = s->ops->read_start(s);
    s->reading = rc == MG_OK;
    return rc;
}

void mg_stream_read_stop(mg_stream *s) {
    if (s->reading) {
        s->reading = false;
        s->ops->read_stop(s);
    }
}

int mg_stream_write(mg_stream *s, const struct iovec *v, int count) {
    if (s->closing) {
        return MG_ECLOSED;
    }
    if (s->output != MG_OUTPUT_OPEN) {
        return -EPIPE;
    }
    return s->ops->write(s, v, count);
}

int mg_stream_shutdown(mg_stream *s) {
    if (s->closing) {
        return MG_ECLOSED;
    }
    if (s->output != MG_OUTPUT_OPEN) {
        return s->output == MG_OUTPUT_SHUT ? MG_OK : -EPIPE;
    }
    s->output = MG_OUTPUT_SHUT;
    return s->ops->shutdown(s);
}

void mg_stream_close(mg_stream *s, bool reset) {
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->reading = false;
    s->queued = 0;
    s->ops->close(s, reset);
}

int mg_stream_peer(const mg_stream *s, struct sockaddr_storage *out) {
    return s->ops->peer(s, out);
}

int mg_stream_local(const mg_stream *s, struct sockaddr_storage *out) {
    return s->ops->local(s, out);
}

bool mg_stream_quiet(const mg_stream *s) {
    return !s->closing && !s->ended && s->ops->quiet(s);
}

bool mg_stream_ending(const mg_stream *s, int *status) {
    return !s->closing && !s->ended && s->ops->ending(s, status);
}

size_t mg_stream_untaken(mg_stream *s) {
    return s->ops->untaken != NULL ? s->ops->untaken(s) : s->queued;
}

mg_loop *mg_stream_loop(const mg_stream *s) {
    return s->ops->loop(s);
}
