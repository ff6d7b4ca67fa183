// event/dns_message.h: the messages with which the nameserver of a test answers.
#pragma once

#include "wire.h"

#include <string.h>

enum {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_AAAA = 28,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    NOTIMP = 4,
    REFUSED = 5
};

typedef struct message {
    unsigned char bytes[2048];
    size_t n;
    size_t question_end;
    int answers;
} message;

static inline void put(message *m, const void *p, size_t n) {
    assert_in_range(n, 0, sizeof m->bytes - m->n);
    memcpy(m->bytes + m->n, p, n);
    m->n += n;
}

static inline void put16(message *m, unsigned v) {
    unsigned char b[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    put(m, b, 2);
}

// `owner`: offset of the name it belongs to.
static inline void put_record(message *m, size_t owner, unsigned type, unsigned ttl,
                              const void *data, size_t n) {
    put16(m, 0xc000U | (unsigned)owner);
    put16(m, type);
    put16(m, 1);
    put16(m, ttl >> 16);
    put16(m, ttl & 0xffff);
    put16(m, (unsigned)n);
    put(m, data, n);
    m->answers++;
}

static inline void put_address(message *m, size_t owner, unsigned type, unsigned ttl, int last) {
    unsigned char v4[4] = {192, 0, 2, (unsigned char)last};
    unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (unsigned char)last};
    put_record(m, owner, type, ttl, type == TYPE_A ? (void *)v4 : (void *)v6,
               type == TYPE_A ? sizeof v4 : sizeof v6);
}

// 127.0.0.`last`
static inline void put_loopback(message *m, int last) {
    unsigned char v4[4] = {127, 0, 0, (unsigned char)last};
    put_record(m, 12, TYPE_A, 0, v4, sizeof v4);
}

static inline void put_chain(message *m, unsigned type) {
    static const unsigned char target[] = "\1b\5chain\4test";
    size_t owner = m->n + 12;
    put_record(m, 12, TYPE_CNAME, 0, target, sizeof target); // with its last NUL
    static const unsigned char next[] = "\1c\5chain\4test";
    size_t last = m->n + 12;
    put_record(m, owner, TYPE_CNAME, 300, next, sizeof next);
    if (type == TYPE_A) {
        put_address(m, last, TYPE_A, 300, 7);
    }
}

static int fickle_answers; // of "fickle.test": another address each time

// Returns the code of the answer; -1: silence. `silent`: how many of "shy.test" still get that.
static inline int fill(message *m, const char *name, unsigned type, int *silent) {
    bool a = type == TYPE_A;
    if (strcmp(name, "one.test") == 0 || strcmp(name, "large.test") == 0 ||
        strncmp(name, "n0", 2) == 0) {
        a ? put_address(m, 12, type, 300, 1) : (void)0;
    } else if (strcmp(name, "both.test") == 0) {
        put_address(m, 12, type, 300, 2);
    } else if (strcmp(name, "zero.test") == 0) {
        a ? put_address(m, 12, type, 0, 3) : (void)0;
    } else if (strcmp(name, "short.test") == 0) {
        a ? put_address(m, 12, type, 1, 4) : (void)0;
    } else if (strcmp(name, "host.before") == 0 || strcmp(name, "host.after") == 0) {
        a ? put_address(m, 12, type, 0, name[5] == 'b' ? 10 : 20) : (void)0;
    } else if (strcmp(name, "here.test") == 0) {
        a ? put_loopback(m, 1) : (void)0;
    } else if (strcmp(name, "fickle.test") == 0) {
        a ? put_loopback(m, ++fickle_answers) : (void)0;
    } else if (strcmp(name, "later.test") == 0) {
        a ? put_address(m, 12, type, 300, 5) : (void)0;
    } else if (strcmp(name, "a.chain.test") == 0) {
        put_chain(m, type);
    } else if (strcmp(name, "many.test") == 0) {
        for (int i = 0; i < (a ? 25 : 15); i++) {
            put_address(m, 12, type, 300, i + 1);
        }
    } else if (strcmp(name, "shy.test") == 0) {
        if (*silent > 0) {
            (*silent)--;
            return -1;
        }
        a ? put_address(m, 12, type, 300, 6) : (void)0;
    } else if (strcmp(name, "half4.test") == 0 || strcmp(name, "half6.test") == 0) {
        if (a != (name[4] == '4')) {
            return -1;
        }
        put_address(m, 12, type, 300, 8);
    } else if (strcmp(name, "silent.test") == 0) {
        return -1;
    } else if (strcmp(name, "empty.test") != 0) {
        return strncmp(name, "fail", 4) == 0         ? SERVFAIL
               : strcmp(name, "simple.test") == 0    ? NOTIMP
               : strcmp(name, "unwilling.test") == 0 ? REFUSED
                                                     : NXDOMAIN;
    }
    return 0;
}

// Returns where the name in question `q` ends.
static inline size_t read_name(char *name, const unsigned char *q, size_t n) {
    size_t at = 12, len = 0;
    while (at < n && q[at] != 0) {
        assert_in_range(at + q[at], 0, n - 1);
        memcpy(name + len, q + at + 1, q[at]);
        len += q[at];
        name[len++] = '.';
        at += q[at] + 1U;
    }
    name[len - 1] = '\0';
    return at;
}

// Answers question `q`. False: it gets no answer.
static inline bool reply(message *m, const unsigned char *q, size_t n, bool udp, int *silent) {
    char name[256];
    size_t at = read_name(name, q, n);
    put(m, q, at + 5);
    int code = fill(m, name, (unsigned)q[at + 1] << 8 | q[at + 2], silent);
    if (code < 0) {
        return false;
    }
    m->bytes[2] = 0x84 | (q[2] & 1);
    m->bytes[3] = (unsigned char)(0x80 | code);
    memset(m->bytes + 4, 0, 8);
    m->bytes[5] = 1;
    m->bytes[7] = (unsigned char)m->answers;
    if (strcmp(name, "garbage.test") == 0) {
        m->bytes[3] = 0x80;
        m->bytes[7] = 9; // promised, but there are none
    } else if (strcmp(name, "cut.test") == 0) {
        m->n = 11;
    } else if (udp && strcmp(name, "large.test") == 0) {
        m->bytes[2] |= 2; // truncated
        m->bytes[7] = 0;
        m->n = at + 5;
    }
    return true;
}
