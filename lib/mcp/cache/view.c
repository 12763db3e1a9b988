#include "mcp/cache/view.h"

#include "base/check.h"

#define S(text)                                                                                              \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }
#define FIELD_PARTS 4 /* name, colon, value, line end */

static bool is_among(struct agw_str name, const struct agw_str *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (agw_str_eq(name, list[i]))
            return true;
    return false;
}

/* Another in each request, whoever sends it. */
static bool is_of_one_request(struct agw_str name)
{
    static const struct agw_str list[] = {S("traceparent"),       S("tracestate"),   S("baggage"),
                                          S("x-request-id"),      S("x-b3-traceid"), S("x-b3-spanid"),
                                          S("x-b3-parentspanid"), S("x-b3-sampled"), S("b3")};
    return is_among(name, list, AGW_ARRAY_LEN(list));
}

static bool names_user(struct agw_str name)
{
    static const struct agw_str list[] = {S("authorization"), S("cookie"), S("x-api-key"),
                                          S("x-forwarded-for"), S("x-forwarded-client-cert")};
    return is_among(name, list, AGW_ARRAY_LEN(list));
}

static int digest_of(struct agw_arena *arena, const struct agw_str *parts, size_t count,
                     unsigned char ret_digest[AGW_SHA256_SIZE])
{
    struct agw_str text = agw_arena_join(arena, parts, count);
    return text.p ? agw_sha256(text, ret_digest) : AGW_ENOMEM;
}

/* Names and values of fields hold no line ends, so that the text can be read in one way alone. */
static size_t add_field(struct agw_str *parts, const struct agw_header *h)
{
    parts[0] = h->name;
    parts[1] = AGW_STR(":");
    parts[2] = h->value;
    parts[3] = AGW_STR("\n");
    return FIELD_PARTS;
}

int agw_mcp_view_asker(const struct agw_headers *headers, bool (*sent)(const struct agw_header *h),
                       struct agw_arena *arena, struct agw_mcp_view *view)
{
    size_t room = ((size_t)headers->n * FIELD_PARTS + 1) * sizeof(struct agw_str), users = 0, anyones = 0;
    struct agw_str *user = agw_arena_alloc(arena, room), *anyone = agw_arena_alloc(arena, room);
    if (!user || !anyone)
        return AGW_ENOMEM;
    user[users++] = AGW_STR("user\n");
    anyone[anyones++] = AGW_STR("anyone\n");
    for (uint32_t i = 0; i < headers->n; i++) {
        const struct agw_header *h = &headers->v[i];
        if (!sent(h) || is_of_one_request(h->name))
            continue;
        users += add_field(user + users, h);
        if (!names_user(h->name))
            anyones += add_field(anyone + anyones, h);
    }
    int rc = digest_of(arena, user, users, view->user);
    return rc == 0 ? digest_of(arena, anyone, anyones, view->anyone) : rc;
}

/* Members of _meta that are about one request. */
static bool passes(const struct agw_json_doc *doc, uint32_t key)
{
    static const struct agw_str list[] = {S("progressToken"), S("traceparent"), S("tracestate"),
                                          S("baggage")};
    for (size_t i = 0; i < AGW_ARRAY_LEN(list); i++)
        if (agw_json_is(doc, key, list[i]))
            return false;
    return true;
}

bool agw_mcp_view_plain(const struct agw_json_doc *doc, uint32_t params)
{
    uint32_t meta = 0;
    if (params == 0)
        return true;
    if (agw_json_get_unique(doc, params, AGW_STR("_meta"), &meta) != 0)
        return false;
    agw_json_each_member(doc, params, key)
    {
        if (!agw_json_is(doc, key, AGW_STR("_meta")) && !agw_json_is(doc, key, AGW_STR("cursor")))
            return false;
    }
    return true;
}

int agw_mcp_view_asked(const struct agw_json_doc *doc, uint32_t meta, struct agw_str method,
                       struct agw_str revision, struct agw_arena *arena, struct agw_mcp_view *view)
{
    uint32_t tokens = meta ? doc->tokens[meta].next - meta : 0;
    struct agw_str *parts = agw_arena_alloc(arena, (4 + (size_t)tokens) * sizeof *parts);
    size_t n = 0;
    if (!parts)
        return AGW_ENOMEM;
    parts[n++] = method;
    parts[n++] = AGW_STR("\n");
    parts[n++] = revision;
    parts[n++] = AGW_STR("\n");
    if (meta != 0) {
        agw_json_each_member(doc, meta, key)
        {
            if (!passes(doc, key))
                continue;
            parts[n++] = agw_json_text(doc, key);
            parts[n++] = agw_json_text(doc, key + 1);
        }
    }
    return digest_of(arena, parts, n, view->asked);
}

int agw_mcp_view_mix(unsigned char digest[AGW_SHA256_SIZE], struct agw_str more, struct agw_arena *arena)
{
    struct agw_str parts[] = {agw_str((const char *)digest, AGW_SHA256_SIZE), more};
    return digest_of(arena, parts, 2, digest);
}
