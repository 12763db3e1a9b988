#include "mcp/openapi/request.h"

#include <string.h>
#include "base/check.h"

#define COOKIE_MAX 4096 /* bytes: what servers take of one field */

/* Text that grows in an arena. */
struct text {
    struct agw_arena *arena;
    char *p;
    size_t n, cap;
    int rc;
};

struct build {
    const struct agw_openapi_tool *tool;
    const struct agw_json_doc *doc;
    struct agw_arena *arena;
    struct agw_openapi_request *out;
    struct agw_error *err;
    uint32_t groups[AGW_OPENAPI_IN_COUNT], body; /* tokens; 0: absent */
    struct text target, cookie;
};

static void put(struct text *t, struct agw_str s)
{
    if (t->rc == 0 && t->n + s.n > t->cap) {
        size_t cap = (t->n + s.n) * 2 + 128;
        char *p = agw_arena_alloc(t->arena, cap);
        if (p && t->n)
            memcpy(p, t->p, t->n);
        t->rc = p ? 0 : AGW_ENOMEM;
        t->p = p ? p : t->p;
        t->cap = p ? cap : t->cap;
    }
    if (t->rc == 0 && s.n) {
        memcpy(t->p + t->n, s.p, s.n);
        t->n += s.n;
    }
}

/* All but the unreserved characters (RFC 3986 section 2.3). */
static void put_encoded(struct text *t, struct agw_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        plain |= (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        char code[] = {'%', hex[c >> 4], hex[c & 15]};
        put(t, plain ? agw_str(s.p + i, 1) : agw_str(code, 3));
    }
}

static int refuse(struct build *b, const struct agw_openapi_param *p, const char *why)
{
    return agw_error_set(b->err, AGW_EINVAL, "%s.%.*s %s", agw_openapi_in_names[p->in],
                         (int)(p->name.n < 100 ? p->name.n : 100), p->name.p, why);
}

/* --- values --- */

static bool is_container(const struct build *b, uint32_t token)
{
    enum agw_json_type type = agw_json_type(b->doc, token);
    return type == AGW_JSON_OBJECT || type == AGW_JSON_ARRAY;
}

/* A string as it is meant, other scalars as they are written. */
static int scalar(struct build *b, const struct agw_openapi_param *p, uint32_t token,
                  struct agw_str *ret_text)
{
    if (is_container(b, token))
        return refuse(b, p, "nests deeper than its style can say");
    if (agw_json_type(b->doc, token) == AGW_JSON_STRING)
        return agw_json_unescape(b->doc, token, b->arena, ret_text);
    *ret_text = agw_json_text(b->doc, token);
    return 0;
}

/* |raw|: header fields know no percent-encoding. */
static int put_scalar(struct build *b, struct text *t, const struct agw_openapi_param *p, uint32_t token,
                      bool raw)
{
    struct agw_str s;
    int rc = scalar(b, p, token, &s);
    if (rc == 0)
        (raw ? put : put_encoded)(t, s);
    return rc;
}

/* One value as its list of parts, |comma| between them; |equals| between an object's name and value. */
static int put_parts(struct build *b, struct text *t, const struct agw_openapi_param *p, uint32_t token,
                     struct agw_str comma, struct agw_str equals)
{
    bool raw = p->in == AGW_OPENAPI_HEADER, first = true;
    int rc = 0;
    if (!is_container(b, token))
        return put_scalar(b, t, p, token, raw);
    agw_json_each_item(b->doc, token, i)
    {
        if (rc != 0)
            break;
        put(t, first ? AGW_STR("") : comma);
        rc = put_scalar(b, t, p, i, raw);
        first = false;
    }
    agw_json_each_member(b->doc, token, k)
    {
        if (rc != 0)
            break;
        put(t, first ? AGW_STR("") : comma);
        rc = put_scalar(b, t, p, k, raw);
        put(t, equals);
        if (rc == 0)
            rc = put_scalar(b, t, p, k + 1, raw);
        first = false;
    }
    return rc;
}

static int put_simple(struct build *b, struct text *t, const struct agw_openapi_param *p, uint32_t token)
{
    if (p->style == AGW_OPENAPI_JSON) {
        (p->in == AGW_OPENAPI_HEADER ? put : put_encoded)(t, agw_json_text(b->doc, token));
        return 0;
    }
    return put_parts(b, t, p, token, AGW_STR(","), p->explode ? AGW_STR("=") : AGW_STR(","));
}

