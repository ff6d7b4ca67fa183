// Whatever a client writes, it changes nothing of what a trusted proxy appends; and all that is
// believed is an address, a scheme and a host.
#include "fuzz.h"
#include "http/forwarded.h"

#include <arpa/inet.h>

#define OWN_IP "10.0.0.1"

static mg_trust *trust;

static bool is_ip(mg_str s) {
    char text[64];
    char address[16];
    if (s.n >= sizeof text) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static void heed(bool forwarded) {
    static const char *const names[] = {"forwarded", "x-forwarded-for", "x-forwarded-proto",
                                        "x-forwarded-host"};
    must(mg_trust_heed(trust, forwarded ? names : names + 1, forwarded ? 1 : 3, NULL) == MG_OK);
}

static mg_forwarded apply(mg_field *fields, uint32_t count) {
    mg_head h = {.fields = {.at = fields, .count = count}};
    mg_forwarded f = {MG_STR(OWN_IP), MG_STR("http"), MG_STR("own.test")};
    mg_forwarded_apply(trust, &h, &f);
    must(is_ip(f.client_ip));
    must(mg_str_eq(f.scheme, MG_STR("http")) || mg_str_eq(f.scheme, MG_STR("https")));
    must(f.host.n > 0 && mg_host_valid(f.host));
    return f;
}

// The proxy appends to the client's field, or adds a field.
static void check_appended(mg_str name, mg_str client, mg_str proxy, bool same_field) {
    mg_buf joined = {0};
    mg_buf_append_str(&joined, client);
    mg_buf_append_str(&joined, MG_STR(", "));
    mg_buf_append_str(&joined, proxy);
    mg_field fields[2] = {mg_field_of(name, client), mg_field_of(name, proxy)};
    if (same_field) {
        fields[0].value = mg_buf_str(&joined);
    }
    mg_forwarded f = apply(fields, same_field ? 1 : 2);
    must(mg_str_eq(f.client_ip, MG_STR("203.0.113.7")));
    must(mg_str_eq(f.host, MG_STR("own.test")) && mg_str_eq(f.scheme, MG_STR("http")));
    mg_buf_deinit(&joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};
    if (trust == NULL) {
        must(mg_trust_new(&trust, networks, 2, NULL) == MG_OK);
    }
    mg_str value = mg_str_trim((mg_str){(const char *)data, size});
    mg_field fields[] = {mg_field_of(MG_STR("X-Forwarded-For"), value),
                         mg_field_of(MG_STR("X-Forwarded-Proto"), value),
                         mg_field_of(MG_STR("X-Forwarded-Host"), value),
                         mg_field_of(MG_STR("Forwarded"), value)};
    for (int same = 0; same < 2; same++) {
        heed(true);
        apply(fields, 4);
        check_appended(MG_STR("Forwarded"), value, MG_STR("for=203.0.113.7"), same != 0);
        heed(false);
        apply(fields, 4);
        check_appended(MG_STR("X-Forwarded-For"), value, MG_STR("203.0.113.7"), same != 0);
    }
    return 0;
}
