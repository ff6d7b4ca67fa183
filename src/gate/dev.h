// gate/dev.h: `moongate dev`: reloads as soon as a file is saved.
#pragma once

typedef struct mg_dev mg_dev;
struct mg_master;

// Watches the project of a master that serves. Never fails: what cannot be watched is logged.
void mg_dev_open(mg_dev **out, struct mg_master *m);
void mg_dev_close(mg_dev *d); // accepts NULL
