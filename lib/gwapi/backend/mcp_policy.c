/* What backends and policies say about who may use them. */
#include <stdlib.h>
#include "gwapi/backend/backend.h"

int agw_gwapi_mcp_authorization(struct agw_translate *t, const struct agw_node *mcp,
                                Pb__BackendPolicySpec *spec)
{
    const struct agw_node *n = agw_field(mcp, "authorization");
    Pb__BackendPolicySpec__McpAuthorization *out;
    size_t count;
    char **texts;

    if (!n)
        return 0;
    out = agw_gwapi_new(t, Pb__BackendPolicySpec__McpAuthorization,
                        pb__backend_policy_spec__mcp_authorization__init);
    texts = agw_gwapi_texts(t, agw_field(agw_field(n, "policy"), "matchExpressions"), &count);
    if (!out || !texts)
        return AGW_ENOMEM;
    if (agw_field_is(n, "action", "Deny")) {
        out->deny = texts;
        out->n_deny = count;
    } else if (agw_field_is(n, "action", "Require")) {
        out->require = texts;
        out->n_require = count;
    } else {
        out->allow = texts;
        out->n_allow = count;
    }
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_MCP_AUTHORIZATION;
    spec->mcp_authorization = out;
    return 0;
}

/* --- tokens --- */

/* The two messages number their modes alike. */
static int mode_of(const struct agw_node *n)
{
    return agw_field_is(n, "mode", "Optional")     ? PB__TRAFFIC_POLICY_SPEC__JWT__MODE__OPTIONAL
           : agw_field_is(n, "mode", "Permissive") ? PB__TRAFFIC_POLICY_SPEC__JWT__MODE__PERMISSIVE
                                                   : PB__TRAFFIC_POLICY_SPEC__JWT__MODE__STRICT;
}

/* Keys at |n|: backendRef, jwksPath, cacheDuration. A reference that does not resolve leaves the issuer
 * without keys. */
static Pb__RemoteKeys *remote_keys(struct agw_translate *t, const struct agw_node *n)
{
    const struct agw_node *ref = agw_field(n, "backendRef");
    Pb__RemoteKeys *out = agw_gwapi_new(t, Pb__RemoteKeys, pb__remote_keys__init);
    struct agw_gwapi_refusal refusal;

    if (!out || agw_gwapi_backend_ref(t, t->owner, ref, &out->backend, &refusal))
        return NULL;
    if (refusal.reason)
        agw_gwapi_warn(t, t->owner, ref, "%.*s: its tokens are answered 503", AGW_STRF(refusal.message));
    struct agw_str path = agw_node_text(n, "jwksPath");
    out->path = agw_gwapi_printf(t, "%s%.*s", path.p[0] == '/' ? "" : "/", AGW_STRF(path));
    out->cache_duration = agw_gwapi_duration(t, agw_node_text(n, "cacheDuration"));
    return out;
}

static Pb__BackendPolicySpec__McpAuthentication__McpIDP idp_of(const struct agw_node *n)
{
    return agw_field_is(n, "provider", "Keycloak")
               ? PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__KEYCLOAK
           : agw_field_is(n, "provider", "Okta") ? PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__OKTA
           : agw_field_is(n, "provider", "Descope")
               ? PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__DESCOPE
           : agw_field_is(n, "provider", "Authentik")
               ? PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__AUTHENTIK
               : PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__UNSPECIFIED;
}

static Google__Protobuf__Value *value_of(struct agw_translate *t, const struct agw_node *n);

static int list_of(struct agw_translate *t, const struct agw_node *n, Google__Protobuf__Value *out)
{
    Google__Protobuf__ListValue *list =
        agw_gwapi_new(t, Google__Protobuf__ListValue, google__protobuf__list_value__init);
    const struct agw_node *item;

    if (!list || !(list->values = agw_gwapi_pointers(t, n->count)))
        return AGW_ENOMEM;
    agw_node_each (item, n) {
        if (!(list->values[list->n_values++] = value_of(t, item)))
            return AGW_ENOMEM;
    }
    out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    out->list_value = list;
    return 0;
}

