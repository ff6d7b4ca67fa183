#include "event/tls_challenge.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "event/tls.h"
#include "event/tls_pair.h"

#include <string.h>

#define HTTP "http-01"
#define TLS  "tls-alpn-01"
#define PATH "/.well-known/acme-challenge/"

struct mg_challenge {
    char *path;   // of HTTP; NULL: it is of TLS
    char *answer; // likewise
    char *name;   // of TLS; NULL: it is of HTTP
    mg_tls_pair pair;
};

// --- writing: its kind, the name, and what is to be known, each on a line ---

static int append_certificate(mg_buf *out, const char *domain, mg_str authorization,
                              mg_error *err) {
    unsigned char digest[MG_DIGEST_MAX];
    mg_digest(MG_SHA256, authorization, digest);
    return mg_tls_self_signed(out, domain, digest, err);
}

int mg_challenge_write(mg_buf *out, const char *kind, const char *domain, mg_str authorization,
                       mg_error *err) {
    mg_buf_printf(out, "%s\n%s\n", kind, domain);
    if (strcmp(kind, TLS) == 0) {
        return append_certificate(out, domain, authorization, err);
    }
    mg_buf_append_str(out, authorization);
    return MG_OK;
}

// --- reading ---

static bool take_text(mg_challenge *c, mg_str authorization) {
    const char *point = memchr(authorization.p, '.', authorization.n);
    if (point == NULL || point == authorization.p) {
        return false;
    }
    mg_buf path = {0};
    mg_buf_append_str(&path, MG_STR(PATH));
    mg_buf_append(&path, authorization.p, (size_t)(point - authorization.p));
    c->path = mg_strndup(path.p, path.n);
    c->answer = mg_strndup(authorization.p, authorization.n);
    mg_buf_deinit(&path);
    return true;
}

static bool take_certificate(mg_challenge *c, mg_str name, mg_str pem) {
    static const mg_tls_files files = {"the challenge", "the challenge"};
    mg_error err;
    c->name = mg_strndup(name.p, name.n);
    return mg_tls_pair_read(&c->pair, NULL, pem, pem, &files, &err) == MG_OK;
}

mg_challenge *mg_challenge_read(mg_str text) {
    mg_str kind = mg_str_cut(&text, '\n');
    mg_str name = mg_str_cut(&text, '\n');
    mg_challenge *c = mg_calloc(1, sizeof *c);
    bool good = false;
    if (mg_str_eq(kind, MG_STR(HTTP))) {
        good = take_text(c, text);
    } else if (mg_str_eq(kind, MG_STR(TLS))) {
        good = take_certificate(c, name, text);
    }
    if (!good) {
        mg_challenge_free(c);
        c = NULL;
    }
    return c;
}

void mg_challenge_free(mg_challenge *c) {
    if (c != NULL) {
        mg_free(c->path);
        mg_free(c->answer);
        mg_free(c->name);
        mg_tls_pair_free(&c->pair);
        mg_free(c);
    }
}

// --- showing ---

mg_str mg_challenge_answer(const mg_challenge *c, mg_str path) {
    bool asked = c->path != NULL && mg_str_eq(mg_str_of(c->path), path);
    return asked ? mg_str_of(c->answer) : (mg_str){0};
}

const mg_tls_pair *mg_challenge_pair(const mg_challenge *c, const char *name) {
    return c != NULL && c->name != NULL && strcmp(c->name, name) == 0 ? &c->pair : NULL;
}
