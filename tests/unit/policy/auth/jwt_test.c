#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "policy/auth/auth_int.h"

#define KEYS                                                                                                 \
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}" \
    "]}"

static char issuer[] = "https://i.example", keys[] = KEYS, nothing[] = "", half[] = "{\"keys\":[",
            name[] = "X-Token", prefix[] = "T ", bad_name[] = "a b", sub[] = "sub";

static const void *compiled(const struct agw_policy_ops *ops, const void *spec, struct agw_arena *arena)
{
    const void *conf = NULL;
    struct agw_error err = {0};
    if (ops->compile(spec, arena, &conf, &err) != 0)
        fail_msg("%s", err.text);
    return conf;
}

static void settings_that_are_refused(void **state)
{
    Pb__AuthorizationLocation__Header field = PB__AUTHORIZATION_LOCATION__HEADER__INIT;
    Pb__AuthorizationLocation header = PB__AUTHORIZATION_LOCATION__INIT,
                              cookie = PB__AUTHORIZATION_LOCATION__INIT;
    Pb__AuthorizationLocation__Cookie of_cookie = PB__AUTHORIZATION_LOCATION__COOKIE__INIT;
    field.name = bad_name;
    header.kind_case = PB__AUTHORIZATION_LOCATION__KIND_HEADER;
    header.header = &field;
    cookie.kind_case = PB__AUTHORIZATION_LOCATION__KIND_COOKIE;
    cookie.cookie = &of_cookie;
    struct {
        char *issuer, *keys;
        int mode;
        Pb__AuthorizationLocation *location;
        const char *want;
    } cases[] = {
        {nothing, keys, 1, NULL, "issuer: is required"},
        {issuer, nothing, 1, NULL, "jwks: is required"},
        {issuer, half, 1, NULL, "jwks: "},
        {issuer, keys, 3, NULL, "mode: unknown mode 3"},
        {issuer, keys, 1, &header, "location.header: \"a b\" is no name"},
        {issuer, keys, 1, &cookie, "location: only a header is served"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        Pb__BackendPolicySpec__McpAuthentication in = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__INIT;
        const void *conf = NULL;
        struct agw_error err = {0};
        struct agw_arena arena;
        in.issuer = cases[i].issuer;
        in.jwks_inline = cases[i].keys;
        in.mode = (Pb__BackendPolicySpec__McpAuthentication__Mode)cases[i].mode;
        in.authorization_location = cases[i].location;
        agw_arena_init(&arena, 0, 0);
        assert_int_not_equal(agw_policy_mcp_authentication.compile(&in, &arena, &conf, &err), 0);
        assert_null(conf);
        assert_int_equal(strncmp(err.text, cases[i].want, strlen(cases[i].want)), 0);
        agw_arena_free(&arena);
    }
    Pb__TrafficPolicySpec__JWT none = PB__TRAFFIC_POLICY_SPEC__JWT__INIT;
    struct agw_error err = {0};
    struct agw_arena arena;
    const void *conf;
    agw_arena_init(&arena, 0, 0);
    assert_int_equal(agw_policy_jwt.compile(&none, &arena, &conf, &err), AGW_EINVAL);
    assert_string_equal(err.text, "providers: one is required");
    agw_arena_free(&arena);
}

/* One request of a client that says |value| in |field|. */
static enum agw_verdict ask(const struct agw_policy_ops *ops, const void *conf, const char *field,
                            const char *value, const char *path, struct agw_policy_ctx *ctx,
                            struct agw_msg *req, struct agw_arena *arena)
{
    agw_msg_init(req, arena);
    req->method = AGW_METHOD_GET;
    if (value && agw_headers_add(&req->headers, agw_hdr_lookup(agw_str_c(field)), agw_str_c(field),
                                 agw_str_c(value)) != 0)
        fail();
    *ctx = (struct agw_policy_ctx){.arena = arena,
                                   .req = req,
                                   .original_authority = AGW_STR("gw.example"),
                                   .original_path = agw_str_c(path),
                                   .wall_ns = 1000000000};
    return ops->request(conf, ctx);
}

static void the_token_stands_where_it_should(void **state)
{
    Pb__TrafficPolicySpec__JWTProvider p = PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__INIT, *providers[] = {&p};
    Pb__TrafficPolicySpec__JWT in = PB__TRAFFIC_POLICY_SPEC__JWT__INIT;
    Pb__AuthorizationLocation__Header field = PB__AUTHORIZATION_LOCATION__HEADER__INIT;
    Pb__AuthorizationLocation header = PB__AUTHORIZATION_LOCATION__INIT;
    Pb__JWTValidationOptions options = PB__JWTVALIDATION_OPTIONS__INIT;
    char *required[] = {sub};
    struct agw_policy_ctx ctx;
    struct agw_msg req;
    struct agw_arena arena;
    agw_arena_init(&arena, 4096, 0);
    options.required_claims = required;
    options.n_required_claims = 1;
    field.name = name;
    field._prefix_case = PB__AUTHORIZATION_LOCATION__HEADER___PREFIX_PREFIX;
    field.prefix = prefix;
    header.kind_case = PB__AUTHORIZATION_LOCATION__KIND_HEADER;
    header.header = &field;
    p.issuer = issuer;
    p.jwks_source_case = PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_INLINE;
    p.inline_ = keys;
    p.jwt_validation_options = &options;
    in.providers = providers;
    in.n_providers = 1;
    in.authorization_location = &header;
    const void *conf = compiled(&agw_policy_jwt, &in, &arena);
    /* optional: without a token it passes, with a bad one it does not */
    assert_int_equal(ask(&agw_policy_jwt, conf, "authorization", "Bearer x", "/", &ctx, &req, &arena),
                     AGW_CONTINUE);
    assert_int_equal(ask(&agw_policy_jwt, conf, "x-token", "t x", "/", &ctx, &req, &arena), AGW_RESPOND);
    assert_int_equal(ctx.resp->status, 401);
    assert_int_equal(ask(&agw_policy_jwt, conf, "x-token", "Bearer x", "/", &ctx, &req, &arena), AGW_RESPOND);
    ask(&agw_policy_jwt, conf, "x-token", NULL, "/", &ctx, &req, &arena);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(agw_headers_add(&req.headers, AGW_HDR_OTHER, AGW_STR("x-token"), AGW_STR("T x")), 0);
    assert_int_equal(agw_policy_jwt.request(conf, &ctx), AGW_RESPOND);
    agw_arena_free(&arena);
}

static const char *header_of(const struct agw_policy_ctx *ctx, const char *field)
{
    const struct agw_header *h = agw_headers_find(&ctx->resp->headers, agw_str_c(field));
    return h ? agw_arena_str(ctx->arena, h->value).p : "";
}

typedef Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata metadata;
typedef Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata__ExtraEntry entry;

static void metadata_and_where_it_is(void **state)
{
    static char resource[] = "resource", mine[] = "https://public.example/mcp";
    Pb__BackendPolicySpec__McpAuthentication in = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__INIT;
    metadata extra = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__RESOURCE_METADATA__INIT;
    entry e = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__RESOURCE_METADATA__EXTRA_ENTRY__INIT,
          *entries[] = {&e};
    Google__Protobuf__Value v = GOOGLE__PROTOBUF__VALUE__INIT;
    struct agw_policy_ctx ctx;
    struct agw_msg req;
    struct agw_arena arena;
    agw_arena_init(&arena, 4096, 0);
    in.issuer = issuer;
    in.jwks_inline = keys;
    in.mode = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MODE__STRICT;
    const struct agw_policy_ops *ops = &agw_policy_mcp_authentication;
    const void *conf = compiled(ops, &in, &arena);
    assert_int_equal(ask(ops, conf, "x-forwarded-proto", "https", "/a\"b?c", &ctx, &req, &arena),
                     AGW_RESPOND);
    assert_string_equal(
        header_of(&ctx, "www-authenticate"),
        "Bearer resource_metadata=\"https://gw.example/.well-known/oauth-protected-resource/a%22b\"");
    ask(ops, conf, "x-forwarded-host", "pub.example:8443", "/.well-known/oauth-protected-resource", &ctx,
        &req, &arena);
    static const char want[] =
        "{\"resource\":\"http://pub.example:8443\",\"authorization_servers\":[\"https://i.example\"],"
        "\"bearer_methods_supported\":[\"header\"]}";
    assert_true(agw_str_eq(ctx.resp_body, AGW_STR(want)));
    ask(ops, conf, "x", NULL, "/.well-known/oauth-protected-resources", &ctx, &req, &arena);
    assert_int_equal(ctx.resp->status, 401);
    e.key = resource;
    e.value = &v;
    v.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    v.string_value = mine;
    extra.extra = entries;
    extra.n_extra = 1;
    in.resource_metadata = &extra;
    conf = compiled(ops, &in, &arena);
    ask(ops, conf, "x", NULL, "/.well-known/oauth-protected-resource/mcp", &ctx, &req, &arena);
    static const char own[] =
        "{\"authorization_servers\":[\"https://i.example\"],\"bearer_methods_supported\":[\"header\"],"
        "\"resource\":\"https://public.example/mcp\"}";
    assert_true(agw_str_eq(ctx.resp_body, AGW_STR(own)));
    /* a list in itself, without end */
    Google__Protobuf__Value *loop[] = {&v};
    Google__Protobuf__ListValue list = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    list.values = loop;
    list.n_values = 1;
    v.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    v.list_value = &list;
    struct agw_error err = {0};
    const void *none = NULL;
    assert_int_equal(ops->compile(&in, &arena, &none, &err), AGW_EINVAL);
    agw_arena_free(&arena);
}

static void without_memory(void **state)
{
    Pb__BackendPolicySpec__McpAuthentication in = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__INIT;
    in.issuer = issuer;
    in.jwks_inline = keys;
    in.mode = PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MODE__STRICT;
    static const char *const paths[] = {"/mcp", "/.well-known/oauth-protected-resource/mcp"};
    for (long n = 1;; n++) {
        struct agw_arena arena;
        struct agw_policy_ctx ctx;
        struct agw_msg req;
        struct agw_error err = {0};
        const void *conf = NULL;
        agw_arena_init(&arena, 1, 0);
        failmalloc_at(n);
        int rc = agw_policy_mcp_authentication.compile(&in, &arena, &conf, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&arena);
        if (reached)
            continue;
        for (size_t p = 0; p < AGW_ARRAY_LEN(paths); p++) {
            agw_arena_init(&arena, 1, 0);
            conf = compiled(&agw_policy_mcp_authentication, &in, &arena);
            for (long k = 1;; k++) {
                struct agw_arena own;
                agw_arena_init(&own, 1, 0);
                failmalloc_at(k);
                enum agw_verdict verdict =
                    ask(&agw_policy_mcp_authentication, conf, "x", NULL, paths[p], &ctx, &req, &own);
                bool missed = failmalloc_count() >= k;
                failmalloc_at(0);
                assert_int_equal(verdict, AGW_RESPOND); /* never let through */
                assert_true(missed ? !ctx.resp : ctx.resp->status == (p ? 200 : 401));
                agw_arena_free(&own);
                if (!missed)
                    break;
            }
            agw_arena_free(&arena);
        }
        break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_are_refused),
        cmocka_unit_test(the_token_stands_where_it_should),
        cmocka_unit_test(metadata_and_where_it_is),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
