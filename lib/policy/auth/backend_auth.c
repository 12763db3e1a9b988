#include "config/backend_auth.h"

#include "config/snapshot.h"
#include "policy/auth/auth_int.h"

/* With what credentials a backend is asked: ours, or the client's own. */

static int no_memory(struct agw_error *err)
{
    return agw_error_set(err, AGW_ENOMEM, "out of memory");
}

/* Without white space around it, and the line end that files of secrets often have. */
static struct agw_str trimmed(const char *secret)
{
    struct agw_str s = agw_str_trim(agw_str_c(secret));
    while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
        s.n--;
    return s;
}

/* |secret| in the field that |where| names. */
static int add(struct agw_backend_auth *a, struct agw_credential *room,
               const Pb__AuthorizationLocation *where, const char *secret, struct agw_arena *arena,
               struct agw_error *err)
{
    struct agw_auth_location l;
    int code = agw_auth_location_set(&l, where, arena, err);
    if (code)
        return code;
    struct agw_str text = trimmed(secret), parts[] = {l.prefix, text};
    a->missing |= text.n == 0;
    room[a->count] = (struct agw_credential){l.name, agw_arena_join(arena, parts, 2)};
    if (!room[a->count].value.p)
        return no_memory(err);
    if (!agw_header_value_valid(text))
        return agw_error_set(err, AGW_EINVAL, "a credential is no text of a header");
    a->count++;
    return 0;
}

static int passthrough(struct agw_backend_auth *a, const Pb__AuthorizationLocation *where,
                       struct agw_arena *arena, struct agw_error *err)
{
    struct agw_auth_location l;
    int code = agw_auth_location_set(&l, where, arena, err);
    a->passthrough = true;
    a->passed = l.name;
    a->prefix = l.prefix;
    return code;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__BackendAuthPolicy *in = spec;
    struct agw_backend_auth *a = agw_arena_zalloc(arena, sizeof *a);
    struct agw_credential *room = agw_arena_zalloc(arena, (in->n_credentials + 1) * sizeof *room);
    int code = 0;
    if (!a || !room)
        return no_memory(err);
    a->v = room;
    if (in->kind_case == PB__BACKEND_AUTH_POLICY__KIND_PASSTHROUGH && in->passthrough)
        code = passthrough(a, in->passthrough->authorization_location, arena, err);
    else if (in->kind_case == PB__BACKEND_AUTH_POLICY__KIND_KEY && in->key)
        code = add(a, room, in->key->authorization_location, in->key->secret, arena, err);
    else if (in->kind_case != PB__BACKEND_AUTH_POLICY__KIND__NOT_SET || in->n_credentials == 0)
        code = agw_error_set(err, AGW_EUNSUPPORTED, "only key, passthrough and credentials are served");
    for (size_t i = 0; !code && i < in->n_credentials; i++)
        code = add(a, room, in->credentials[i]->location, in->credentials[i]->value, arena, err);
    if (!code)
        *ret_conf = a;
    return code;
}

/* Targets of an MCP backend are asked by lib/mcp, each with what is said of itself before this. */
static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    if (ctx->backend->kind == AGW_BACKEND_MCP) {
        if (!ctx->backend_auth)
            ctx->backend_auth = conf;
        return AGW_CONTINUE;
    }
    if (agw_backend_auth_apply(conf, ctx->token, &ctx->req->headers, ctx->arena) == 0)
        return AGW_CONTINUE;
    ctx->resp = NULL; /* 500 */
    return AGW_RESPOND;
}

const struct agw_policy_ops agw_policy_backend_auth = {
    .kind = AGW_POLICY_BACKEND_AUTH, .own_conf = true, .compile = compile, .request = request};
