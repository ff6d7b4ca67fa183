// server/folder.h: answers with the files of a folder; a route's last parameter, if it has any, is
// the path.
//
// What is not there, not allowed, or a folder itself is passed on to the scripts, whose error pages
// and redirects hold.
#pragma once

#include "server/answerer.h"

typedef struct mg_folder_options {
    mg_str folder;
    mg_str index;         // the file of a path that is empty or ends with a slash
    mg_str cache_control; // empty: the field is not sent
    bool dotfiles;        // names that begin with a dot are served, not only .well-known
} mg_folder_options;

// Copies the options.
mg_answerer *mg_folder_new(const mg_folder_options *o);
