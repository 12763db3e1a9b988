/* All operations of a document, as tools. */
#include <string.h>
#include "base/check.h"
#include "mcp/openapi/openapi_int.h"

#define SCRATCH (64u << 10)
#define SCRATCH_MAX (256u << 20) /* the YAML loader's limits make a tree of 50 MB at most */
#define BASE_MAX 1024            /* bytes of a server's path, as of any MCP target's */

struct reading {
    struct agw_openapi_doc doc;
    struct agw_arena *arena;
    struct agw_openapi *table;
    struct agw_openapi_tool *tools;
    struct agw_str base;
    size_t bytes; /* of all tools */
};

/* --- the base path --- */

/* |url| with the defaults of its variables. */
static int fill_variables(struct reading *r, const struct agw_node *server, struct agw_str *url)
{
    const struct agw_node *variable;
    int rc = 0;
    agw_node_each (variable, agw_node_get(server, "variables")) {
        const struct agw_node *value = agw_node_get(variable, "default");
        struct agw_str braces[] = {AGW_STR("{"), variable->key, AGW_STR("}")};
        struct agw_str name = agw_arena_join(r->doc.scratch, braces, 3);
        ptrdiff_t at = name.p ? agw_str_search(*url, name) : -1;
        if (!name.p)
            return AGW_ENOMEM;
        if (at < 0 || !value)
            continue;
        struct agw_str parts[] = {agw_str(url->p, (size_t)at), value->text,
                                  agw_str_from(*url, (size_t)at + name.n)};
        *url = agw_arena_join(r->doc.scratch, parts, 3);
        rc = url->p ? rc : AGW_ENOMEM;
        if (rc != 0)
            return rc;
    }
    return rc;
}

static bool is_base(struct agw_str path)
{
    struct agw_str rest = path, segment;
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= 0x20 || (unsigned char)path.p[i] >= 0x7f ||
            strchr("?#\\{}%", path.p[i]))
            return false;
    while (agw_str_split(&rest, '/', &segment))
        if (agw_str_eq(segment, AGW_STR(".")) || agw_str_eq(segment, AGW_STR("..")))
            return false;
    return path.n <= BASE_MAX && (path.n == 0 || path.p[0] == '/');
}

static int read_base(struct reading *r)
{
    const struct agw_node *servers = agw_node_get(r->doc.root, "servers");
    const struct agw_node *server = servers && servers->type == AGW_NODE_LIST ? servers->first : NULL;
    struct agw_str url = agw_node_text(server, "url");
    int rc = fill_variables(r, server, &url);
    if (rc != 0)
        return rc;
    ptrdiff_t scheme = agw_str_search(url, AGW_STR("://"));
    if (scheme >= 0) {
        url = agw_str_from(url, (size_t)scheme + 3);
        ptrdiff_t slash = agw_str_find(url, '/');
        url = slash < 0 ? AGW_STR("") : agw_str_from(url, (size_t)slash);
    }
    while (url.n > 0 && url.p[url.n - 1] == '/')
        url.n--;
    if (!is_base(url))
        return agw_openapi_error(&r->doc, AGW_EINVAL, server, "url: its path must begin with / and be plain");
    r->base = url;
    return 0;
}

/* --- names --- */

static bool is_plain(unsigned char c)
{
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* Letters, digits, '_', '-' and '.' stay (MCP, "Tool Names"), others become '_'; of a path, several in a row
 * become one. */
static struct agw_str clean(struct agw_str s, bool squeeze, struct agw_arena *arena)
{
    char *out = agw_arena_alloc(arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n && n < AGW_OPENAPI_NAME_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = is_plain(c);
        if (!plain && squeeze && n > 0 && out[n - 1] == '_')
            continue;
        out[n++] = plain ? (char)c : '_';
    }
    while (squeeze && n > 0 && out[n - 1] == '_')
        n--;
    return agw_str(out, n);
}

static int name_tool(struct reading *r, const struct agw_openapi_operation *op, struct agw_openapi_tool *t)
{
    const struct agw_node *id = agw_node_get(op->node, "operationId");
    if (id && id->text.n) {
        t->name = clean(id->text, false, r->arena);
    } else {
        struct agw_str parts[] = {op->node->key, op->path->key},
                       both = agw_arena_join(r->doc.scratch, parts, 2);
        t->name = both.p ? clean(both, true, r->arena) : both;
    }
    if (!t->name.p)
        return AGW_ENOMEM;
    if (agw_openapi_find(r->table, t->name))
        return agw_openapi_error(&r->doc, AGW_EINVAL, op->node, "another operation is the tool %.*s, too",
                                 AGW_STRF(t->name));
    return 0;
}

/* --- operations --- */

static int write_tool(struct reading *r, const struct agw_openapi_operation *op, struct agw_openapi_tool *t)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    int rc = agw_openapi_describe(&r->doc, op, t, &w);
    if (rc == 0)
        rc = agw_json_writer_end(&w);
    if (rc == 0) {
        t->json = agw_arena_str(r->arena, agw_json_writer_text(&w));
        r->bytes += t->json.n;
        if (!t->json.p)
            rc = AGW_ENOMEM;
        else if (r->bytes > AGW_OPENAPI_TEXT_MAX)
            rc = agw_openapi_error(&r->doc, AGW_ELIMIT, op->node, "with it the tools have more than %u bytes",
                                   AGW_OPENAPI_TEXT_MAX);
    }
    agw_json_writer_free(&w);
    return rc;
}

static int leave_out(struct reading *r)
{
    if (r->table->left_out++ > 0)
        return 0;
    r->table->reason = agw_arena_str(r->arena, agw_str_c(r->doc.err->text));
    return r->table->reason.p ? 0 : AGW_ENOMEM;
}

