#include "http/proxy_header.h"

#include "base/buf.h"

#include "unit.h"

#include <arpa/inet.h>

enum { MOST = 4096 };

static mg_proxy_reading r;

static mg_proxy_verdict give(mg_str data) {
    r = (mg_proxy_reading){.most = MOST};
    return mg_proxy_header_read(&r, data);
}

static void assert_address(const mg_proxy_address *a, const char *want) {
    char ip[INET6_ADDRSTRLEN] = "";
    char text[80];
    bool v4 = a->family == AF_INET;
    if (a->family == AF_UNIX) {
        assert_string_equal(want, "unix");
        return;
    }
    inet_ntop(a->family, v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr, ip,
              sizeof ip);
    snprintf(text, sizeof text, "%s %u", ip, ntohs(v4 ? a->v4.sin_port : a->v6.sin6_port));
    assert_string_equal(text, want);
}

// Each beginning of it may still become one; what follows is left alone.
static void tells(mg_str header, const char *source, const char *destination) {
    for (size_t n = 0; n < header.n; n++) {
        assert_int_equal(give((mg_str){header.p, n}), MG_PROXY_MORE);
    }
    mg_buf more = {0};
    mg_buf_append_str(&more, header);
    mg_buf_append_str(&more, MG_STR("GET /"));
    assert_int_equal(give(mg_buf_str(&more)), MG_PROXY_DONE);
    assert_int_equal(r.used, header.n);
    assert_int_equal(r.header.told, source != NULL);
    if (source != NULL) {
        assert_address(&r.header.source, source);
        assert_address(&r.header.destination, destination);
    }
    mg_buf_deinit(&more);
}

static void refuses(mg_str data, const char *why) {
    assert_int_equal(give(data), MG_PROXY_BAD);
    assert_string_equal(r.fault, why);
}

#define NONE "there is none"
#define LINE "its line is malformed"

