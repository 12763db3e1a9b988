/* ReferenceGrants: who may refer to objects of other namespaces. */
#include "gwapi/base/translate.h"

static bool grants_from(const struct agw_object *grant, const char *kind, struct agw_str ns)
{
    const struct agw_node *n;

    agw_node_each (n, agw_field(grant->spec, "from")) {
        if (agw_field_is(n, "group", AGW_GROUP_GATEWAY) && agw_field_is(n, "kind", kind) &&
            agw_str_eq(agw_node_text(n, "namespace"), ns))
            return true;
    }
    return false;
}

static bool grants_to(const struct agw_object *grant, struct agw_str group, struct agw_str kind,
                      struct agw_str name)
{
    const struct agw_node *n;

    agw_node_each (n, agw_field(grant->spec, "to")) {
        struct agw_str only = agw_node_text(n, "name");

        if (agw_str_eq(agw_node_text(n, "group"), group) && agw_str_eq(agw_node_text(n, "kind"), kind) &&
            (only.n == 0 || agw_str_eq(only, name)))
            return true;
    }
    return false;
}

bool agw_gwapi_granted(const struct agw_objects *objects, const char *kind, struct agw_str from_ns,
                       struct agw_str group, struct agw_str to_kind, struct agw_str to_ns,
                       struct agw_str name)
{
    const struct agw_object *g;

    if (agw_str_eq(from_ns, to_ns))
        return true;
    agw_objects_each(g, objects, AGW_KIND_REFERENCE_GRANT)
    {
        if (agw_str_eq(g->ns, to_ns) && grants_from(g, kind, from_ns) && grants_to(g, group, to_kind, name))
            return true;
    }
    return false;
}
