// config/acme.h: what `acme` of an endpoint's tls holds. For config/ alone.
#pragma once

#include "config/value.h"
#include "event/tls_settings.h"

// A list of names that a directory can look up.
void mg_config_take_domains(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// An https URL.
bool mg_config_take_directory(mg_config_reading *r, const mg_config_key *key, mg_json_token t);

// Once all keys are read: what is missing is a fault.
void mg_config_finish_acme(mg_config_reading *r, mg_tls_acme *a);
