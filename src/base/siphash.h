// base/siphash.h: SipHash-1-3 (Aumasson, Bernstein: https://131002.net/siphash/), for tables whose
// keys peers may choose: without the seed nobody finds keys that fall together.
#pragma once

#include "base/str.h"

uint64_t mg_siphash(const uint64_t seed[2], mg_str key);
