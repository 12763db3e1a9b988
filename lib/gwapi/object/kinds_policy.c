/* What HTTPRoute and AgentgatewayPolicy say in the same words. */
#include "base/check.h"
#include "gwapi/object/kinds.h"

static const char *const cors_methods[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE", "CONNECT",
                                           "OPTIONS", "TRACE", "PATCH", "*",   NULL};

#define A_NAME .min = 1, .max = 256, AGW_FORM(agw_is_token, "a header name")

const struct agw_field agw_fields_cors[] = {
    AGW_BOOLEAN("allowCredentials"),
    {.name = "allowOrigins",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .max_items = 64,
     .min = 1,
     .max = 253,
     AGW_FORM(agw_is_origin, "* or an origin such as https://a.example.com or https://*.example.com")},
    {.name = "allowMethods", .type = AGW_FIELD_TEXT, .list = true, .max_items = 9, .one_of = cors_methods},
    {.name = "allowHeaders", .type = AGW_FIELD_TEXT, .list = true, .max_items = 64, A_NAME},
    {.name = "exposeHeaders", .type = AGW_FIELD_TEXT, .list = true, .max_items = 64, A_NAME},
    AGW_INT("maxAge", .min = 1, .max = INT32_MAX),
    AGW_END,
};

const struct agw_field agw_fields_retry[] = {
    {.name = "codes", .type = AGW_FIELD_INT, .list = true, .min = 400, .max = 599},
    AGW_INT("attempts", .min = 1, .max = INT32_MAX),
    AGW_TEXT("backoff", AGW_FORM(agw_is_duration, "a duration such as 1m30s or 500ms")),
    AGW_END,
};

bool agw_rules_cors(struct agw_report *r, const struct agw_object *o, const struct agw_node *cors)
{
    static const char *const lists[] = {"allowOrigins", "allowMethods", "allowHeaders"};
    const struct agw_node *n;
    bool ok = true;

    for (size_t i = 0; i < AGW_ARRAY_LEN(lists); i++) {
        const struct agw_node *list = agw_field(cors, lists[i]);

        agw_node_each (n, list) {
            if (agw_str_eq(n->text, AGW_STR("*")) && list->count > 1) {
                agw_report_error(r, o, n, NULL, "* must stand alone");
                ok = false;
            }
        }
    }
    return ok;
}