static int struct_of(struct agw_translate *t, const struct agw_node *n, Google__Protobuf__Value *out)
{
    Google__Protobuf__Struct *map =
        agw_gwapi_new(t, Google__Protobuf__Struct, google__protobuf__struct__init);
    const struct agw_node *item;

    if (!map || !(map->fields = agw_gwapi_pointers(t, n->count)))
        return AGW_ENOMEM;
    agw_node_each (item, n) {
        Google__Protobuf__Struct__FieldsEntry *entry = agw_gwapi_new(
            t, Google__Protobuf__Struct__FieldsEntry, google__protobuf__struct__fields_entry__init);

        if (!entry || !(entry->value = value_of(t, item)))
            return AGW_ENOMEM;
        entry->key = agw_gwapi_text(t, item->key);
        map->fields[map->n_fields++] = entry;
    }
    out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
    out->struct_value = map;
    return 0;
}

/* The reader of manifests bounds how deep it goes. */
static Google__Protobuf__Value *value_of(struct agw_translate *t, const struct agw_node *n)
{
    Google__Protobuf__Value *out = agw_gwapi_new(t, Google__Protobuf__Value, google__protobuf__value__init);
    int rc = 0;

    if (!out)
        return NULL;
    switch (n->type) {
    case AGW_NODE_NULL:
        out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
        break;
    case AGW_NODE_BOOL:
        out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        out->bool_value = n->number != 0;
        break;
    case AGW_NODE_INT:
    case AGW_NODE_FLOAT:
        out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        out->number_value = strtod(n->text.p, NULL);
        break;
    case AGW_NODE_STRING:
        out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        out->string_value = agw_gwapi_text(t, n->text);
        break;
    case AGW_NODE_LIST:
        rc = list_of(t, n, out);
        break;
    case AGW_NODE_MAP:
        rc = struct_of(t, n, out);
        break;
    }
    return rc ? NULL : out;
}

typedef Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata metadata;
typedef Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata__ExtraEntry metadata_entry;

static int set_metadata(struct agw_translate *t, const struct agw_node *n, metadata **ret)
{
    const struct agw_node *in = agw_field(n, "resourceMetadata"), *member;
    metadata *out;

    if (!in)
        return 0;
    out = agw_gwapi_new(t, metadata, pb__backend_policy_spec__mcp_authentication__resource_metadata__init);
    if (!out || !(out->extra = agw_gwapi_pointers(t, in->count)))
        return AGW_ENOMEM;
    agw_node_each (member, in) {
        metadata_entry *entry =
            agw_gwapi_new(t, metadata_entry,
                          pb__backend_policy_spec__mcp_authentication__resource_metadata__extra_entry__init);

        if (!entry || !(entry->value = value_of(t, member)))
            return AGW_ENOMEM;
        entry->key = agw_gwapi_text(t, member->key);
        out->extra[out->n_extra++] = entry;
    }
    *ret = out;
    return 0;
}

int agw_gwapi_mcp_authentication(struct agw_translate *t, const struct agw_node *mcp,
                                 Pb__BackendPolicySpec *spec)
{
    const struct agw_node *n = agw_field(mcp, "authentication");
    Pb__BackendPolicySpec__McpAuthentication *out;

    if (!n)
        return 0;
    out = agw_gwapi_new(t, Pb__BackendPolicySpec__McpAuthentication,
                        pb__backend_policy_spec__mcp_authentication__init);
    if (!out)
        return AGW_ENOMEM;
    out->issuer = agw_gwapi_text(t, agw_node_text(n, "issuer"));
    out->audiences = agw_gwapi_texts(t, agw_field(n, "audiences"), &out->n_audiences);
    out->jwks_inline = agw_gwapi_text(t, agw_node_text(agw_field(n, "jwks"), "inline"));
    if (agw_field(agw_field(n, "jwks"), "backendRef") &&
        !(out->jwks_remote = remote_keys(t, agw_field(n, "jwks"))))
        return AGW_ENOMEM;
    out->mode = (Pb__BackendPolicySpec__McpAuthentication__Mode)mode_of(n);
    out->provider = idp_of(n);
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_MCP_AUTHENTICATION;
    spec->mcp_authentication = out;
    return set_metadata(t, n, &out->resource_metadata);
}

