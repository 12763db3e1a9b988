/* `auth` of a backend or a policy: with what it is asked. */
#include "gwapi/backend/backend.h"
#include "gwapi/base/secret.h"

/* The text of the Secret that |ref| names, without "Bearer " in front, as it is often kept; empty: none. */
static int secret_text(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                       char **ret)
{
    const struct agw_object *secret =
        agw_objects_get(t->objects, AGW_KIND_SECRET, o->ns, agw_node_text(ref, "name"));
    struct agw_str key = agw_field_text(ref, "key", AGW_STR("Authorization")), text = {0};
    ProtobufCBinaryData bytes;
    int rc = AGW_EINVAL;

    if (secret && agw_gwapi_is_secret_ref(ref))
        rc = agw_gwapi_secret_bytes(t, secret, agw_gwapi_text(t, key), &bytes);
    if (rc == AGW_ENOMEM || t->failed)
        return AGW_ENOMEM;
    if (rc == 0)
        text = agw_str_trim(agw_str((const char *)bytes.data, bytes.len));
    if (agw_str_starts(text, AGW_STR("Bearer ")))
        text = agw_str_from(text, 7);
    *ret = agw_gwapi_text(t, text);
    if (text.n == 0)
        agw_gwapi_warn(t, o, ref, "there is no Secret %.*s/%.*s with text in %.*s: requests are refused",
                       AGW_STRF(o->ns), AGW_STRF(agw_node_text(ref, "name")), AGW_STRF(key));
    return 0;
}

static int set_location(struct agw_translate *t, const struct agw_node *n, Pb__AuthorizationLocation **ret)
{
    const struct agw_node *location = agw_field(n, "location");

    if (!location)
        return 0;
    *ret = agw_gwapi_location(t, location);
    return *ret ? 0 : AGW_ENOMEM;
}

static int set_key(struct agw_translate *t, const struct agw_object *o, const struct agw_node *n,
                   Pb__BackendAuthPolicy *out)
{
    Pb__Key *key = agw_gwapi_new(t, Pb__Key, pb__key__init);

    if (!key)
        return AGW_ENOMEM;
    out->kind_case = PB__BACKEND_AUTH_POLICY__KIND_KEY;
    out->key = key;
    if (agw_field(n, "key"))
        key->secret = agw_gwapi_text(t, agw_node_text(n, "key"));
    else if (secret_text(t, o, agw_field(n, "secretRef"), &key->secret))
        return AGW_ENOMEM;
    return set_location(t, n, &key->authorization_location);
}

int agw_gwapi_backend_auth(struct agw_translate *t, const struct agw_object *o, const struct agw_node *n,
                           Pb__BackendPolicySpec *spec)
{
    Pb__BackendAuthPolicy *out = agw_gwapi_new(t, Pb__BackendAuthPolicy, pb__backend_auth_policy__init);

    if (!out)
        return AGW_ENOMEM;
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_AUTH;
    spec->auth = out;
    if (!agw_field(n, "passthrough"))
        return set_key(t, o, n, out);
    out->passthrough = agw_gwapi_new(t, Pb__Passthrough, pb__passthrough__init);
    out->kind_case = PB__BACKEND_AUTH_POLICY__KIND_PASSTHROUGH;
    return out->passthrough ? set_location(t, n, &out->passthrough->authorization_location) : AGW_ENOMEM;
}
