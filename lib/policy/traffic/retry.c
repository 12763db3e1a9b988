#include "policy/traffic/traffic_int.h"

#include "proto/message.h"

/* What is tried again, and how often. The exchange does it (proxy/exchange_retry.c). */

static int add_code(struct agw_retry *r, int32_t status, struct agw_error *err)
{
    if (status < AGW_RETRY_CODE_MIN || status > AGW_RETRY_CODE_MAX)
        return agw_error_set(err, AGW_EINVAL, "retry_status_codes: %d is not in %d..%d", (int)status,
                             AGW_RETRY_CODE_MIN, AGW_RETRY_CODE_MAX);
    unsigned bit = (unsigned)status - AGW_RETRY_CODE_MIN;
    r->codes[bit / 64] |= 1ull << bit % 64;
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__Retry *in = spec;
    struct agw_retry *r = agw_arena_zalloc(arena, sizeof(*r));
    if (!r)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (*in->precondition || *in->condition)
        return agw_error_set(err, AGW_EUNSUPPORTED, "expressions are not supported");
    if (in->attempts < 0)
        return agw_error_set(err, AGW_EINVAL, "attempts: %d is negative", (int)in->attempts);
    if (in->backoff && (in->backoff->seconds < 0 || in->backoff->nanos < 0))
        return agw_error_set(err, AGW_EINVAL, "backoff: negative duration");
    for (size_t i = 0; i < in->n_retry_status_codes; i++) {
        int code = add_code(r, in->retry_status_codes[i], err);
        if (code)
            return code;
    }
    r->attempts = (uint32_t)in->attempts;
    r->backoff_ms = agw_proto_ms(in->backoff);
    *ret_conf = r;
    return 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    ctx->retry = conf;
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_retry = {
    .kind = AGW_POLICY_RETRY, .own_conf = true, .compile = compile, .request = request};
