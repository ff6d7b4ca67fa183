#include "store/migration.h"

#include "base/crypto.h"

#include <stdio.h>
#include <string.h>

void mg_migration_checksum(mg_str text, char out[MG_MIGRATION_CHECKSUM + 1]) {
    unsigned char digest[MG_DIGEST_MAX];
    size_t n = mg_digest(MG_SHA256, text, digest);
    for (size_t i = 0; i < n && i < MG_MIGRATION_CHECKSUM / 2; i++) {
        snprintf(out + i * 2, 3, "%02x", digest[i]);
    }
}

static mg_migration *find(const mg_migrations *m, uint64_t number) {
    for (size_t i = 0; i < m->n; i++) {
        if (m->items[i].number == number) {
            return &m->items[i];
        }
    }
    return NULL;
}

void mg_migration_note(const mg_migrations *m, uint64_t number, const char *name,
                       const char *checksum, const char *applied_at, mg_buf *orphans) {
    mg_migration *f = find(m, number);
    if (f == NULL) {
        if (orphans != NULL) {
            mg_buf_printf(orphans, "%s\n", name != NULL ? name : "?");
        }
        return;
    }
    char now[MG_MIGRATION_CHECKSUM + 1] = "";
    mg_migration_checksum(f->text, now);
    bool same = checksum != NULL && strcmp(checksum, now) == 0;
    f->state = same ? MG_MIGRATION_APPLIED : MG_MIGRATION_CHANGED;
    snprintf(f->applied_at, sizeof f->applied_at, "%s", applied_at != NULL ? applied_at : "?");
}

int mg_migration_refuse_changed(const mg_migrations *m, mg_error *err) {
    for (size_t i = 0; i < m->n; i++) {
        if (m->items[i].state == MG_MIGRATION_CHANGED) {
            return mg_error_set(err, MG_ESYNTAX,
                                "%s: it was applied on %s and has changed since: undo the change "
                                "and write a new file",
                                m->items[i].path, m->items[i].applied_at);
        }
    }
    return MG_OK;
}

unsigned mg_migration_line(mg_str text, size_t at) {
    unsigned line = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        line += text.p[i] == '\n';
    }
    return line;
}