/* --- the path --- */

/* A server may decode a segment before it looks at dots and slashes. */
static bool climbs(struct agw_str s)
{
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '/' && s.p[i] != '\\') {
            if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
                return true;
            continue;
        }
        struct agw_str segment = agw_str(s.p + from, i - from);
        if (agw_str_eq(segment, AGW_STR(".")) || agw_str_eq(segment, AGW_STR("..")))
            return true;
        from = i + 1;
    }
    return false;
}

static int put_path_value(struct build *b, const struct agw_openapi_param *p)
{
    uint32_t token =
        b->groups[AGW_OPENAPI_PATH] ? agw_json_get(b->doc, b->groups[AGW_OPENAPI_PATH], p->name) : 0;
    struct text plain = {.arena = b->arena};
    struct agw_openapi_param as_field = *p;
    if (token == 0 || agw_json_type(b->doc, token) == AGW_JSON_NULL)
        return refuse(b, p, "is required");
    as_field.in = AGW_OPENAPI_HEADER; /* not encoded, to look at it */
    int rc = put_simple(b, &b->target, p, token);
    if (rc == 0)
        rc = put_simple(b, &plain, &as_field, token);
    if (rc != 0)
        return rc;
    if (plain.rc != 0)
        return plain.rc;
    if (plain.n == 0)
        return refuse(b, p, "must not be empty");
    if (climbs(agw_str(plain.p, plain.n)))
        return refuse(b, p, "must not have control characters or segments that are . or ..");
    return 0;
}

static const struct agw_openapi_param *find(const struct agw_openapi_tool *t, enum agw_openapi_in in,
                                            struct agw_str name)
{
    for (uint32_t i = 0; i < t->param_count; i++)
        if (t->params[i].in == in && agw_str_eq(t->params[i].name, name))
            return &t->params[i];
    return NULL;
}

static int put_path(struct build *b)
{
    struct agw_str rest = b->tool->path;
    int rc = 0;
    while (rc == 0 && rest.n > 0) {
        ptrdiff_t open = agw_str_find(rest, '{');
        put(&b->target, agw_str(rest.p, open < 0 ? rest.n : (size_t)open));
        if (open < 0)
            break;
        rest = agw_str_from(rest, (size_t)open + 1);
        size_t end = (size_t)agw_str_find(rest, '}'); /* the document was checked for it */
        const struct agw_openapi_param *p = find(b->tool, AGW_OPENAPI_PATH, agw_str(rest.p, end));
        rc = put_path_value(b, p);
        rest = agw_str_from(rest, end + 1);
    }
    if (rc == 0 && b->target.rc == 0 && climbs(agw_str(b->target.p, b->target.n)))
        return agw_error_set(b->err, AGW_EINVAL, "the path must not have segments that are . or ..");
    return rc;
}

/* --- query and cookies: pairs --- */

static void pair(struct build *b, struct text *t, struct agw_str name)
{
    bool cookie = t == &b->cookie;
    if (cookie)
        put(t, t->n ? AGW_STR("; ") : AGW_STR(""));
    else
        put(t, t->n && memchr(t->p, '?', t->n) ? AGW_STR("&") : AGW_STR("?"));
    (cookie ? put : put_encoded)(t, name);
}

static int put_exploded(struct build *b, struct text *t, const struct agw_openapi_param *p, uint32_t token)
{
    struct agw_str name;
    int rc = 0;
    agw_json_each_item(b->doc, token, i)
    {
        if (rc != 0)
            break;
        pair(b, t, p->name);
        put(t, AGW_STR("="));
        rc = put_scalar(b, t, p, i, false);
    }
    agw_json_each_member(b->doc, token, k)
    {
        if (rc == 0)
            rc = scalar(b, p, k, &name);
        if (rc != 0)
            break;
        struct agw_str lower = t == &b->cookie ? agw_arena_lower(b->arena, name) : AGW_STR("a");
        if (!lower.p)
            return AGW_ENOMEM;
        if (!agw_header_name_valid(lower))
            return refuse(b, p, "has a name that no cookie has");
        if (p->style == AGW_OPENAPI_DEEP) {
            pair(b, t, p->name);
            put(t, AGW_STR("%5B"));
            put_encoded(t, name);
            put(t, AGW_STR("%5D"));
        } else {
            pair(b, t, name);
        }
        put(t, AGW_STR("="));
        rc = put_scalar(b, t, p, k + 1, false);
    }
    return rc;
}

