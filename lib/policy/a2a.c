#include "policy/policy_int.h"

/* Marks a backend as an A2A agent; lib/a2a does the rest. */
static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    t->a2a = true;
    return 0;
}

const struct agw_policy_ops agw_policy_a2a = {
    .kind = AGW_POLICY_A2A, .own_conf = true, .transport = transport};
