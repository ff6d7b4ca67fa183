// gate/spec.h: runs busted inside Moongate: `moongate test`.
#pragma once

// `args` are busted's own arguments. Returns the exit status.
int mg_spec_run(int count, char *const *args);
