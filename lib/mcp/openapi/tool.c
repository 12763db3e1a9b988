/* One operation: what its tool is called with, and how that becomes a request. */
#include <string.h>
#include "base/check.h"
#include "mcp/openapi/openapi_int.h"

const char *const agw_openapi_in_names[AGW_OPENAPI_IN_COUNT] = {"path", "query", "header", "cookie"};

static struct agw_str short_text(struct agw_str s)
{
    return agw_str(s.p, s.n < 100 ? s.n : 100);
}

static bool is_true(const struct agw_node *n)
{
    return n && n->type == AGW_NODE_BOOL && n->number;
}

/* --- parameters --- */

/* Fields that are not an argument's to set: OpenAPI leaves Accept, Content-Type and Authorization to others
 * (3.1.1 section 4.8.12.2), the rest frames the message, names its target, or is the gateway's own word. */
static bool is_reserved(struct agw_str name)
{
    static const char *const names[] = {
        "accept",          "content-type",   "authorization",       "cookie",  "te",
        "trailer",         "forwarded",      "content-encoding",    "via",     "host",
        "set-cookie",      "expect",         "proxy-authorization", "upgrade", "origin",
        "accept-encoding", "content-length", "http2-settings"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++)
        if (agw_str_eq(name, agw_str_c(names[i])))
            return true;
    return agw_hdr_is_framing(agw_hdr_lookup(name)) || agw_str_starts(name, AGW_STR("x-forwarded-")) ||
           agw_str_starts(name, AGW_STR("mcp-")) || agw_str_starts(name, AGW_STR("proxy-")) ||
           agw_str_starts(name, AGW_STR("x-envoy-"));
}

static int read_style(const struct agw_openapi_doc *d, const struct agw_node *n, struct agw_openapi_param *p)
{
    static const struct {
        const char *name;
        enum agw_openapi_style style;
        unsigned in; /* bits of enum agw_openapi_in */
    } styles[] = {
        {"simple", AGW_OPENAPI_SIMPLE, 1u << AGW_OPENAPI_PATH | 1u << AGW_OPENAPI_HEADER},
        {"form", AGW_OPENAPI_FORM, 1u << AGW_OPENAPI_QUERY | 1u << AGW_OPENAPI_COOKIE},
        {"spaceDelimited", AGW_OPENAPI_SPACE, 1u << AGW_OPENAPI_QUERY},
        {"pipeDelimited", AGW_OPENAPI_PIPE, 1u << AGW_OPENAPI_QUERY},
        {"deepObject", AGW_OPENAPI_DEEP, 1u << AGW_OPENAPI_QUERY},
    };
    struct agw_str style = agw_node_text(n, "style");
    const struct agw_node *explode = agw_node_get(n, "explode");
    if (style.n == 0)
        style =
            p->in == AGW_OPENAPI_PATH || p->in == AGW_OPENAPI_HEADER ? AGW_STR("simple") : AGW_STR("form");
    p->explode = explode ? is_true(explode) : agw_str_eq(style, AGW_STR("form"));
    for (size_t i = 0; i < AGW_ARRAY_LEN(styles); i++) {
        if (agw_str_eq(style, agw_str_c(styles[i].name)) && (styles[i].in & 1u << p->in)) {
            p->style = styles[i].style;
            return 0;
        }
    }
    return agw_openapi_error(d, AGW_EUNSUPPORTED, n, "style %.*s in %s is not supported",
                             AGW_STRF(short_text(style)), agw_openapi_in_names[p->in]);
}

static bool is_json(struct agw_str media)
{
    struct agw_str rest = media, type;
    return agw_str_split(&rest, ';', &type) &&
           (agw_str_ieq(type, AGW_STR("application/json")) || agw_str_ends(type, AGW_STR("+json")));
}

static int read_schema(const struct agw_openapi_doc *d, const struct agw_node *n, struct agw_openapi_param *p,
                       const struct agw_node **ret_schema)
{
    const struct agw_node *content = agw_node_get(n, "content");
    if (!content) {
        *ret_schema = agw_node_get(n, "schema");
        return read_style(d, n, p);
    }
    if (content->type != AGW_NODE_MAP || content->count != 1)
        return agw_openapi_error(d, AGW_EINVAL, content, "must have exactly one media type");
    if (!is_json(content->first->key))
        return agw_openapi_error(d, AGW_EUNSUPPORTED, content->first, "only JSON is supported here");
    p->style = AGW_OPENAPI_JSON;
    *ret_schema = agw_node_get(content->first, "schema");
    return 0;
}

