// config/upstream_value.h: values that only upstreams have. For config/ alone.
#pragma once

#include "config/value.h"

// Each reads a value to its end into the field of `key`, or adds faults (mg_config_take).
void mg_config_take_servers(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
void mg_config_take_split(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// False: the value is wrong, nothing was said yet.
bool mg_config_take_hash(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_sticky(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_statuses(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_retry_on(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_host(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_server_url(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_service(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_http2(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
bool mg_config_take_proxy_protocol(mg_config_reading *r, const mg_config_key *key, mg_json_token t);
