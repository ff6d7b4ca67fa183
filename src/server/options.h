// server/options.h: what an operator may set about inbound peers, and what a finished exchange
// tells the access log.
#pragma once

#include "base/str.h"
#include "http/fields.h"
#include "http/h2_limits.h"

struct mg_trust; // http/forwarded.h

// Sizes in bytes, times in milliseconds. Plain data, copied by the server; `trust` is borrowed.
typedef struct mg_server_options {
    uint32_t request_line_bytes;    // beyond: 414
    uint32_t header_bytes;          // beyond: 431
    uint32_t header_fields;         // beyond: 431
    uint32_t chunk_extension_bytes; // beyond: 400
    uint32_t trailer_bytes;         // beyond: 431
    uint64_t body_bytes;            // beyond: 413; a route may set its own
    uint32_t body_rate;             // bytes a second, judged after body_grace_ms
    uint32_t answer_rate;           // bytes a second that a peer has to take, judged every send_ms
    uint64_t output_bytes;          // of all connections that wait for their peers; 0: any
    uint64_t input_bytes;           // of all that they send and that is not whole yet; 0: any
    uint32_t discard_bytes;         // unread request body that is read away after the answer
    uint32_t pipeline_bytes;        // held while a handler runs
    uint32_t requests_per_connection;
    uint32_t form_parts;        // of multipart/form-data
    uint32_t form_fields;       // of application/x-www-form-urlencoded
    uint32_t json_values;       // of a body
    uint32_t spare_descriptors; // kept for other things than connections while accepting

    uint32_t handshake_ms;
    uint32_t header_ms;
    uint32_t body_grace_ms;
    uint32_t send_ms;
    uint32_t handler_ms;
    uint32_t idle_ms;
    uint32_t tunnel_ms;
    uint32_t half_close_ms;
    uint32_t linger_ms;

    mg_h2_limits h2; // of connections that come later

    const struct mg_trust *trust; // peers whose Forwarded fields are believed; NULL: none
} mg_server_options;

// What another server had to do with an exchange. Times are microseconds since it was chosen; 0: it
// did not come to that.
typedef struct mg_relayed {
    mg_str upstream;
    mg_str server; // the address that was tried last; empty: there was none
    uint32_t tries;
    int status;          // of its answer; 0: none
    uint64_t connect_us; // 0 too if the connection was open already
    uint64_t first_byte_us;
    uint64_t total_us;
    uint64_t bytes_in; // content that came from it
    uint64_t bytes_out;
} mg_relayed;

// One finished exchange. Everything is borrowed for the call.
typedef struct mg_access_record {
    mg_str method;
    mg_str target;
    mg_str host;
    mg_str referer;
    mg_str user_agent;
    mg_str request_id; // empty if nobody asked for one
    mg_str route;      // name or pattern; empty if none matched
    mg_str client_ip;
    mg_str protocol; // "HTTP/1.1"; empty if the request was not understood
    mg_str tls;      // "TLSv1.3"; empty: none
    int status;      // 0: the peer left before an answer began
    uint64_t body_bytes_out;
    uint64_t duration_us;
    uint64_t wall_ms;
    bool aborted;              // the answer did not reach its end
    const mg_relayed *relayed; // NULL: no other server was asked
    const mg_fields *noted;    // what the app adds: names, and values as JSON; NULL: nothing
} mg_access_record;
