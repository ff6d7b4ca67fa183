#include "lua/inbox.h"

void mg_inbox_deinit(mg_inbox *in) {
    mg_buf_deinit(&in->bytes);
    in->at = 0;
}

void mg_inbox_add(mg_inbox *in, mg_str data) {
    mg_buf_append_behind(&in->bytes, &in->at, data);
}

static mg_str held(const mg_inbox *in) {
    return (mg_str){in->bytes.p + in->at, mg_inbox_held(in)};
}

static mg_inbox_verdict give(mg_str all, size_t n, size_t used, mg_str *piece, size_t *out) {
    *piece = (mg_str){all.p, n};
    *out = used;
    return MG_INBOX_PIECE;
}

// Each byte is looked at once, however it comes.
static mg_inbox_verdict look_for(const mg_inbox *in, mg_want *w, mg_str *piece, size_t *used) {
    bool line = w->kind == MG_WANT_LINE;
    mg_str delimiter = line ? MG_STR("\n") : w->delimiter;
    mg_str all = held(in);
    const char *found = memmem(all.p + w->seen, all.n - w->seen, delimiter.p, delimiter.n);
    size_t n = found != NULL ? (size_t)(found - all.p) : all.n;
    if (found == NULL && all.n >= delimiter.n) {
        w->seen = all.n - delimiter.n + 1;
    }
    bool has_cr = line && n > 0 && all.p[n - 1] == '\r';
    if (n - has_cr > w->n) {
        return MG_INBOX_LIMIT;
    }
    if (found != NULL) {
        return give(all, n - has_cr, n + delimiter.n, piece, used);
    }
    if (!in->fin) {
        return MG_INBOX_MORE;
    }
    return line ? give(all, n, n, piece, used) : MG_INBOX_BROKEN;
}

mg_inbox_verdict mg_inbox_look(const mg_inbox *in, mg_want *w, mg_str *piece, size_t *used) {
    mg_str all = held(in);
    if (all.n == 0) {
        return in->fin ? MG_INBOX_END : MG_INBOX_MORE;
    }
    if (w->kind >= MG_WANT_UNTIL) {
        return look_for(in, w, piece, used);
    }
    if (w->kind == MG_WANT_SOME || all.n <= w->n) {
        bool enough = w->kind == MG_WANT_SOME || all.n == w->n || in->fin;
        return enough ? give(all, all.n, all.n, piece, used) : MG_INBOX_MORE;
    }
    return give(all, w->n, w->n, piece, used);
}

void mg_inbox_take(mg_inbox *in, size_t used) {
    in->at += used;
    if (in->at == in->bytes.n) {
        mg_inbox_deinit(in); // who waits for its peer holds nothing
    }
}

bool mg_inbox_is_full(const mg_inbox *in, const mg_want *w) {
    size_t most = MG_INBOX_HELD;
    if (w != NULL && w->kind != MG_WANT_SOME && w->n + MG_INBOX_DELIMITER_MAX > most) {
        most = w->n + MG_INBOX_DELIMITER_MAX;
    }
    return mg_inbox_held(in) >= most;
}
