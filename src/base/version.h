// base/version.h: which Moongate this is.
#pragma once

#define MG_VERSION "0.1.0"