static int add_operation(struct reading *r, const struct agw_node *item, const struct agw_node *path,
                         const struct agw_node *node, struct agw_str method)
{
    struct agw_openapi_operation *op = agw_arena_zalloc(r->doc.scratch, sizeof *op);
    struct agw_openapi_tool *t = &r->tools[r->table->count];
    if (!op)
        return AGW_ENOMEM;
    if (node->type != AGW_NODE_MAP)
        return agw_openapi_error(&r->doc, AGW_EINVAL, node, "must be an object");
    if (r->table->count == AGW_OPENAPI_TOOLS_MAX)
        return agw_openapi_error(&r->doc, AGW_ELIMIT, node, "is one more than the %d operations there may be",
                                 AGW_OPENAPI_TOOLS_MAX);
    *t = (struct agw_openapi_tool){.method = method};
    op->node = node;
    op->item = item;
    op->path = path;
    int rc = name_tool(r, op, t);
    if (rc == 0)
        rc = agw_openapi_read(&r->doc, op, t, r->arena);
    if (rc == AGW_EUNSUPPORTED)
        return leave_out(r);
    struct agw_str parts[] = {r->base, path->key};
    if (rc == 0 && !(t->path = agw_arena_join(r->arena, parts, 2)).p)
        rc = AGW_ENOMEM;
    if (rc == 0)
        rc = write_tool(r, op, t);
    r->table->count += rc == 0;
    return rc;
}

static int add_path(struct reading *r, const struct agw_node *path)
{
    static const struct {
        const char *key, *method;
    } methods[] = {{"get", "GET"},         {"put", "PUT"},   {"post", "POST"},  {"delete", "DELETE"},
                   {"options", "OPTIONS"}, {"head", "HEAD"}, {"patch", "PATCH"}};
    const struct agw_node *n, *item = path;
    if (agw_str_starts(path->key, AGW_STR("x-")))
        return 0;
    if (path->key.n == 0 || path->key.p[0] != '/')
        return agw_openapi_error(&r->doc, AGW_EINVAL, path, "must begin with /");
    int rc = agw_openapi_follow(&r->doc, &item);
    if (rc == 0 && item->type != AGW_NODE_MAP)
        rc = agw_openapi_error(&r->doc, AGW_EINVAL, item, "must be an object");
    for (n = item->first; n && rc == 0; n = n->next)
        for (size_t i = 0; i < AGW_ARRAY_LEN(methods); i++)
            if (rc == 0 && agw_str_eq(n->key, agw_str_c(methods[i].key)))
                rc = add_operation(r, item, path, n, agw_str_c(methods[i].method));
    return rc;
}

/* --- all of it --- */

static int read_info(struct reading *r)
{
    const struct agw_node *info = agw_node_get(r->doc.root, "info");
    r->table->title = agw_arena_str(r->arena, agw_node_text(info, "title"));
    r->table->version = agw_arena_str(r->arena, agw_node_text(info, "version"));
    r->table->description = agw_arena_str(r->arena, agw_node_text(info, "description"));
    return r->table->title.p && r->table->version.p && r->table->description.p ? 0 : AGW_ENOMEM;
}

static int read_all(struct reading *r)
{
    const struct agw_node *paths = agw_node_get(r->doc.root, "paths");
    int rc = read_info(r);
    if (rc == 0)
        rc = read_base(r);
    if (rc == 0 && (!paths || paths->type != AGW_NODE_MAP))
        rc = agw_openapi_error(&r->doc, AGW_EINVAL, r->doc.root, "paths: must be an object");
    for (const struct agw_node *n = rc == 0 ? paths->first : NULL; n && rc == 0; n = n->next)
        rc = add_path(r, n);
    if (rc == 0 && r->table->count == 0)
        rc = agw_openapi_error(&r->doc, AGW_EINVAL, paths,
                               r->table->left_out ? "has no operation that is supported: %.*s"
                                                  : "is empty%.*s",
                               AGW_STRF(r->table->reason));
    return rc;
}

int agw_openapi_load(struct agw_str text, struct agw_arena *arena, const struct agw_openapi **ret_table,
                     struct agw_error *err)
{
    struct agw_error own = {0};
    struct agw_arena scratch;
    agw_arena_init(&scratch, SCRATCH, SCRATCH_MAX);
    struct reading r = {.doc = {.scratch = &scratch, .err = err ? err : &own}, .arena = arena};
    r.table = agw_arena_zalloc(arena, sizeof *r.table);
    r.tools = agw_arena_zalloc(&scratch, (AGW_OPENAPI_TOOLS_MAX + 1) * sizeof *r.tools);
    int rc = r.table && r.tools ? agw_openapi_open(&r.doc, text) : AGW_ENOMEM;
    if (rc == 0) {
        r.table->tools = r.tools;
        rc = read_all(&r);
    }
    if (rc == 0) {
        r.table->tools = agw_arena_copy(arena, r.tools, r.table->count * sizeof *r.tools);
        rc = r.table->tools ? 0 : AGW_ENOMEM;
    }
    if (rc == 0) {
        *r.doc.err = (struct agw_error){0}; /* it had what is left out */
        *ret_table = r.table;
    }
    if (rc == AGW_ENOMEM)
        agw_error_set(err, rc, "out of memory");
    agw_arena_free(&scratch);
    return rc;
}

const struct agw_openapi_tool *agw_openapi_find(const struct agw_openapi *o, struct agw_str name)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (agw_str_eq(o->tools[i].name, name))
            return &o->tools[i];
    return NULL;
}
