#include "gate/database_url.h"

#include "gate/config_path.h"

#include <string.h>

const char *mg_database_url_path(mg_arena *a, const char *root, const char *url, mg_error *err) {
    mg_str scheme = MG_STR("sqlite:");
    if (strncmp(url, scheme.p, scheme.n) != 0 || url[scheme.n] == '\0') {
        mg_error_set(err, MG_ECONFIG, "%s: \"sqlite:PATH\" is wanted", url);
        return NULL;
    }
    const char *path = url + scheme.n;
    if (strcmp(path, ":memory:") == 0) {
        return mg_arena_copy(a, mg_str_of(path));
    }
    return mg_config_absolute(a, root, mg_str_of(path));
}
