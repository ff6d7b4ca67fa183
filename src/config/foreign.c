#include "config/foreign.h"

#include <string.h>

// Ours, and the words of nginx, Envoy, HAProxy, Caddy, Kong and Traefik for it. A word may stand in
// several lines: which one it is the table says that it is looked for in.
static const struct {
    const char *ours, *theirs;
} words[] = {
    {"servers", "url|urls|hosts|endpoints|targets|nodes|backends|members"},
    {"url", "address|addr|host|uri|target"},
    {"backup", "standby"},
    {"balance", "lb|lb_policy|load_balancing|algorithm|policy|method"},
    {"least_requests", "least_conn|leastconn|least_connections|least_request"},
    {"round_robin", "rr|wrr|weighted_round_robin"},
    {"hash", "hash_on|ip_hash|source|maglev|ring_hash|chash|consistent_hash|uri"},
    {"p2c", "ewma|peak_ewma|random_two|two"},
    {"health", "health_check|health_checks|healthcheck|check|checks|active"},
    {"status", "expect|expected_statuses|code|codes|match"},
    {"path", "uri|url"},
    {"up", "rise|passes|healthy_threshold|healthy|successes"},
    {"down", "fall|fails|unhealthy_threshold|unhealthy|failures"},
    {"outlier", "outlier_detection|passive|max_fails|fail_timeout"},
    {"failures", "consecutive_5xx|max_fails|max_failures|errors|threshold"},
    {"eject", "base_ejection_time|fail_timeout|duration|time"},
    {"most", "max_ejection_percent|max"},
    {"circuit", "circuit_breaker|circuit_breakers|breaker|limits"},
    {"in_flight", "max_requests|max_concurrent|concurrency|max_connections"},
    {"waiting", "max_pending_requests|max_pending|queue|pending"},
    {"retries", "retry|retry_policy|next_upstream"},
    {"count", "attempts|num_retries|max|tries|retries"},
    {"try_timeout", "per_try_timeout|timeout"},
    {"on", "retry_on|codes|status|statuses"},
    {"connections", "keepalive|max_conns|maxconn|max_connections|pool"},
    {"idle", "keepalive_timeout|idle_timeout|read|send|read_timeout"},
    {"first_byte", "read|response|header|read_timeout"},
    {"total", "request|overall"},
    {"host", "preserve_host|host_header|pass_host"},
    {"server_name", "sni|name"},
    {"insecure", "verify|skip_verify|insecure_skip_verify|ssl_verify"},
    {"ca", "trusted_ca|ca_file|trusted_certificate"},
    {"mirror", "shadow|request_mirror"},
    {"share", "percent|percentage|fraction|sample"},
    {"to", "upstream|target|cluster"},
    {"split", "weighted_clusters|canary|weights|traffic_split"},
    {"proxy_protocol", "send_proxy|proxy_proto"},
    {"slow_start", "slow_start_window|warmup"},
};

static bool has_word(const char *list, mg_str word) {
    for (const char *at = list; *at != '\0';) {
        size_t n = strcspn(at, "|");
        if (mg_str_ieq((mg_str){at, n}, word)) {
            return true;
        }
        at += at[n] == '\0' ? n : n + 1;
    }
    return false;
}

void mg_config_offer(mg_suggest *s, mg_str candidate) {
    mg_suggest_offer(s, candidate);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (s->distance > 0 && mg_str_eq(mg_str_of(words[i].ours), candidate) &&
            has_word(words[i].theirs, s->word)) {
            s->best = candidate;
            s->distance = 0;
        }
    }
}
