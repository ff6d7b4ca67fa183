// base/mem.h: memory that is there or ends the process.
//
// No memory aborts with a message: so every size that a peer controls meets a limit before it comes
// here.
#pragma once

#include <stdbool.h>
#include <stddef.h>

void *mg_malloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mg_calloc(size_t count, size_t n) __attribute__((malloc, returns_nonnull));
void *mg_realloc(void *p, size_t n) __attribute__((returns_nonnull));
char *mg_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mg_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));

// Accepts NULL.
void mg_free(void *p);

// Gives the system back what was freed, if it has become much since the last time: now and then,
// from one thread, at a calm moment, since it takes some milliseconds for each 100 MB. Says whether
// it did.
bool mg_mem_tend(void);

// Once, when a process begins: memory that was freed stays for what comes next, until mg_mem_tend
// finds that it is not needed. Else the C library gives it back and takes it again all the time.
void mg_mem_begin(void);