static int read_in(const struct agw_openapi_doc *d, const struct agw_node *n, enum agw_openapi_in *ret_in)
{
    struct agw_str in = agw_node_text(n, "in");
    for (unsigned i = 0; i < AGW_OPENAPI_IN_COUNT; i++) {
        if (agw_str_eq(in, agw_str_c(agw_openapi_in_names[i]))) {
            *ret_in = i;
            return 0;
        }
    }
    return agw_openapi_error(d, AGW_EINVAL, n, "in: must be path, query, header or cookie");
}

/* Where |p| stands among those read before; op->count: it is new. */
static uint32_t place_of(const struct agw_openapi_operation *op, const struct agw_openapi_param *p)
{
    uint32_t i = 0;
    while (i < op->count && (op->v[i].in != p->in || !agw_str_eq(op->v[i].name, p->name)))
        i++;
    return i;
}

static int read_param(const struct agw_openapi_doc *d, struct agw_openapi_operation *op,
                      const struct agw_node *n, struct agw_arena *arena)
{
    struct agw_openapi_param p = {.name = agw_node_text(n, "name"),
                                  .required = is_true(agw_node_get(n, "required"))};
    const struct agw_node *schema = NULL;
    int rc = read_in(d, n, &p.in);
    if (rc != 0)
        return rc;
    if (p.name.n == 0)
        return agw_openapi_error(d, AGW_EINVAL, n, "name: is missing");
    bool field = p.in == AGW_OPENAPI_HEADER;
    p.name = field ? agw_arena_lower(arena, p.name) : agw_arena_str(arena, p.name);
    if (!p.name.p)
        return AGW_ENOMEM;
    struct agw_str lower = agw_arena_lower(d->scratch, p.name);
    if (!lower.p)
        return AGW_ENOMEM;
    if ((field || p.in == AGW_OPENAPI_COOKIE) && !agw_header_name_valid(lower))
        return agw_openapi_error(d, AGW_EINVAL, n, "name: is no name of a %s", field ? "field" : "cookie");
    if (field && is_reserved(p.name))
        return 0;
    rc = read_schema(d, n, &p, &schema);
    if (rc != 0)
        return rc;
    p.required |= p.in == AGW_OPENAPI_PATH;
    uint32_t i = place_of(op, &p);
    if (i == AGW_OPENAPI_PARAMS_MAX)
        return agw_openapi_error(d, AGW_ELIMIT, n, "is one more than the %d that there may be",
                                 AGW_OPENAPI_PARAMS_MAX);
    op->v[i] = p;
    op->params[i] = n;
    op->schemas[i] = schema;
    op->count += i == op->count;
    return 0;
}

static int read_params(const struct agw_openapi_doc *d, struct agw_openapi_operation *op,
                       const struct agw_node *list, struct agw_arena *arena)
{
    const struct agw_node *n;
    int rc = 0;
    if (!list)
        return 0;
    if (list->type != AGW_NODE_LIST)
        return agw_openapi_error(d, AGW_EINVAL, list, "must be a list");
    for (const struct agw_node *m = list->first; m && rc == 0; m = m->next) {
        n = m;
        rc = agw_openapi_follow(d, &n);
        if (rc == 0)
            rc = read_param(d, op, n, arena);
    }
    return rc;
}

/* --- the path --- */

static const struct agw_openapi_param *find(const struct agw_openapi_operation *op, struct agw_str name)
{
    for (uint32_t i = 0; i < op->count; i++)
        if (op->v[i].in == AGW_OPENAPI_PATH && agw_str_eq(op->v[i].name, name))
            return &op->v[i];
    return NULL;
}

static int check_path(const struct agw_openapi_doc *d, const struct agw_openapi_operation *op)
{
    struct agw_str path = op->path->key;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("?#\\}\"<>^`|", c))
            return agw_openapi_error(d, AGW_EINVAL, op->path, "has a character that no path has");
        if (c != '{')
            continue;
        struct agw_str rest = agw_str_from(path, i + 1);
        ptrdiff_t end = agw_str_find(rest, '}');
        if (end < 0 || !find(op, agw_str(rest.p, (size_t)end)))
            return agw_openapi_error(d, AGW_EINVAL, op->node, "parameters: none says what {%.*s} is",
                                     AGW_STRF(short_text(end < 0 ? rest : agw_str(rest.p, (size_t)end))));
        i += (size_t)end + 1;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        struct agw_str parts[] = {AGW_STR("{"), op->v[i].name, AGW_STR("}")};
        struct agw_str name = agw_arena_join(d->scratch, parts, 3);
        if (!name.p)
            return AGW_ENOMEM;
        if (op->v[i].in == AGW_OPENAPI_PATH && agw_str_search(path, name) < 0)
            return agw_openapi_error(d, AGW_EINVAL, op->params[i], "the path has no %.*s",
                                     AGW_STRF(short_text(name)));
    }
    return 0;
}

