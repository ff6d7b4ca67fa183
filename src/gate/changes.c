#include "gate/changes.h"

#include "gate/generation.h"

enum { SHOWN_CHANGES = 40 };

typedef struct noting {
    mg_changes *changes;
    mg_str root;
} noting;

static void note_file(void *arg, mg_str name, char what) {
    const noting *n = arg;
    if (name.n > 0 && name.p[0] == ':') {
        return; // the configuration's file is told for itself
    }
    if (++n->changes->files > SHOWN_CHANGES) {
        return;
    }
    if (mg_str_starts(name, n->root) && name.n > n->root.n && name.p[n->root.n] == '/') {
        name = (mg_str){name.p + n->root.n + 1, name.n - n->root.n - 1};
    }
    mg_buf_printf(&n->changes->text, "  %c %.*s\n", what, (int)name.n, name.p);
}

static bool same_settings(const mg_snapshot *a, const mg_snapshot *b) {
    mg_str before = {0};
    mg_str after = {0};
    mg_snapshot_find(a, MG_STR(MG_SNAPSHOT_CONFIG), &before);
    mg_snapshot_find(b, MG_STR(MG_SNAPSHOT_CONFIG), &after);
    return mg_str_eq(before, after);
}

static const char *user_of(const mg_changes_side *s) {
    return s->config->user != NULL ? s->config->user : "";
}

void mg_changes_between(mg_changes *c, const mg_changes_side *before,
                        const mg_changes_side *after) {
    if (before->snapshot == NULL) {
        return;
    }
    noting n = {c, mg_str_of(after->config->root)};
    mg_snapshot_compare(before->snapshot, after->snapshot, note_file, &n);
    if (c->files > SHOWN_CHANGES) {
        mg_buf_printf(&c->text, "  and %zu more\n", c->files - SHOWN_CHANGES);
    }
    if (!same_settings(before->snapshot, after->snapshot)) {
        mg_buf_printf(&c->text, "  ~ settings\n");
    }
    if (before->workers != after->workers) {
        mg_buf_printf(&c->text, "  ~ workers %u -> %u\n", before->workers, after->workers);
    }
    if (strcmp(user_of(before), user_of(after)) != 0) {
        mg_buf_printf(&c->text, "  ! user: holds for workers that start from now on\n");
    }
}

void mg_changes_deinit(mg_changes *c) {
    mg_buf_deinit(&c->text);
}
