// config/value.h: reads one value of the configuration, checks it and puts it into its field.
// For config/ alone.
#pragma once

#include "base/json.h"
#include "config/schema.h"

// Everything is borrowed but what it holds itself.
typedef struct mg_config_reading {
    mg_config *config; // file and root are set
    void *into;        // the struct whose fields are read; NULL: `config`
    bool handed_on;    // it is no file of an operator, but what mg_endpoint_write has written
    mg_json_reader json;
    mg_buf decoded; // the reader's
    mg_buf *faults;
    size_t fault_count;
    mg_buf path; // of the key at hand
} mg_config_reading;

// Adds `file: path: ` and the text as one line.
void mg_config_fault(mg_config_reading *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

// Adds a fault that says what the value that begins with `t` is and what is allowed. Reads nothing.
void mg_config_refuse(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// The same where a table is wanted: the fault says which of `keys` it may hold.
void mg_config_refuse_table(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                            const mg_config_key *keys, size_t count);

// Adds a fault that says that `typed` is no key of the table `table`, and which there are.
void mg_config_fault_unknown(mg_config_reading *r, const mg_config_key *keys, size_t count,
                             mg_str table, mg_str typed);

// Where the value goes.
void *mg_config_field(const mg_config_reading *r, const mg_config_key *key);

// Reads past the value that begins with `t`.
void mg_config_skip(mg_config_reading *r, mg_json_token t);

// Reads the value that begins with `t` into the field of `key`, or adds faults. It is read to its
// end either way.
void mg_config_take(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// Lists (config/list.c): reads one item after the other with `add`, which appends it to `items`
// unless it is wrong. False, and a fault: it is no list.
typedef void (*mg_config_add_item)(mg_config_reading *r, mg_buf *items, mg_json_token t);
bool mg_config_take_list(mg_config_reading *r, const mg_config_key *key, mg_json_token t,
                         mg_config_add_item add, mg_buf *items);

// A copy of the buffer's content in the arena; empties it.
void *mg_config_settle(mg_config_reading *r, mg_buf *b);

void mg_config_take_listen(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_forwarded(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_networks(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_texts(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// Named sets of servers (config/upstream.c).
void mg_config_take_upstreams(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
// TLS (config/tls.c).
void mg_config_take_tls(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_certificates(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// What outlives requests (config/store.c).
void mg_config_take_database(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_nameservers(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_redis(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_cache(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
