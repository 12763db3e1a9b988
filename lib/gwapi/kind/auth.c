/* Who may use a backend, and with what it is reached: parts of AgentgatewayBackend and AgentgatewayPolicy. */
#include "gwapi/kind/kind.h"

static const char *const actions[] = {"Allow", "Deny", "Require", NULL};

static const struct agw_field expressions[] = {
    {.name = "matchExpressions",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .required = true,
     .min_items = 1,
     .max_items = 256,
     .min = 1,
     .max = 16384},
    AGW_END,
};

static const struct agw_field authorization[] = {
    AGW_TEXT("action", .one_of = actions),
    AGW_MAP("policy", expressions, .required = true),
    AGW_END,
};

static const char *const modes[] = {"Optional", "Permissive", "Strict", NULL};

#define AN_ISSUER .min = 1, .max = 256, .required = true
#define AUDIENCES                                                                                            \
    {                                                                                                        \
        .name = "audiences", .type = AGW_FIELD_TEXT, .list = true, .min_items = 1, .max_items = 64           \
    }

static bool is_cache_duration(struct agw_str text)
{
    uint64_t ms;

    return agw_duration_ms(text, &ms) == 0 && ms >= 300000;
}

static const struct agw_field keys_ref[] = {
    AGW_OBJECT_REF,
    AGW_END,
};

#define REMOTE_KEYS(must)                                                                                    \
    AGW_MAP("backendRef", keys_ref, .required = must),                                                       \
        AGW_TEXT("jwksPath", .min = 1, .max = 2000, .required = must),                                       \
        AGW_TEXT("cacheDuration", AGW_FORM(is_cache_duration, "a duration of 5m or more"))

/* `inline` of mcp.authentication is not of the API, which has it in jwtAuthentication alone. */
static const struct agw_field mcp_jwks[] = {
    AGW_TEXT("inline", .min = 2, .max = 65536),
    REMOTE_KEYS(false),
    AGW_END,
};

/* Auth0 and Entra need more than their metadata. */
static const char *const idps[] = {"Authentik", "Descope", "Keycloak", "Okta", NULL};

static const struct agw_field authentication[] = {
    AGW_TEXT("issuer", AN_ISSUER),
    AUDIENCES,
    AGW_MAP("jwks", mcp_jwks, .required = true),
    AGW_TEXT("mode", .one_of = modes),
    AGW_ANY("resourceMetadata"),
    AGW_TEXT("provider", .one_of = idps),
    AGW_UNSERVED("clientId"),
    AGW_UNSERVED("clientSecretRef"),
    AGW_END,
};

static const struct agw_field remote_jwks[] = {
    REMOTE_KEYS(true),
    AGW_END,
};

static const struct agw_field jwks[] = {
    AGW_TEXT("inline", .min = 2, .max = 65536),
    AGW_MAP("remote", remote_jwks),
    AGW_END,
};

static const struct agw_field provider[] = {
    AGW_TEXT("issuer", AN_ISSUER),
    AUDIENCES,
    AGW_MAP("jwks", jwks, .required = true),
    AGW_END,
};

static const struct agw_field header_location[] = {
    AGW_TEXT("name", .min = 1, .max = 256, .required = true, AGW_FORM(agw_is_token, "a header name")),
    AGW_TEXT("prefix", .min = 1, .max = 256),
    AGW_END,
};

const struct agw_field agw_fields_location[] = {
    AGW_MAP("header", header_location, .required = true),
    AGW_UNSERVED("queryParameter"),
    AGW_UNSERVED("cookie"),
    AGW_UNSERVED("expression"),
    AGW_END,
};

static const struct agw_field jwt_mcp[] = {
    AGW_ANY("resourceMetadata"),
    AGW_TEXT("provider", .one_of = idps),
    AGW_UNSERVED("clientId"),
    AGW_END,
};

const struct agw_field agw_fields_jwt[] = {
    AGW_LIST("providers", provider, .required = true, .min_items = 1, .max_items = 64, .unique = "issuer"),
    AGW_TEXT("mode", .one_of = modes),
    AGW_MAP("location", agw_fields_location),
    AGW_MAP("mcp", jwt_mcp),
    AGW_END,
};

static const struct agw_field credential_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND),
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("key", .min = 1, .max = 253),
    AGW_END,
};

static const struct agw_field nothing[] = {AGW_END};

const struct agw_field agw_fields_auth[] = {
    AGW_TEXT("key", .min = 1, .max = 2048),
    AGW_MAP("secretRef", credential_ref),
    AGW_MAP("passthrough", nothing),
    AGW_MAP("location", agw_fields_location),
    AGW_UNSERVED("credentials"),
    AGW_UNSERVED("aws"),
    AGW_UNSERVED("azure"),
    AGW_UNSERVED("gcp"),
    AGW_UNSERVED("oauthTokenExchange"),
    AGW_UNSERVED("crossAppAccess"),
    AGW_END,
};

