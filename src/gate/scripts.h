// gate/scripts.h: reads the scripts of a project into a snapshot.
//
// It reads the folders and files that it is told, and what lies below them: each folder once, so
// that links that lead in a circle do no harm, and never what lies outside of them. What is too
// large, too deep or too much is left out, and said.
#pragma once

#include "base/arena.h"
#include "base/snapshot.h"
#include "config/config.h"

typedef struct mg_scripts {
    mg_snapshot_writer *writer; // borrowed
    mg_arena arena;
    size_t bytes;
    size_t files;
    size_t entries; // looked at
    uint64_t until_ms;
    bool over; // so many entries, so late
    mg_buf tops;
    mg_buf links;
    mg_buf left_out; // a line for people
    size_t left_out_count;
} mg_scripts;

void mg_scripts_init(mg_scripts *s, mg_snapshot_writer *writer);
void mg_scripts_deinit(mg_scripts *s);

// A folder or a file that was named, which may itself be a link to elsewhere. 0 or a negative
// errno: it cannot be read at all.
int mg_scripts_add(mg_scripts *s, const char *path);

// After all of them: the links that were met. What they lead to is there under their names as well,
// unless it lies outside of all that was added.
void mg_scripts_follow_links(mg_scripts *s);

// One file, which must come along: MG_ECONFIG and a text if it cannot be read or is too large.
int mg_scripts_add_file(mg_scripts *s, const char *path, mg_error *err);

// All that `scripts` of a configuration names, the links in it, and the app. MG_ECONFIG and a text
// if something that is named cannot be read.
int mg_scripts_add_project(mg_scripts *s, const mg_config *config, mg_error *err);

// Says on stderr what was left out, if anything was.
void mg_scripts_tell(const mg_scripts *s);

// Whether a file of this path was read.
bool mg_scripts_have(const mg_scripts *s, const char *path);
