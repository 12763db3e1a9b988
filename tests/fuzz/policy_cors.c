/* A browser's cross-origin request with any Origin and any question: an origin that is allowed is one of
 * those that the policy names, and what is said of it is a field's value that came in. The input is the
 * Origin, a line end, and what the preflight asks for. */
#include "base/check.h"
#include "base/err.h"
#include "policy/table.h"
#include "policy/traffic/traffic.h"
#include "proto/resource.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const void *compiled(struct agw_arena *arena)
{
    static char app[] = "https://app.example", wild[] = "https://*.example:8443", star[] = "*";
    char *origins[] = {app, wild}, *any[] = {star};
    Pb__CORS spec = PB__CORS__INIT;
    struct agw_error err = {0};
    const void *conf = NULL;
    spec.allow_origins = origins;
    spec.n_allow_origins = 2;
    spec.allow_methods = spec.allow_headers = any;
    spec.n_allow_methods = spec.n_allow_headers = 1;
    spec.allow_credentials = true;
    agw_check(!agw_policy_cors.compile(&spec, arena, &conf, &err));
    return conf;
}

static bool allowed(struct agw_str origin, struct agw_arena *arena)
{
    struct agw_str lower = agw_arena_lower(arena, origin);
    const struct agw_str head = AGW_STR("https://"), tail = AGW_STR(".example:8443");
    if (agw_str_eq(lower, AGW_STR("https://app.example")))
        return true;
    if (!agw_str_starts(lower, head) || !agw_str_ends(lower, tail) || lower.n <= head.n + tail.n)
        return false;
    size_t n = lower.n - head.n - tail.n;
    for (size_t i = 0; i < n; i++) {
        char c = lower.p[head.n + i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static struct agw_str said(const struct agw_msg *m, const char *name)
{
    const struct agw_header *f = agw_headers_find(&m->headers, agw_str_c(name));
    return f ? f->value : AGW_STR("");
}

static void check(struct agw_str origin, struct agw_str asked, struct agw_arena *arena)
{
    struct agw_msg req;
    struct agw_policy_ctx ctx = {.arena = arena, .req = &req};
    const void *conf = compiled(arena);

    agw_msg_init(&req, arena);
    req.method = AGW_METHOD_OPTIONS;
    agw_check(!agw_headers_add_id(&req.headers, AGW_HDR_ORIGIN, origin));
    agw_check(!agw_headers_add(&req.headers, AGW_HDR_OTHER, AGW_STR("access-control-request-method"), asked));
    enum agw_verdict verdict = agw_policy_cors.request(conf, &ctx);
    agw_check(verdict == (origin.n ? AGW_RESPOND : AGW_CONTINUE));
    agw_check((ctx.cors_origin.n > 0) == allowed(origin, arena));
    if (verdict != AGW_RESPOND)
        return;
    agw_check(!agw_headers_add(&ctx.resp->headers, AGW_HDR_OTHER, AGW_STR("access-control-allow-origin"),
                               AGW_STR("https://of-the-backend")));
    agw_policy_cors.last(conf, &ctx);
    agw_check(agw_str_eq(said(ctx.resp, "access-control-allow-origin"), ctx.cors_origin));
    agw_check(
        agw_str_eq(said(ctx.resp, "access-control-allow-methods"), ctx.cors_origin.n ? asked : AGW_STR("")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str text = agw_str((const char *)data, size), origin = text, asked = AGW_STR("");
    ptrdiff_t cut = agw_str_find(text, '\n');
    struct agw_arena arena;

    if (cut >= 0) {
        origin = agw_str(text.p, (size_t)cut);
        asked = agw_str_from(text, (size_t)cut + 1);
    }
    if (!agw_header_value_valid(origin) || !agw_header_value_valid(asked))
        return 0;
    agw_arena_init(&arena, 4096, 0);
    check(origin, asked, &arena);
    agw_arena_free(&arena);
    return 0;
}
