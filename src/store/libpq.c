#define MG_LIBPQ_ITSELF
#include "store/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

mg_libpq_table mg_libpq;

typedef struct function {
    const char *name;
    size_t offset;
} function;

#define FUNCTION(name) {#name, offsetof(mg_libpq_table, name##_)},
static const function functions[] = {MG_LIBPQ_FUNCTIONS(FUNCTION)};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *library;

static int find_functions(mg_error *err) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(library, functions[i].name);
        if (found == NULL) {
            return mg_error_set(err, MG_ECONFIG, "libpq has no %s: version 14 or later is wanted",
                                functions[i].name);
        }
        memcpy((char *)&mg_libpq + functions[i].offset, &found, sizeof found);
    }
    return MG_OK;
}

int mg_libpq_load(mg_error *err) {
    int rc = MG_OK;
    pthread_mutex_lock(&lock);
    if (library == NULL) {
        library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
        rc = library == NULL
                 ? mg_error_set(err, MG_ECONFIG,
                                "PostgreSQL needs libpq (Debian's package libpq5): %s", dlerror())
                 : find_functions(err);
        if (rc != MG_OK && library != NULL) { // the next call is to fail too
            dlclose(library);
            library = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