/* --- bodies --- */

static enum agw_openapi_body body_of(struct agw_str media)
{
    struct agw_str rest = media, type;
    if (!agw_str_split(&rest, ';', &type))
        return AGW_OPENAPI_BODY_NONE;
    if (is_json(media))
        return AGW_OPENAPI_BODY_JSON;
    if (agw_str_ieq(type, AGW_STR("application/x-www-form-urlencoded")))
        return AGW_OPENAPI_BODY_FORM;
    if (agw_str_ieq(type, AGW_STR("application/octet-stream")))
        return AGW_OPENAPI_BODY_BYTES;
    return agw_str_ieq(type, AGW_STR("text/plain")) ? AGW_OPENAPI_BODY_TEXT : AGW_OPENAPI_BODY_NONE;
}

/* The kind that is earliest in the enum is what a model writes best. */
static int read_body(const struct agw_openapi_doc *d, struct agw_openapi_operation *op,
                     struct agw_openapi_tool *t, struct agw_arena *arena)
{
    const struct agw_node *body = agw_node_get(op->node, "requestBody"), *m, *best = NULL;
    int rc = agw_openapi_follow(d, &body);
    if (rc != 0 || !body)
        return rc;
    agw_node_each (m, agw_node_get(body, "content")) {
        enum agw_openapi_body kind = body_of(m->key);
        if (kind == AGW_OPENAPI_BODY_NONE || (best && kind >= t->body))
            continue;
        t->body = kind;
        best = m;
    }
    if (!best)
        return agw_openapi_error(d, AGW_EUNSUPPORTED, body,
                                 "content: has none of application/json, application/x-www-form-urlencoded, "
                                 "text/plain and application/octet-stream");
    if (!agw_header_value_valid(best->key))
        return agw_openapi_error(d, AGW_EINVAL, best, "is no media type");
    t->media = agw_arena_str(arena, best->key);
    t->body_required = is_true(agw_node_get(body, "required"));
    op->body = body;
    op->body_schema = agw_node_get(best, "schema");
    return t->media.p ? 0 : AGW_ENOMEM;
}

static bool is_success(struct agw_str status)
{
    return status.n == 3 && status.p[0] == '2';
}

/* A schema is promised only where there is but one way to succeed: clients refuse what does not fit it. */
static int read_output(const struct agw_openapi_doc *d, struct agw_openapi_operation *op)
{
    const struct agw_node *m, *answer = NULL;
    unsigned ways = 0;
    agw_node_each (m, agw_node_get(op->node, "responses")) {
        if (is_success(m->key) && ways++ == 0)
            answer = m;
    }
    int rc = ways == 1 ? agw_openapi_follow(d, &answer) : 0;
    const struct agw_node *content = ways == 1 && rc == 0 ? agw_node_get(answer, "content") : NULL;
    if (rc != 0 || !content || content->count != 1 || !is_json(content->first->key))
        return rc;
    const struct agw_node *schema = agw_node_get(content->first, "schema");
    bool object = false;
    rc = schema ? agw_openapi_is_object(d, schema, &object) : 0;
    op->output = object ? schema : NULL;
    return rc;
}

int agw_openapi_read(const struct agw_openapi_doc *d, struct agw_openapi_operation *op,
                     struct agw_openapi_tool *t, struct agw_arena *arena)
{
    int rc = read_params(d, op, agw_node_get(op->item, "parameters"), arena);
    if (rc == 0)
        rc = read_params(d, op, agw_node_get(op->node, "parameters"), arena);
    if (rc == 0)
        rc = check_path(d, op);
    if (rc == 0)
        rc = read_body(d, op, t, arena);
    if (rc == 0)
        rc = read_output(d, op);
    if (rc != 0)
        return rc;
    t->param_count = op->count;
    t->params = agw_arena_copy(arena, op->v, op->count * sizeof op->v[0]);
    t->has_output = op->output != NULL;
    return t->params ? 0 : AGW_ENOMEM;
}
