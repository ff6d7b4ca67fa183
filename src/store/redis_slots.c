#include "store/redis_slots.h"

// --- keys ---

// CRC16, polynomial 0x1021, from 0: four bits at a time.
static uint16_t crc16(mg_str s) {
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t byte = (uint8_t)s.p[i];
        crc = (uint16_t)(crc << 4 ^ table[crc >> 12 ^ byte >> 4]);
        crc = (uint16_t)(crc << 4 ^ table[crc >> 12 ^ (byte & 15)]);
    }
    return crc;
}

static mg_str tag_of(mg_str key) {
    const char *open = key.n > 0 ? memchr(key.p, '{', key.n) : NULL;
    if (open == NULL) {
        return key;
    }
    size_t left = key.n - (size_t)(open + 1 - key.p);
    const char *close = memchr(open + 1, '}', left);
    if (close == NULL || close == open + 1) {
        return key;
    }
    return (mg_str){open + 1, (size_t)(close - open - 1)};
}

uint16_t mg_redis_slot(mg_str key) {
    return crc16(tag_of(key)) % MG_REDIS_SLOTS;
}

// --- errors ---

// "127.0.0.1:6381", "::1:6381", ":6381"
static bool read_address(mg_str s, mg_redis_redirect *out) {
    uint64_t port;
    size_t colon = s.n;
    while (colon > 0 && s.p[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || !mg_str_to_u64((mg_str){s.p + colon, s.n - colon}, 65535, &port) ||
        port == 0) {
        return false;
    }
    out->port = (uint16_t)port;
    out->host = (mg_str){s.p, colon - 1};
    return true;
}

mg_redis_redirect mg_redis_redirect_of(const mg_redis_reply *r) {
    static const mg_redis_redirect stay = {.kind = MG_REDIS_STAY};
    mg_redis_redirect out = {.kind = MG_REDIS_STAY};
    uint64_t slot;
    if (mg_redis_is_error(r, MG_STR("MOVED"))) {
        out.kind = MG_REDIS_MOVED;
    } else if (mg_redis_is_error(r, MG_STR("ASK"))) {
        out.kind = MG_REDIS_ASK;
    } else {
        return stay;
    }
    mg_str text = mg_redis_text(r, r->values);
    mg_str_cut(&text, ' ');
    if (!mg_str_to_u64(mg_str_cut(&text, ' '), MG_REDIS_SLOTS - 1, &slot) ||
        !read_address(mg_str_cut(&text, ' '), &out)) {
        return stay;
    }
    out.slot = (uint16_t)slot;
    return out;
}

// --- who has which slots ---

static bool integer_at(const mg_redis_reply *r, uint32_t at, int64_t most, int64_t *out) {
    bool good = at < r->count && r->values[at].type == MG_REDIS_INTEGER;
    if (good) {
        *out = r->values[at].integer;
    }
    return good && *out >= 0 && *out <= most;
}

// [host, port, id, ...]. "?" and null: a host that nobody knows. False: it is no server.
static bool read_server(const mg_redis_reply *r, uint32_t at, mg_redis_range_server *out,
                        bool *known) {
    int64_t port = 0;
    const mg_redis_value *v = &r->values[at];
    if (v->type != MG_REDIS_ARRAY || v->n < 2 || !integer_at(r, at + 2, 65535, &port)) {
        return false;
    }
    const mg_redis_value *host = &r->values[at + 1];
    *out = (mg_redis_range_server){.port = (uint16_t)port};
    *known = port > 0;
    if (mg_redis_is_text(host)) {
        out->host = mg_redis_text(r, host);
        *known = *known && !mg_str_eq(out->host, MG_STR("?"));
    }
    return mg_redis_is_text(host) || host->type == MG_REDIS_NULL;
}

// A master that is not known leaves nobody who could be asked. False: it is no range.
static bool read_range(const mg_redis_reply *r, uint32_t at, mg_redis_range *out) {
    int64_t first, last;
    const mg_redis_value *v = &r->values[at];
    *out = (mg_redis_range){.n = 0};
    if (v->type != MG_REDIS_ARRAY || v->n < 2 ||
        !integer_at(r, at + 1, MG_REDIS_SLOTS - 1, &first) ||
        !integer_at(r, at + 2, MG_REDIS_SLOTS - 1, &last) || first > last) {
        return false;
    }
    out->first = (uint16_t)first;
    out->last = (uint16_t)last;
    uint32_t next = at + 3;
    for (uint32_t i = 2; i < v->n; i++) {
        mg_redis_range_server server;
        bool known;
        if (!read_server(r, next, &server, &known)) {
            return false;
        }
        if (i == 2 && !known) {
            break;
        }
        if (known && out->n < MG_REDIS_RANGE_SERVERS) {
            out->servers[out->n++] = server;
        }
        next = mg_redis_behind(r, next);
    }
    return true;
}

bool mg_redis_next_range(const mg_redis_reply *r, uint32_t *at, mg_redis_range *out,
                         const char **fault) {
    *fault = NULL;
    if (r->count == 0 || r->values[0].type != MG_REDIS_ARRAY) {
        *fault = "the reply to CLUSTER SLOTS is no list";
        return false;
    }
    *at = *at == 0 ? 1 : *at;
    while (*at < r->count) {
        uint32_t here = *at;
        *at = mg_redis_behind(r, here);
        if (!read_range(r, here, out)) {
            *fault = "the reply to CLUSTER SLOTS holds what is no range";
            return false;
        }
        if (out->n > 0) {
            return true;
        }
    }
    return false;
}
