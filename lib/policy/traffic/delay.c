#include "policy/traffic/traffic_int.h"

/* A fault to try things out with: the request waits before it goes on. */

/* Longer ones would hold requests that nobody waits for. */
#define DELAY_MAX_MS 3600000

struct conf {
    uint32_t ms;
};

/* Takes a number and its unit off the front; a number alone is milliseconds. */
static bool take_part(struct agw_str *s, bool first, uint64_t *ms)
{
    static const struct {
        struct agw_str text;
        uint64_t ms;
    } units[] = {{AGW_STR("ms"), 1}, {AGW_STR("h"), 3600000}, {AGW_STR("m"), 60000}, {AGW_STR("s"), 1000}};
    uint64_t number;
    size_t digits = 0;
    while (digits < s->n && s->p[digits] >= '0' && s->p[digits] <= '9')
        digits++;
    if (digits == 0 || digits > 8 || agw_str_u64(agw_str(s->p, digits), &number))
        return false;
    *s = agw_str_from(*s, digits);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (agw_str_starts(*s, units[i].text)) {
            *s = agw_str_from(*s, units[i].text.n);
            *ms += number * units[i].ms;
            return true;
        }
    }
    *ms += number;
    return first && s->n == 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__Delay *in = spec;
    struct agw_str s = agw_str_trim(agw_str_c(in->duration));
    struct conf *c = agw_arena_alloc(arena, sizeof(*c));
    uint64_t ms = 0;
    if (!c)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    for (bool first = true; first || s.n; first = false) {
        if (!take_part(&s, first, &ms))
            return agw_error_set(err, AGW_EUNSUPPORTED,
                                 "duration: \"%.100s\" is neither milliseconds nor a duration such as 1m30s; "
                                 "expressions are not supported",
                                 in->duration);
    }
    if (ms > DELAY_MAX_MS)
        return agw_error_set(err, AGW_EINVAL, "duration: %llu ms are more than an hour",
                             (unsigned long long)ms);
    c->ms = (uint32_t)ms;
    *ret_conf = c;
    return 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    ctx->wait_ms = c->ms;
    return c->ms ? AGW_WAIT : AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_delay = {
    .kind = AGW_POLICY_DELAY, .own_conf = true, .compile = compile, .request = request};
