// gate/retest.h: `moongate test --watch`: the specs run again whenever a script is saved.
#pragma once

#include <stdbool.h>

// Whether one of the arguments of `moongate test` asks for that.
bool mg_retest_wanted(int count, char *const *args);

// Runs `moongate test` with the other arguments, now and at each save below the working directory,
// until a signal ends it. Returns only if it cannot begin: the exit status.
int mg_retest_main(int count, char *const *args);
