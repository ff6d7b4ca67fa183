#include "store/database_ops.h"

#include <errno.h>

int mg_database_query(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                      mg_db_done_cb on_done, void *arg) {
    return d->ops->query(out, d, s, on_done, arg);
}

int mg_database_begin(mg_db_call **out, mg_database *d, unsigned flags, mg_db_session **session,
                      mg_db_done_cb on_done, void *arg) {
    return d->ops->begin(out, d, flags, session, on_done, arg);
}

int mg_database_end(mg_db_call **out, mg_db_session *session, bool commit, mg_db_done_cb on_done,
                    void *arg) {
    return session->database->ops->end(out, session, commit, on_done, arg);
}

int mg_database_open_rows(mg_db_call **out, mg_database *d, const mg_db_statement *s,
                          mg_db_session **session, mg_db_done_cb on_done, void *arg) {
    return d->ops->open_rows(out, d, s, session, on_done, arg);
}

int mg_database_fetch(mg_db_call **out, mg_db_session *session, uint32_t max_rows,
                      mg_db_done_cb on_done, void *arg) {
    return session->database->ops->fetch(out, session, max_rows, on_done, arg);
}

int mg_database_write(mg_db_call **out, mg_db_session *session, mg_str bytes, bool last,
                      mg_db_done_cb on_done, void *arg) {
    const mg_database_ops *ops = session->database->ops;
    return ops->write != NULL ? ops->write(out, session, bytes, last, on_done, arg) : MG_ECLOSED;
}

void mg_database_drop(mg_db_session *session) {
    session->database->ops->drop(session);
}

void mg_database_cancel(mg_db_call *call) {
    call->database->ops->cancel(call);
}

int mg_database_listen(mg_db_listener **out, mg_database *d, mg_str channel, mg_db_note_cb on_note,
                       void *arg) {
    return d->ops->listen != NULL ? d->ops->listen(out, d, channel, on_note, arg) : -ENOTSUP;
}

void mg_database_unlisten(mg_db_listener *l) {
    l->database->ops->unlisten(l);
}

bool mg_database_has_channels(const mg_database *d) {
    return d->ops->listen != NULL;
}

bool mg_database_has_one_writer(const mg_database *d) {
    return d->ops->one_writer;
}

void mg_database_read_stats(const mg_database *d, mg_database_stats *out) {
    d->ops->read_stats(d, out);
}

void mg_database_free(mg_database *d) {
    if (d != NULL) {
        d->ops->free(d);
    }
}

static uint64_t value_bytes(const mg_db_statement *s) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bool has_text = s->values[i].kind == MG_DB_TEXT || s->values[i].kind == MG_DB_BLOB;
        n += has_text ? s->values[i].text.n : 0;
    }
    return n;
}

const char *mg_database_refusal(const mg_db_statement *s, const char **code) {
    *code = "limit";
    if (s->sql.n > MG_DB_SQL_MAX) {
        return "the statement is longer than 1 MiB";
    }
    if (s->count > MG_DB_PARAMETERS_MAX) {
        return "more than 32766 parameters";
    }
    if (value_bytes(s) > MG_DB_RESULT_MAX) {
        return "the parameters are larger than 64 MiB";
    }
    *code = "syntax";
    return s->sql.n > 0 && memchr(s->sql.p, '\0', s->sql.n) != NULL ? "a NUL byte in the statement"
                                                                    : NULL;
}
