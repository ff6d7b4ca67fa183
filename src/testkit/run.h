// testkit/run.h: runs busted inside Moongate: `moongate test`.
#pragma once

// `args` are busted's own arguments. Returns the exit status.
int mg_spec_run(int count, char *const *args);

// The same with the scripts and specs of the snapshot that is descriptor MG_SPEC_SNAPSHOT. The
// first argument is the project's folder.
enum { MG_SPEC_SNAPSHOT = 3 };
int mg_spec_run_snapshot(int count, char *const *args);
