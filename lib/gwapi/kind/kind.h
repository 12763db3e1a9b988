/* Tables of fields and the rules that tables cannot say, one pair a kind. Rules run after the table has
 * passed; they return false after reporting errors. */
#ifndef AGW_GWAPI_KIND_KIND_H
#define AGW_GWAPI_KIND_KIND_H

#include "gwapi/schema/names.h"
#include "gwapi/schema/object.h"

extern const struct agw_field agw_fields_namespace[], agw_fields_service[], agw_fields_secret[],
    agw_fields_config_map[], agw_fields_endpoint_slice[], agw_fields_gateway_class[], agw_fields_gateway[],
    agw_fields_http_route[], agw_fields_grpc_route[], agw_fields_reference_grant[], agw_fields_backend[],
    agw_fields_policy[], agw_fields_backend_tls_policy[], agw_fields_tls_route[], agw_fields_tcp_route[],
    agw_fields_listener_set[];

/* Parts used by more than one kind. */
extern const struct agw_field agw_fields_metadata[], agw_fields_label_selector[], agw_fields_secret_ref[],
    agw_fields_cors[], agw_fields_retry[], agw_fields_header_modifier[], agw_fields_frontend_validation[],
    agw_fields_frontend[], agw_fields_backend_policies[], agw_fields_name_ref[],
    agw_fields_session_persistence[], agw_fields_mcp_policies[], agw_fields_jwt[], agw_fields_location[],
    agw_fields_auth[];

bool agw_rules_service(struct agw_report *r, const struct agw_object *o);
bool agw_rules_secret(struct agw_report *r, const struct agw_object *o);
bool agw_rules_endpoint_slice(struct agw_report *r, const struct agw_object *o);
bool agw_rules_gateway(struct agw_report *r, const struct agw_object *o);
bool agw_rules_listener_set(struct agw_report *r, const struct agw_object *o);
bool agw_rules_http_route(struct agw_report *r, const struct agw_object *o);
bool agw_rules_grpc_route(struct agw_report *r, const struct agw_object *o);
bool agw_rules_l4_route(struct agw_report *r, const struct agw_object *o);
bool agw_rules_frontend(struct agw_report *r, const struct agw_object *o); /* of a policy, if it has one */
bool agw_rules_backend(struct agw_report *r, const struct agw_object *o);
bool agw_rules_policy(struct agw_report *r, const struct agw_object *o);
/* The same for a part, given by its node (NULL: nothing to check). */
bool agw_rules_cors(struct agw_report *r, const struct agw_object *o, const struct agw_node *cors);
bool agw_rules_backend_policies(struct agw_report *r, const struct agw_object *o,
                                const struct agw_node *policies);
bool agw_rules_session_persistence(struct agw_report *r, const struct agw_object *o,
                                   const struct agw_node *persistence);
bool agw_rules_auth(struct agw_report *r, const struct agw_object *o, const struct agw_node *auth);
bool agw_rules_mcp(struct agw_report *r, const struct agw_object *o, const struct agw_node *mcp);
bool agw_rules_jwt(struct agw_report *r, const struct agw_object *o, const struct agw_node *jwt);
bool agw_rules_backend_tls_policy(struct agw_report *r, const struct agw_object *o);

/* Parts of HTTPRoute that other routes have, too. */
extern const struct agw_field agw_fields_parent_ref[], agw_fields_value_match[], agw_fields_extension_ref[];
/* Each filter has the member of its type and no other, and none is there twice that must not be. */
bool agw_rules_filters(struct agw_report *r, const struct agw_object *o, const struct agw_node *list);
/* The text of |value| is a regular expression; NULL is fine. */
bool agw_rules_regex(struct agw_report *r, const struct agw_object *o, const struct agw_node *value);

/* Shorthand for the tables. */
#define AGW_TEXT(n, ...)                                                                                     \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_TEXT, __VA_ARGS__                                                       \
    }
#define AGW_INT(n, ...)                                                                                      \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_INT, __VA_ARGS__                                                        \
    }
#define AGW_BOOLEAN(n)                                                                                       \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_BOOL                                                                    \
    }
#define AGW_MAP(n, table, ...)                                                                               \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_MAP, .of = table, __VA_ARGS__                                           \
    }
#define AGW_LIST(n, table, ...)                                                                              \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_MAP, .of = table, .list = true, __VA_ARGS__                             \
    }
#define AGW_TEXTS(n)                                                                                         \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_TEXTS                                                                   \
    }
#define AGW_ANY(n)                                                                                           \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_ANY                                                                     \
    }
#define AGW_UNSERVED(n)                                                                                      \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_UNSERVED                                                                \
    }
#define AGW_END                                                                                              \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }
/* Rows that many kinds share. */
#define AGW_HEAD                                                                                             \
    AGW_TEXT("apiVersion"), AGW_TEXT("kind"), AGW_MAP("metadata", agw_fields_metadata, .required = true)
/* All of a kind that has a spec. */
#define AGW_OBJECT(spec_fields)                                                                              \
    AGW_HEAD, AGW_MAP("spec", spec_fields, .required = true), AGW_ANY("status"), AGW_END
#define AGW_PARENT_REFS AGW_LIST("parentRefs", agw_fields_parent_ref, .max_items = 32)
#define AGW_HOSTNAMES                                                                                        \
    {                                                                                                        \
        .name = "hostnames", .type = AGW_FIELD_TEXT, .list = true, .max_items = 16,                          \
        AGW_FORM(agw_is_hostname, AGW_HOST_FORM)                                                             \
    }
#define AGW_OBJECT_REF                                                                                       \
    AGW_TEXT("group", AGW_A_GROUP), AGW_TEXT("kind", AGW_A_KIND), AGW_TEXT("namespace", AGW_A_LABEL),        \
        AGW_TEXT("name", .min = 1, .max = 253, .required = true), AGW_INT("port", AGW_A_PORT)
#define AGW_BACKEND_REF AGW_OBJECT_REF, AGW_INT("weight", .min = 0, .max = 1000000)
#define AGW_FORM(check, text) .form = check, .form_name = text
#define AGW_A_LABEL AGW_FORM(agw_is_label, "a DNS label (a-z, 0-9 and -, at most 63 characters)")
#define AGW_A_SUBDOMAIN AGW_FORM(agw_is_subdomain, "a DNS name (a-z, 0-9, - and ., at most 253 characters)")
#define AGW_HOST_FORM "a host name in lower case, such as a.example.com or *.example.com"
#define AGW_A_GROUP .max = 253, AGW_FORM(agw_is_group, "an API group")
#define AGW_A_KIND .min = 1, .max = 63, AGW_FORM(agw_is_kind, "a kind")
#define AGW_A_PORT .min = 1, .max = 65535

#endif
