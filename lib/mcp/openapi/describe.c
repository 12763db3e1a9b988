/* A tool as a model sees it (MCP 2025-11-25, "Tools", Data Types). */
#include "mcp/openapi/openapi_int.h"

static int param(struct agw_openapi_defs *defs, const struct agw_openapi_operation *op, uint32_t i)
{
    const struct agw_node *description = agw_node_get(op->params[i], "description");
    agw_json_key(defs->w, op->v[i].name);
    if (op->schemas[i])
        return agw_openapi_schema(defs, op->schemas[i], description);
    agw_json_begin_object(defs->w);
    if (description && description->type == AGW_NODE_STRING)
        agw_json_put_string(defs->w, "description", description->text);
    agw_json_end_object(defs->w);
    return 0;
}

/* The arguments that stand in |in|; nothing if there are none. */
static int group(struct agw_openapi_defs *defs, const struct agw_openapi_operation *op,
                 enum agw_openapi_in in, bool *ret_required)
{
    struct agw_json_writer *w = defs->w;
    uint32_t count = 0, required = 0;
    int rc = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        count += op->v[i].in == in;
        required += op->v[i].in == in && op->v[i].required;
    }
    *ret_required = required > 0;
    if (count == 0)
        return 0;
    agw_json_key(w, agw_str_c(agw_openapi_in_names[in]));
    agw_json_begin_object(w);
    agw_json_put_string(w, "type", AGW_STR("object"));
    agw_json_key(w, AGW_STR("properties"));
    agw_json_begin_object(w);
    for (uint32_t i = 0; i < op->count && rc == 0; i++)
        if (op->v[i].in == in)
            rc = param(defs, op, i);
    if (rc != 0)
        return rc;
    agw_json_end_object(w);
    if (required > 0) {
        agw_json_key(w, AGW_STR("required"));
        agw_json_begin_array(w);
        for (uint32_t i = 0; i < op->count; i++)
            if (op->v[i].in == in && op->v[i].required)
                agw_json_string(w, op->v[i].name);
        agw_json_end_array(w);
    }
    agw_json_put_bool(w, "additionalProperties", false);
    agw_json_end_object(w);
    return 0;
}

static int body(struct agw_openapi_defs *defs, const struct agw_openapi_operation *op,
                enum agw_openapi_body kind)
{
    struct agw_json_writer *w = defs->w;
    const struct agw_node *description = agw_node_get(op->body, "description");
    agw_json_key(w, AGW_STR("body"));
    bool typed = kind == AGW_OPENAPI_BODY_JSON || kind == AGW_OPENAPI_BODY_FORM;
    if (op->body_schema && typed)
        return agw_openapi_schema(defs, op->body_schema, description);
    agw_json_begin_object(w);
    if (!typed)
        agw_json_put_string(w, "type", AGW_STR("string"));
    if (kind == AGW_OPENAPI_BODY_BYTES)
        agw_json_put_string(w, "contentEncoding", AGW_STR("base64"));
    if (description && description->type == AGW_NODE_STRING)
        agw_json_put_string(w, "description", description->text);
    agw_json_end_object(w);
    return 0;
}

static int input(struct agw_openapi_defs *defs, const struct agw_openapi_operation *op,
                 const struct agw_openapi_tool *t)
{
    struct agw_json_writer *w = defs->w;
    bool required[AGW_OPENAPI_IN_COUNT] = {false}, any = t->body_required;
    int rc = 0;
    agw_json_key(w, AGW_STR("inputSchema"));
    agw_json_begin_object(w);
    agw_json_put_string(w, "type", AGW_STR("object"));
    agw_json_key(w, AGW_STR("properties"));
    agw_json_begin_object(w);
    for (unsigned in = 0; in < AGW_OPENAPI_IN_COUNT && rc == 0; in++) {
        rc = group(defs, op, in, &required[in]);
        any |= required[in];
    }
    if (rc == 0 && t->body != AGW_OPENAPI_BODY_NONE)
        rc = body(defs, op, t->body);
    if (rc != 0)
        return rc;
    agw_json_end_object(w);
    if (any) {
        agw_json_key(w, AGW_STR("required"));
        agw_json_begin_array(w);
        for (unsigned in = 0; in < AGW_OPENAPI_IN_COUNT; in++)
            if (required[in])
                agw_json_string(w, agw_str_c(agw_openapi_in_names[in]));
        if (t->body_required)
            agw_json_string(w, AGW_STR("body"));
        agw_json_end_array(w);
    }
    agw_json_put_bool(w, "additionalProperties", false);
    rc = agw_openapi_schema_defs(defs);
    if (rc == 0)
        agw_json_end_object(w);
    return rc;
}

/* What it promises must be an object at its root (MCP, Tool.outputSchema), which a $ref alone does not show.
 */
static int output(struct agw_openapi_defs *defs, const struct agw_openapi_operation *op)
{
    struct agw_json_writer *w = defs->w;
    bool named = agw_node_get(op->output, "$ref") && (defs->doc->v30 || !agw_node_get(op->output, "type"));
    defs->count = 0;
    agw_json_key(w, AGW_STR("outputSchema"));
    agw_json_begin_object(w);
    if (named)
        agw_json_put_string(w, "type", AGW_STR("object"));
    int rc = agw_openapi_schema_members(defs, op->output, NULL);
    if (rc == 0)
        rc = agw_openapi_schema_defs(defs);
    if (rc == 0)
        agw_json_end_object(w);
    return rc;
}

static int describe_text(const struct agw_openapi_doc *d, const struct agw_openapi_operation *op,
                         struct agw_json_writer *w)
{
    struct agw_str summary = agw_node_text(op->node, "summary"),
                   description = agw_node_text(op->node, "description");
    if (summary.n)
        agw_json_put_string(w, "title", summary);
    if (summary.n && description.n && !agw_str_eq(summary, description)) {
        struct agw_str parts[] = {summary, AGW_STR("\n\n"), description};
        description = agw_arena_join(d->scratch, parts, 3);
        if (!description.p)
            return AGW_ENOMEM;
    } else if (summary.n) {
        description = summary;
    }
    if (description.n)
        agw_json_put_string(w, "description", description);
    return 0;
}

static void hints(const struct agw_openapi_tool *t, struct agw_json_writer *w)
{
    bool reads = agw_str_eq(t->method, AGW_STR("GET")) || agw_str_eq(t->method, AGW_STR("HEAD")) ||
                 agw_str_eq(t->method, AGW_STR("OPTIONS"));
    bool again = agw_str_eq(t->method, AGW_STR("PUT")) || agw_str_eq(t->method, AGW_STR("DELETE"));
    if (!reads && !again)
        return;
    agw_json_key(w, AGW_STR("annotations"));
    agw_json_begin_object(w);
    agw_json_put_bool(w, reads ? "readOnlyHint" : "idempotentHint", true);
    agw_json_end_object(w);
}

int agw_openapi_describe(const struct agw_openapi_doc *d, const struct agw_openapi_operation *op,
                         const struct agw_openapi_tool *t, struct agw_json_writer *w)
{
    struct agw_openapi_defs *defs = agw_arena_zalloc(d->scratch, sizeof *defs);
    if (!defs)
        return AGW_ENOMEM;
    defs->doc = d;
    defs->w = w;
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", t->name);
    int rc = describe_text(d, op, w);
    if (rc == 0)
        rc = input(defs, op, t);
    if (rc == 0 && op->output)
        rc = output(defs, op);
    if (rc != 0)
        return rc;
    hints(t, w);
    agw_json_end_object(w);
    return 0;
}
