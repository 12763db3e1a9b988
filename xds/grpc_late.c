#define AGW_GRPC_LATE_OWN
#include "xds/grpc_late.h"

#include <dlfcn.h>
#include <stdbool.h>
#include "base/check.h"

struct agw_grpc agw_grpc;

static int load(struct agw_error *err)
{
    static const struct {
        const char *name;
        void **to;
    } functions[] = {
#define X(name) {#name, (void **)&agw_grpc.name##_},
        AGW_GRPC_FUNCTIONS(X)
#undef X
    };
    /* Of the version that we were built with: its structs are in our code. */
    void *library = dlopen(AGW_GRPC_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return agw_error_set(err, AGW_EUNSUPPORTED, "xds: gRPC cannot be loaded: %s", dlerror());
    for (size_t i = 0; i < AGW_ARRAY_LEN(functions); i++) {
        *functions[i].to = dlsym(library, functions[i].name);
        if (!*functions[i].to)
            return agw_error_set(err, AGW_EUNSUPPORTED, "xds: gRPC cannot be used: %s", dlerror());
    }
    return 0;
}

int agw_grpc_load(struct agw_error *err)
{
    static bool loaded; /* threads read what a second time would write */
    int rc = loaded ? 0 : load(err);
    loaded = rc == 0;
    return rc;
}
