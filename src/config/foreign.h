// config/foreign.h: words that other gateways have for what is a key or value here, for "did you
// mean". For config/ alone.
#pragma once

#include "base/suggest.h"

// Offers `candidate` to `s`, which is what was meant if the word that was typed is another
// gateway's for it.
void mg_config_offer(mg_suggest *s, mg_str candidate);
