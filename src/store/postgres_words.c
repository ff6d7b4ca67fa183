#include "store/postgres_words.h"

#include "store/postgres_scan.h"

static bool is_letter(char c) {
    return (mg_lower(c) >= 'a' && mg_lower(c) <= 'z') || c == '_';
}

void mg_pg_words_read(mg_str sql, mg_str *words, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        bool blank = true;
        size_t next = at;
        while (at < sql.n && (next = mg_pg_scan_token(sql, at, &blank), blank)) {
            at = next;
        }
        size_t from = at;
        while (at < sql.n && is_letter(sql.p[at])) {
            at++;
        }
        words[i] = (mg_str){sql.p + from, at - from};
    }
}

static bool one_of(mg_str word, const char *const *list) {
    for (; *list != NULL; list++) {
        if (mg_str_ieq(word, mg_str_of(*list))) {
            return true;
        }
    }
    return false;
}

const char *mg_pg_words_refuse(mg_str sql) {
    static const char *const transactions[] = {"begin", "start",     "commit",  "end", "rollback",
                                               "abort", "savepoint", "release", NULL};
    static const char *const settings[] = {"set", "reset", "discard", NULL};
    static const char *const passing[] = {"local", "transaction", "constraints", NULL};
    static const char *const channels[] = {"listen", "unlisten", NULL};
    mg_str words[2];
    mg_pg_words_read(sql, words, 2);
    bool prepares =
        mg_str_ieq(words[0], MG_STR("prepare")) && mg_str_ieq(words[1], MG_STR("transaction"));
    if (one_of(words[0], transactions) || prepares) {
        return "transactions are not made by statements: use db:transaction(fn)";
    }
    if (one_of(words[0], settings) && !one_of(words[1], passing)) {
        return "a setting would stay, and connections are shared: SET LOCAL in a transaction, or "
               "options=-cNAME=VALUE in the URL";
    }
    if (one_of(words[0], channels)) {
        return "connections are shared: use db:listen(channel)";
    }
    return mg_str_ieq(words[0], MG_STR("copy"))
               ? "COPY goes piece by piece: use db:copy_in(sql) or db:copy_out(sql)"
               : NULL;
}

const char *mg_pg_words_refuse_copy(mg_str sql) {
    mg_str word;
    mg_pg_words_read(sql, &word, 1);
    return mg_str_ieq(word, MG_STR("copy"))
               ? NULL
               : "a statement COPY ... FROM STDIN or COPY ... TO STDOUT is wanted";
}