/* --- jwtAuthentication --- */

Pb__AuthorizationLocation *agw_gwapi_location(struct agw_translate *t, const struct agw_node *n)
{
    const struct agw_node *header = agw_field(n, "header");
    Pb__AuthorizationLocation *out =
        agw_gwapi_new(t, Pb__AuthorizationLocation, pb__authorization_location__init);
    Pb__AuthorizationLocation__Header *h =
        agw_gwapi_new(t, Pb__AuthorizationLocation__Header, pb__authorization_location__header__init);

    if (!out || !h)
        return NULL;
    h->name = agw_gwapi_text(t, agw_node_text(header, "name"));
    if (agw_field(header, "prefix")) {
        h->_prefix_case = PB__AUTHORIZATION_LOCATION__HEADER___PREFIX_PREFIX;
        h->prefix = agw_gwapi_text(t, agw_node_text(header, "prefix"));
    }
    out->kind_case = PB__AUTHORIZATION_LOCATION__KIND_HEADER;
    out->header = h;
    return out;
}

static Pb__TrafficPolicySpec__JWTProvider *provider_of(struct agw_translate *t, const struct agw_node *n)
{
    Pb__TrafficPolicySpec__JWTProvider *p =
        agw_gwapi_new(t, Pb__TrafficPolicySpec__JWTProvider, pb__traffic_policy_spec__jwtprovider__init);
    const struct agw_node *remote = agw_field(agw_field(n, "jwks"), "remote");

    if (!p)
        return NULL;
    p->issuer = agw_gwapi_text(t, agw_node_text(n, "issuer"));
    p->audiences = agw_gwapi_texts(t, agw_field(n, "audiences"), &p->n_audiences);
    if (remote) {
        p->jwks_source_case = PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_REMOTE;
        return (p->remote = remote_keys(t, remote)) ? p : NULL;
    }
    p->jwks_source_case = PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_INLINE;
    p->inline_ = agw_gwapi_text(t, agw_node_text(agw_field(n, "jwks"), "inline"));
    return p;
}

int agw_gwapi_jwt(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    Pb__TrafficPolicySpec__JWT *jwt =
        agw_gwapi_new(t, Pb__TrafficPolicySpec__JWT, pb__traffic_policy_spec__jwt__init);
    const struct agw_node *providers = agw_field(n, "providers"), *provider, *mcp = agw_field(n, "mcp"),
                          *location = agw_field(n, "location");

    if (!jwt || !(jwt->providers = agw_gwapi_pointers(t, providers->count)))
        return AGW_ENOMEM;
    agw_node_each (provider, providers) {
        if (!(jwt->providers[jwt->n_providers++] = provider_of(t, provider)))
            return AGW_ENOMEM;
    }
    jwt->mode = (Pb__TrafficPolicySpec__JWT__Mode)mode_of(n);
    if (location && !(jwt->authorization_location = agw_gwapi_location(t, location)))
        return AGW_ENOMEM;
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_JWT;
    spec->jwt = jwt;
    if (!mcp)
        return 0;
    jwt->mcp = agw_gwapi_new(t, Pb__TrafficPolicySpec__JWT__MCP, pb__traffic_policy_spec__jwt__mcp__init);
    if (!jwt->mcp)
        return AGW_ENOMEM;
    jwt->mcp->provider = idp_of(mcp);
    return set_metadata(t, mcp, &jwt->mcp->resource_metadata);
}