static int put_pairs(struct build *b, struct text *t, const struct agw_openapi_param *p, uint32_t token)
{
    static const struct agw_str commas[] = {[AGW_OPENAPI_SIMPLE] = {",", 1},
                                            [AGW_OPENAPI_FORM] = {",", 1},
                                            [AGW_OPENAPI_SPACE] = {"%20", 3},
                                            [AGW_OPENAPI_PIPE] = {"%7C", 3}};
    bool container = is_container(b, token) && p->style != AGW_OPENAPI_JSON;
    if (container && (p->explode || p->style == AGW_OPENAPI_DEEP))
        return put_exploded(b, t, p, token);
    pair(b, t, p->name);
    put(t, AGW_STR("="));
    if (p->style == AGW_OPENAPI_JSON) {
        put_encoded(t, agw_json_text(b->doc, token));
        return 0;
    }
    return container ? put_parts(b, t, p, token, commas[p->style], commas[p->style])
                     : put_scalar(b, t, p, token, false);
}

static int put_field(struct build *b, const struct agw_openapi_param *p, uint32_t token)
{
    struct text value = {.arena = b->arena};
    int rc = put_simple(b, &value, p, token);
    if (rc != 0)
        return rc;
    if (value.rc != 0)
        return value.rc;
    struct agw_str text = agw_str(value.p, value.n);
    if (value.n > COOKIE_MAX || !agw_header_value_valid(text))
        return refuse(b, p, "is no value of a field: it is too long, or has line ends or spaces at its ends");
    return agw_headers_add(&b->out->headers, agw_hdr_lookup(p->name), p->name, text);
}

static int put_param(struct build *b, const struct agw_openapi_param *p, uint32_t token)
{
    switch (p->in) {
    case AGW_OPENAPI_QUERY:
        return put_pairs(b, &b->target, p, token);
    case AGW_OPENAPI_COOKIE:
        return put_pairs(b, &b->cookie, p, token);
    case AGW_OPENAPI_HEADER:
        return put_field(b, p, token);
    default:
        return 0; /* the path is done */
    }
}

static int put_params(struct build *b)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->tool->param_count && rc == 0; i++) {
        const struct agw_openapi_param *p = &b->tool->params[i];
        uint32_t token = b->groups[p->in] ? agw_json_get(b->doc, b->groups[p->in], p->name) : 0;
        bool absent = token == 0 || agw_json_type(b->doc, token) == AGW_JSON_NULL;
        if (absent && p->required)
            rc = refuse(b, p, "is required");
        else if (!absent)
            rc = put_param(b, p, token);
    }
    if (rc == 0 && b->cookie.n > COOKIE_MAX)
        return agw_error_set(b->err, AGW_ELIMIT, "cookie has more than %d bytes", COOKIE_MAX);
    return rc ? rc : b->cookie.rc;
}

/* --- the body --- */

static int bytes(struct build *b)
{
    struct agw_str in;
    size_t n;
    int rc = agw_json_unescape(b->doc, b->body, b->arena, &in);
    char *out = rc == 0 ? agw_arena_alloc(b->arena, in.n / 4 * 3 + 3) : NULL;
    if (rc == 0 && !out)
        return AGW_ENOMEM;
    if (rc == 0)
        rc = agw_base64_decode(in, false, out, &n);
    if (rc == 0)
        b->out->body = agw_str(out, n);
    return rc == AGW_EINVAL ? agw_error_set(b->err, rc, "body must be a string in base64") : rc;
}

/* As query parameters of style form would be, without what begins them. */
static int form(struct build *b)
{
    static const struct agw_openapi_param p = {
        .name = {"body", 4}, .in = AGW_OPENAPI_QUERY, .style = AGW_OPENAPI_FORM, .explode = true};
    struct text path = b->target;
    b->target = (struct text){.arena = b->arena};
    int rc = agw_json_type(b->doc, b->body) == AGW_JSON_OBJECT ? 0 : AGW_EINVAL;
    if (rc != 0)
        agw_error_set(b->err, rc, "body must be an object");
    agw_json_each_member(b->doc, b->body, k)
    {
        struct agw_openapi_param field = p;
        if (rc == 0)
            rc = scalar(b, &p, k, &field.name);
        if (rc == 0)
            rc = put_pairs(b, &b->target, &field, k + 1);
    }
    if (rc == 0)
        rc = b->target.rc;
    if (rc == 0 && b->target.n > 0)
        b->out->body = agw_str(b->target.p + 1, b->target.n - 1);
    b->target = path;
    return rc;
}