static void a_line_tells_addresses(void **state) {
    (void)state;
    tells(MG_STR("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), "192.0.2.7 56324",
          "198.51.100.1 443");
    tells(MG_STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n"), "255.255.255.255 65535",
          "255.255.255.255 0");
    tells(MG_STR("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), "2001:db8::7 1", "::1 65535");
}

static void a_line_may_tell_nothing(void **state) {
    (void)state;
    tells(MG_STR("PROXY UNKNOWN\r\n"), NULL, NULL);
    tells(MG_STR("PROXY UNKNOWN whatever else\r\n"), NULL, NULL);
    tells(MG_STR("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
          NULL, NULL);
}

static void lines_are_read_strictly(void **state) {
    (void)state;
    static const char *const lines[] = {
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 1::2::3 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        refuses(mg_str_of(lines[i]), LINE);
    }
    refuses(MG_STR("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"), LINE);
}

static void a_line_has_an_end(void **state) {
    (void)state;
    char line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(give((mg_str){line, 106}), MG_PROXY_MORE);
    refuses((mg_str){line, 107}, "its line is too long");
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(give((mg_str){line, sizeof line}), MG_PROXY_DONE);
    assert_int_equal(r.used, 107);
}

static void what_begins_otherwise_is_none(void **state) {
    (void)state;
    refuses(MG_STR("GET / HTTP/1.1\r\n"), NONE);
    refuses(MG_STR("P "), NONE);
    refuses(MG_STR("PROXX"), NONE);
    refuses(MG_STR("proxy TCP4"), NONE);
    refuses(MG_STR("\r\n\r\nG"), NONE);
    refuses(MG_STR("\x16\x03\x01"), NONE);
}

// --- version 2 ---

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\0\2\7\xc6\x33\x64\1\xdc\4\1\xbb"
#define V6                                                                                         \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"                                                       \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"                                                             \
    "\0\1\xff\xff"

static void binary_addresses_are_told(void **state) {
    (void)state;
    tells(MG_STR(SIGNATURE "\x21\x11\0\x0c" V4), "192.0.2.7 56324", "198.51.100.1 443");
    tells(MG_STR(SIGNATURE "\x21\x12\0\x0c" V4), "192.0.2.7 56324", "198.51.100.1 443");
    tells(MG_STR(SIGNATURE "\x21\x21\0\x24" V6), "2001:db8::7 1", "::1 65535");
    char local[16 + 216] = SIGNATURE "\x21\x31\0\xd8/a";
    tells((mg_str){local, sizeof local}, "unix", "unix");
}

static void binary_headers_may_tell_nothing(void **state) {
    (void)state;
    tells(MG_STR(SIGNATURE "\x20\0\0\0"), NULL, NULL);             // LOCAL
    tells(MG_STR(SIGNATURE "\x20\x11\0\x0c" V4), NULL, NULL);      // its addresses do not count
    tells(MG_STR(SIGNATURE "\x20\xff\0\3abc"), NULL, NULL);        // nor does their family
    tells(MG_STR(SIGNATURE "\x21\0\0\0"), NULL, NULL);             // UNSPEC
    tells(MG_STR(SIGNATURE "\x21\0\0\5\1\xff\xff ?"), NULL, NULL); // with who knows what
}

static void binary_headers_are_read_strictly(void **state) {
    (void)state;
    refuses(MG_STR(SIGNATURE "\x11\x11\0\x0c" V4), "its version or command is unknown");
    refuses(MG_STR(SIGNATURE "\x22\x11\0\x0c" V4), "its version or command is unknown");
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x0b" V4), "its addresses are malformed");
    refuses(MG_STR(SIGNATURE "\x21\x21\0\x0c" V4), "its addresses are malformed");
    refuses(MG_STR(SIGNATURE "\x21\x41\0\x0c" V4), "its addresses are malformed");
    refuses(MG_STR(SIGNATURE "\x21\x10\0\x0c" V4), "its addresses are malformed");
    refuses(MG_STR(SIGNATURE "\x21\x13\0\x0c" V4), "its addresses are malformed");
    refuses(MG_STR(SIGNATURE "\x21\x01\0\x0c" V4), "its addresses are malformed");
}

static void its_length_has_a_limit(void **state) {
    (void)state;
    char header[MOST] = SIGNATURE "\x21\x11\x0f\xf0" V4;
    header[28] = 4; // NOOP
    header[29] = (char)((MOST - 31) >> 8);
    header[30] = (char)((MOST - 31) & 0xff);
    assert_int_equal(give((mg_str){header, sizeof header}), MG_PROXY_DONE);
    assert_int_equal(r.used, MOST);
    refuses(MG_STR(SIGNATURE "\x21\x11\x0f\xf1"), "it is too long");
}

#define TLV_FAULT "its TLVs are malformed, or its checksum is wrong"

static void tlvs_are_skipped(void **state) {
    (void)state;
    tells(MG_STR(SIGNATURE "\x21\x11\0\x14" V4 "\1\0\2h2\xe0\0\0"), "192.0.2.7 56324",
          "198.51.100.1 443");
}

static void tlvs_fit(void **state) {
    (void)state;
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x0d" V4 "\1"), TLV_FAULT);
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x0f" V4 "\1\0\1"), TLV_FAULT);
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x10" V4 "\1\0\2h"), TLV_FAULT);
}

static void a_checksum_is_verified(void **state) {
    (void)state;
    tells(MG_STR(SIGNATURE "\x21\x11\0\x18" V4 "\1\0\2h2\3\0\4\x3c\xd5\x1d\xfe"), "192.0.2.7 56324",
          "198.51.100.1 443");
    tells(MG_STR(SIGNATURE "\x20\x11\0\x18" V4 "\1\0\2h2\3\0\4\x9e\xc0\x96\xca"), NULL, NULL);
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x18" V4 "\1\0\2h3\3\0\4\x3c\xd5\x1d\xfe"), TLV_FAULT);
    refuses(MG_STR(SIGNATURE "\x20\x11\0\x18" V4 "\1\0\2h2\3\0\4\x3c\xd5\x1d\xfe"), TLV_FAULT);
    refuses(MG_STR(SIGNATURE "\x21\x11\0\x12" V4 "\3\0\3\x3c\xd5\x1d"), TLV_FAULT);
}

// --- what is written is read ---

static struct sockaddr_storage storage_of(int family, const char *ip, uint16_t port) {
    struct sockaddr_storage out = {.ss_family = (sa_family_t)family};
    mg_proxy_address a = {.family = (sa_family_t)family};
    void *at = family == AF_INET ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr;
    assert_int_equal(inet_pton(family, ip, at), 1);
    a.v4.sin_port = htons(port); // in both at the same place
    memcpy(&out, &a, sizeof a);
    return out;
}

static void what_is_written_is_read(void **state) {
    static const struct {
        int family;
        const char *ips[2], *names[2];
    } rows[] = {
        {AF_INET, {"192.0.2.7", "198.51.100.1"}, {"192.0.2.7 56324", "198.51.100.1 443"}},
        {AF_INET6, {"2001:db8::7", "::1"}, {"2001:db8::7 56324", "::1 443"}},
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_storage from = storage_of(rows[i].family, rows[i].ips[0], 56324);
        struct sockaddr_storage to = storage_of(rows[i].family, rows[i].ips[1], 443);
        mg_proxy_header h = mg_proxy_header_of(&from, &to);
        for (unsigned version = 1; version <= 2; version++) {
            mg_buf text = {0};
            mg_proxy_header_write(&text, version, &h);
            tells(mg_buf_str(&text), rows[i].names[0], rows[i].names[1]);
            mg_buf_deinit(&text);
        }
    }
}

static void nothing_is_told_of_other_families(void **state) {
    (void)state;
    struct sockaddr_storage from = storage_of(AF_INET, "192.0.2.7", 1);
    struct sockaddr_storage to = storage_of(AF_INET6, "::1", 2);
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    mg_buf text = {0};
    assert_false(mg_proxy_header_of(&from, &to).told);
    mg_proxy_header none = mg_proxy_header_of(&local, &local);
    mg_proxy_header_write(&text, 1, &none);
    assert_true(mg_str_eq(mg_buf_str(&text), MG_STR("PROXY UNKNOWN\r\n")));
    assert_int_equal(give(mg_buf_str(&text)), MG_PROXY_DONE);
    mg_buf_clear(&text);
    mg_proxy_header_write(&text, 2, &none);
    assert_int_equal(text.n, 16);
    assert_int_equal(give(mg_buf_str(&text)), MG_PROXY_DONE);
    assert_false(r.header.told);
    mg_buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_addresses),
        cmocka_unit_test(a_line_may_tell_nothing),
        cmocka_unit_test(lines_are_read_strictly),
        cmocka_unit_test(a_line_has_an_end),
        cmocka_unit_test(what_begins_otherwise_is_none),
        cmocka_unit_test(binary_addresses_are_told),
        cmocka_unit_test(binary_headers_may_tell_nothing),
        cmocka_unit_test(binary_headers_are_read_strictly),
        cmocka_unit_test(its_length_has_a_limit),
        cmocka_unit_test(tlvs_are_skipped),
        cmocka_unit_test(tlvs_fit),
        cmocka_unit_test(a_checksum_is_verified),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(nothing_is_told_of_other_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
