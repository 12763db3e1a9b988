#include "config/snapshot.h"
#include "policy/auth/auth.h"
#include "policy/auth/condition.h"
#include "proto/resource.pb-c.h"

/* Who may use which tools, prompts and resources of an MCP backend. lib/mcp asks the rules: what a request is
 * about stands in its body. */

static enum agw_rule_answer matches(const void *conf, const struct agw_caller *caller,
                                    const struct agw_mcp_access *access)
{
    return agw_condition_holds(conf, caller, access);
}

static int add(struct agw_access_rules *rules, struct agw_access_rule *room, enum agw_rule_effect effect,
               const char *field, char *const *texts, size_t count, struct agw_arena *arena,
               struct agw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct agw_condition *condition;
        int code = agw_condition_parse(agw_str_c(texts[i]), arena, &condition, err);
        if (code) {
            return code == AGW_ENOMEM ? code : agw_error_prefix(err, "%s[%zu]", field, i);
        }
        room[rules->count++] = (struct agw_access_rule){effect, matches, condition};
    }
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__BackendPolicySpec__McpAuthorization *in = spec;
    size_t count = in->n_deny + in->n_require + in->n_allow;
    struct agw_access_rules *rules = agw_arena_zalloc(arena, sizeof *rules);
    struct agw_access_rule *room = agw_arena_zalloc(arena, count * sizeof *room);
    if (!rules || !room)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    int code = add(rules, room, AGW_RULE_DENY, "deny", in->deny, in->n_deny, arena, err);
    if (!code)
        code = add(rules, room, AGW_RULE_REQUIRE, "require", in->require, in->n_require, arena, err);
    if (!code)
        code = add(rules, room, AGW_RULE_ALLOW, "allow", in->allow, in->n_allow, arena, err);
    if (code)
        return code;
    rules->v = room;
    *ret_conf = rules;
    return 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    if (ctx->backend->kind == AGW_BACKEND_MCP && ctx->access_count < AGW_ACCESS_POLICIES_MAX)
        ctx->access[ctx->access_count++] = conf;
    return AGW_CONTINUE;
}

#define PLACE(n)                                                                                             \
    {                                                                                                        \
        .kind = AGW_POLICY_MCP_AUTHORIZATION_##n, .own_conf = true, .compile = compile, .request = request   \
    }

const struct agw_policy_ops agw_policy_mcp_authorization[AGW_ACCESS_POLICIES_MAX] = {
    PLACE(1), PLACE(2), PLACE(3), PLACE(4), PLACE(5), PLACE(6), PLACE(7), PLACE(8)};
