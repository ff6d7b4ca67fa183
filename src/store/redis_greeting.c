// The first words of a connection. HELLO 3 asks for RESP3 and shows who we are; a server that does
// not know it (before 6.0, or behind some proxies) is asked in RESP2, unless pushes are relied on:
// CLIENT TRACKING is granted in RESP2 too, but then nothing is ever told. What else is to be said
// goes out together.

#include "store/redis_conn_inside.h"

#include <stdio.h>

static void add(mg_redis_conn *c, mg_buf *out, const mg_str *words, size_t n, bool forgiven) {
    mg_redis_write(out, words, n);
    c->forgiven |= forgiven ? 1U << (c->step_left & 31) : 0;
    c->step_left++;
}

static void send_words(mg_redis_conn *c, const mg_buf *out) {
    const struct iovec v = {out->p, out->n};
    int rc = mg_stream_write(&c->stream, &v, 1);
    if (rc != 0) {
        mg_redis_conn_lose(c, "connect", mg_strerror(rc), true);
    }
}

// False: there is none that can be read, and the connection is lost.
static bool read_password(mg_redis_conn *c, mg_buf *out) {
    const mg_redis_login *login = c->o.login;
    mg_error err;
    if (login->password != NULL && login->password(login->arg, out, &err) != MG_OK) {
        mg_redis_conn_lose(c, "auth", err.text, true);
        return false;
    }
    return true;
}

static void wipe(mg_buf *secret) {
    if (secret->cap > 0) {
        explicit_bzero(secret->p, secret->cap);
    }
    mg_buf_deinit(secret);
}

static mg_str user_of(const mg_redis_login *login) {
    return login->user != NULL ? mg_str_of(login->user) : MG_STR("default");
}

static mg_str password_text(const mg_buf *password) {
    return password->n > 0 ? mg_str_of(password->p) : (mg_str){NULL, 0};
}

static void say_hello(mg_redis_conn *c) {
    mg_buf out = {0};
    mg_buf password = {0};
    if (!read_password(c, &password)) {
        return;
    }
    mg_str secret = password_text(&password);
    const mg_str words[] = {MG_STR("HELLO"), MG_STR("3"), MG_STR("AUTH"), user_of(c->o.login),
                            secret};
    bool with_auth = secret.n > 0 || c->o.login->user != NULL;
    c->step = MG_REDIS_HELLO;
    add(c, &out, words, with_auth ? 5 : 2, false);
    send_words(c, &out);
    wipe(&password);
    wipe(&out);
}

static void add_auth(mg_redis_conn *c, mg_buf *out, mg_str secret) {
    const mg_str words[] = {MG_STR("AUTH"), user_of(c->o.login), secret};
    const mg_str old[] = {MG_STR("AUTH"), secret}; // without users, before 6.0
    if (c->o.login->user != NULL) {
        add(c, out, words, 3, false);
    } else if (secret.n > 0) {
        add(c, out, old, 2, false);
    }
}

static void add_login(mg_redis_conn *c, mg_buf *out) {
    const mg_redis_login *login = c->o.login;
    char number[16];
    snprintf(number, sizeof number, "%u", login->database);
    if (login->database != 0) {
        add(c, out, (const mg_str[]){MG_STR("SELECT"), mg_str_of(number)}, 2, false);
    }
    if (login->client_name != NULL) {
        const mg_str words[] = {MG_STR("CLIENT"), MG_STR("SETNAME"), mg_str_of(login->client_name)};
        add(c, out, words, 3, true); // an ACL may forbid it, and nothing depends on it
    }
    if (login->readonly) {
        add(c, out, (const mg_str[]){MG_STR("READONLY")}, 1, false);
    }
    for (uint32_t i = 0; i < login->greeting_count; i++) {
        add(c, out, login->greetings[i].words, login->greetings[i].n, false);
    }
    if (login->role != NULL) {
        add(c, out, (const mg_str[]){MG_STR("ROLE")}, 1, false); // the last: see judge_role
    }
}

static void say_rest(mg_redis_conn *c) {
    mg_buf out = {0};
    mg_buf password = {0};
    if (!c->resp3 && !read_password(c, &password)) {
        return;
    }
    c->step = MG_REDIS_REST;
    if (!c->resp3) {
        add_auth(c, &out, password_text(&password));
    }
    add_login(c, &out);
    if (c->step_left == 0) {
        mg_redis_conn_greeted(c);
    } else {
        send_words(c, &out);
    }
    wipe(&password);
    wipe(&out);
}

void mg_redis_greet(mg_redis_conn *c) {
    c->resp3 = false;
    c->step_left = 0;
    c->forgiven = 0;
    if (c->o.login->resp2) {
        say_rest(c);
    } else {
        say_hello(c);
    }
}

static bool does_not_know_hello(const mg_redis_reply *r) {
    return mg_redis_is_error(r, MG_STR("NOPROTO")) ||
           (mg_redis_is_error(r, MG_STR("ERR")) &&
            mg_str_starts(mg_redis_text(r, r->values), MG_STR("ERR unknown command")));
}

static void say_rest_in_resp2(mg_redis_conn *c) {
    if (c->o.login->greeting_count > 0) {
        mg_redis_conn_lose(c, "connect",
                           "it knows no HELLO, and values kept near need RESP3 (near=N in the URL)",
                           true);
    } else {
        say_rest(c);
    }
}

// Refused: what it says, which shows no password.
static void refused(mg_redis_conn *c, const mg_redis_reply *r) {
    static const char *const of_login[] = {"NOAUTH", "WRONGPASS", "NOPERM", NULL};
    char text[200];
    mg_str said = mg_redis_text(r, r->values);
    const char *code = "connect";
    for (size_t i = 0; of_login[i] != NULL; i++) {
        code = mg_redis_is_error(r, mg_str_of(of_login[i])) ? "auth" : code;
    }
    snprintf(text, sizeof text, "it says: %.*s", (int)(said.n < 160 ? said.n : 160), said.p);
    mg_redis_conn_lose(c, code, text, true);
}

// The first word of the reply to ROLE.
static bool has_role(const mg_redis_reply *r, const char *role) {
    return r->count > 1 && r->values[0].type == MG_REDIS_ARRAY && mg_redis_is_text(&r->values[1]) &&
           mg_str_eq(mg_redis_text(r, &r->values[1]), mg_str_of(role));
}

void mg_redis_greeting_reply(mg_redis_conn *c, const mg_redis_reply *r) {
    if (c->step_left == 0) {
        mg_redis_conn_lose(c, "protocol", "a reply came that nobody had asked for", true);
        return;
    }
    bool forgiven = c->forgiven & 1;
    c->forgiven >>= 1;
    c->step_left--;
    bool bad = r->count > 0 && r->values[0].type == MG_REDIS_ERROR;
    if (c->step == MG_REDIS_HELLO && !bad) {
        c->resp3 = true;
        say_rest(c);
    } else if (c->step == MG_REDIS_HELLO && does_not_know_hello(r)) {
        say_rest_in_resp2(c);
    } else if (bad && !forgiven) {
        refused(c, r);
    } else if (c->step_left == 0 && c->o.login->role != NULL && !has_role(r, c->o.login->role)) {
        mg_redis_conn_lose(c, "connect", "it is no master", true);
    } else if (c->step_left == 0) {
        mg_redis_conn_greeted(c);
    }
}