static int put_body(struct build *b)
{
    int rc = 0;
    if (b->body == 0)
        return b->tool->body_required ? agw_error_set(b->err, AGW_EINVAL, "body is required") : 0;
    switch (b->tool->body) {
    case AGW_OPENAPI_BODY_NONE:
        return agw_error_set(b->err, AGW_EINVAL, "there is no argument body");
    case AGW_OPENAPI_BODY_JSON:
        b->out->body = agw_json_text(b->doc, b->body);
        break;
    case AGW_OPENAPI_BODY_FORM:
        rc = form(b);
        break;
    case AGW_OPENAPI_BODY_TEXT:
        rc = agw_json_unescape(b->doc, b->body, b->arena, &b->out->body);
        if (rc == AGW_EINVAL)
            agw_error_set(b->err, rc, "body must be a string");
        break;
    case AGW_OPENAPI_BODY_BYTES:
        rc = bytes(b);
        break;
    }
    return rc ? rc : agw_headers_add_id(&b->out->headers, AGW_HDR_CONTENT_TYPE, b->tool->media);
}

/* --- all of it --- */

static int check_names(struct build *b, unsigned in, uint32_t group)
{
    struct agw_str name = {0};
    int rc = 0;
    if (agw_json_type(b->doc, group) != AGW_JSON_OBJECT)
        return agw_error_set(b->err, AGW_EINVAL, "%s must be an object", agw_openapi_in_names[in]);
    agw_json_each_member(b->doc, group, k)
    {
        rc = agw_json_unescape(b->doc, k, b->arena, &name);
        if (rc == 0 && !find(b->tool, in, name))
            rc = agw_error_set(b->err, AGW_EINVAL, "there is no argument %s.%.*s", agw_openapi_in_names[in],
                               (int)(name.n < 100 ? name.n : 100), name.p);
        if (rc != 0)
            break;
    }
    return rc;
}

static int read_groups(struct build *b, uint32_t arguments)
{
    int rc = 0;
    if (arguments == 0)
        return 0;
    if (agw_json_type(b->doc, arguments) != AGW_JSON_OBJECT)
        return agw_error_set(b->err, AGW_EINVAL, "arguments must be an object");
    agw_json_each_member(b->doc, arguments, k)
    {
        unsigned in = 0;
        while (in < AGW_OPENAPI_IN_COUNT && !agw_json_is(b->doc, k, agw_str_c(agw_openapi_in_names[in])))
            in++;
        if (in < AGW_OPENAPI_IN_COUNT)
            rc = check_names(b, in, b->groups[in] = k + 1);
        else if (agw_json_is(b->doc, k, AGW_STR("body")))
            b->body = k + 1;
        else
            rc =
                agw_error_set(b->err, AGW_EINVAL, "arguments are path, query, header, cookie and body alone");
        if (rc != 0)
            break;
    }
    return rc;
}

int agw_openapi_request(const struct agw_openapi_tool *t, const struct agw_json_doc *doc, uint32_t arguments,
                        struct agw_arena *arena, struct agw_openapi_request *ret_request,
                        struct agw_error *err)
{
    struct agw_openapi_request out = {0};
    struct build b = {.tool = t, .doc = doc, .arena = arena, .out = &out, .err = err};
    b.target.arena = b.cookie.arena = arena;
    agw_headers_init(&out.headers, arena);
    int rc = read_groups(&b, arguments);
    if (rc == 0)
        rc = agw_headers_add_id(&out.headers, AGW_HDR_ACCEPT, AGW_STR("application/json, */*;q=0.5"));
    if (rc == 0)
        rc = put_path(&b);
    if (rc == 0)
        rc = put_params(&b);
    if (rc == 0)
        rc = put_body(&b);
    if (rc == 0)
        rc = b.target.rc;
    if (rc == 0 && b.target.n > AGW_OPENAPI_TARGET_MAX)
        rc = agw_error_set(err, AGW_ELIMIT, "path and query have more than %d bytes", AGW_OPENAPI_TARGET_MAX);
    if (rc == 0 && b.cookie.n)
        rc = agw_headers_add_id(&out.headers, AGW_HDR_COOKIE, agw_str(b.cookie.p, b.cookie.n));
    if (rc != 0)
        return rc;
    out.path = agw_str(b.target.p, b.target.n);
    *ret_request = out;
    return 0;
}
