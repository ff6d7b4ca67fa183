// config/path.h: where the paths of a configuration begin. All results lie in the arena.
#pragma once

#include "base/arena.h"
#include "base/error.h"

// The configuration file as it was named, absolute, without "." and "..". Links stay: one that is
// made to lead elsewhere names what lies there then.
const char *mg_config_named(mg_arena *a, const char *file);

// The project's root for the configuration file `file`, which need not exist: the folder above a
// folder named conf, else the file's own folder. Absolute, without links.
const char *mg_config_root(mg_arena *a, const char *file);

// The working directory, with the links it was entered by where the shell told them in $PWD.
const char *mg_config_here(mg_arena *a);

// `path` as an absolute one: below `folder` unless it is absolute already.
const char *mg_config_absolute(mg_arena *a, const char *folder, mg_str path);

// Makes the folders above an absolute path, where they are missing. 0 or a negative errno.
int mg_make_folders_above(const char *path);

// Checks a listening address; a Unix path becomes absolute below `folder`. NULL and `err` if it is
// wrong.
const char *mg_config_address(mg_arena *a, const char *folder, mg_str text, mg_error *err);
