#include "policy/traffic/traffic_int.h"

/* Which backends get copies stands in the route and its references, where the compiler puts it; here it is
 * checked. */
static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__RequestMirrors *in = spec;
    for (size_t i = 0; i < in->n_mirrors; i++) {
        double share = in->mirrors[i]->percentage;
        if (!(share >= 0 && share <= 100))
            return agw_error_set(err, AGW_EINVAL, "mirrors[%zu]: percentage %g is not in 0..100", i, share);
    }
    *ret_conf = NULL; /* nothing of it runs */
    return 0;
}

const struct agw_policy_ops agw_policy_mirror = {
    .kind = AGW_POLICY_MIRROR, .own_conf = true, .compile = compile};
