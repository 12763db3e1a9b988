#include "xds/grpc_life.h"

#include <stdatomic.h>
#include <time.h>
#include "base/log.h"

#define STEP_MS 2
#define MAX_STEPS 1000

static atomic_int users;

void agw_grpc_begin(void (*init)(void))
{
    atomic_fetch_add(&users, 1);
    init();
}

void agw_grpc_end(void (*shutdown)(void), int (*is_initialized)(void))
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    shutdown();
    if (atomic_fetch_sub(&users, 1) > 1)
        return;
    for (int i = 0; is_initialized(); i++) {
        if (i == MAX_STEPS) {
            agw_warn("xds", "gRPC still runs %d ms after its shutdown", STEP_MS * MAX_STEPS);
            return;
        }
        nanosleep(&step, NULL);
    }
}