const struct agw_field agw_fields_mcp_policies[] = {
    AGW_MAP("authorization", authorization),
    AGW_MAP("authentication", authentication),
    AGW_UNSERVED("guardrails"),
    AGW_END,
};

/* --- rules --- */

static bool check_metadata(struct agw_report *r, const struct agw_object *o, const struct agw_node *in)
{
    const struct agw_node *n = agw_field(in, "resourceMetadata");

    if (!n || n->type == AGW_NODE_MAP)
        return true;
    agw_report_error(r, o, n, NULL, "must be a map");
    return false;
}

/* |remote|: where the keys are to be fetched; NULL: they are not. */
static bool check_remote(struct agw_report *r, const struct agw_object *o, const struct agw_node *remote)
{
    const struct agw_node *ref = agw_field(remote, "backendRef"), *path = agw_field(remote, "jwksPath");
    bool service = !agw_field(ref, "kind") || agw_field_is(ref, "kind", "Service");

    if (!ref || !path) {
        agw_report_error(r, o, remote, NULL, "needs backendRef and jwksPath");
        return false;
    }
    for (size_t i = 0; i < path->text.n; i++)
        if (path->text.p[i] <= ' ' || path->text.p[i] > '~' || path->text.p[i] == '#') {
            agw_report_error(r, o, path, NULL, "must be the path of a URL");
            return false;
        }
    if (!service || agw_field(ref, "port"))
        return true;
    agw_report_error(r, o, ref, "port", "is required for a Service");
    return false;
}

static bool check_mcp_jwks(struct agw_report *r, const struct agw_object *o, const struct agw_node *keys)
{
    bool remote =
        agw_field(keys, "backendRef") || agw_field(keys, "jwksPath") || agw_field(keys, "cacheDuration");

    if (!keys)
        return true;
    if (remote && !agw_field(keys, "inline"))
        return check_remote(r, o, keys);
    if (!remote && agw_field(keys, "inline"))
        return true;
    agw_report_error(r, o, keys, NULL, "needs either inline, or backendRef and jwksPath");
    return false;
}

static bool check_jwks(struct agw_report *r, const struct agw_object *o, const struct agw_node *keys)
{
    const struct agw_node *remote = agw_field(keys, "remote");

    if (!remote != !agw_field(keys, "inline"))
        return !remote || check_remote(r, o, remote);
    agw_report_error(r, o, keys, NULL, "needs exactly one of inline and remote");
    return false;
}

bool agw_rules_auth(struct agw_report *r, const struct agw_object *o, const struct agw_node *auth)
{
    if (!auth ||
        !!agw_field(auth, "key") + !!agw_field(auth, "secretRef") + !!agw_field(auth, "passthrough") == 1)
        return true;
    agw_report_error(r, o, auth, NULL, "needs exactly one of key, secretRef and passthrough");
    return false;
}

/* |remote|: the issuer's keys are fetched. */
static bool check_provider(struct agw_report *r, const struct agw_object *o, const struct agw_node *in,
                           bool remote)
{
    const struct agw_node *n = agw_field(in, "provider");

    if (!n || remote)
        return true;
    agw_report_error(r, o, n, NULL, "needs keys that are fetched: the issuer is reached by their backendRef");
    return false;
}

bool agw_rules_mcp(struct agw_report *r, const struct agw_object *o, const struct agw_node *mcp)
{
    const struct agw_node *n = agw_field(mcp, "authentication");
    bool ok = check_metadata(r, o, n);

    ok = check_provider(r, o, n, agw_field(agw_field(n, "jwks"), "backendRef") != NULL) && ok;
    return check_mcp_jwks(r, o, agw_field(n, "jwks")) && ok;
}

bool agw_rules_jwt(struct agw_report *r, const struct agw_object *o, const struct agw_node *jwt)
{
    const struct agw_node *mcp = agw_field(jwt, "mcp"), *providers = agw_field(jwt, "providers"), *one;
    bool ok = check_metadata(r, o, mcp);

    agw_node_each (one, providers)
        ok = check_provider(r, o, mcp, agw_field(agw_field(one, "jwks"), "remote") != NULL) &&
             check_jwks(r, o, agw_field(one, "jwks")) && ok;
    if (mcp && providers->count != 1) {
        agw_report_error(r, o, mcp, NULL, "needs exactly one provider");
        ok = false;
    }
    if (mcp && agw_field(jwt, "mode") && !agw_field_is(jwt, "mode", "Strict")) {
        agw_report_error(r, o, mcp, NULL, "needs mode Strict");
        ok = false;
    }
    return ok;
}
