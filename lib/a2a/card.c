#include "a2a/card.h"

#include "base/check.h"
#include "json/edit.h"
#include "json/pointer.h"

#define CARD_TOKENS_MAX 65536 /* 1 MiB of tokens: a card lists skills, hundreds at most */

static const struct agw_str ends[] = {
    {"/.well-known/agent-card.json", 28},
    {"/.well-known/agent.json", 23},
    {"/extendedAgentCard", 18}, /* from here on calls of HTTP+JSON */
    {"/v1/card", 8},
};
#define EXTENDED 2 /* in ends */

static struct agw_str without_query(struct agw_str path)
{
    ptrdiff_t q = agw_str_find(path, '?');
    return q < 0 ? path : agw_str(path.p, (size_t)q);
}

static struct agw_str without_end(struct agw_str path, struct agw_str end)
{
    return agw_str_ends(path, end) ? agw_str(path.p, path.n - end.n) : path;
}

bool agw_a2a_card_paths(struct agw_str path, struct agw_str backend_path, struct agw_a2a_base *ret_base)
{
    struct agw_str client = without_query(path), agent = without_query(backend_path);
    for (size_t i = 0; i < AGW_ARRAY_LEN(ends); i++) {
        if (!agw_str_ends(agent, ends[i]))
            continue;
        ret_base->path = without_end(client, ends[i]);
        ret_base->backend_path = without_end(agent, ends[i]);
        if (i >= EXTENDED) /* below the binding's path, where other bindings are not */
            agw_a2a_call_paths(client, agent, ret_base);
        return true;
    }
    return false;
}

void agw_a2a_call_paths(struct agw_str path, struct agw_str backend_path, struct agw_a2a_base *ret_base)
{
    struct agw_str client = without_query(path), agent = without_query(backend_path);
    size_t same = 0, whole = 0;
    while (same < client.n && same < agent.n && client.p[client.n - 1 - same] == agent.p[agent.n - 1 - same])
        if (client.p[client.n - 1 - same++] == '/')
            whole = same;
    ret_base->path = agw_str(client.p, client.n - whole);
    ret_base->backend_path = agw_str(agent.p, agent.n - whole);
}

struct rewriter {
    struct agw_json_doc doc;
    struct agw_json_edits edits;
    const struct agw_a2a_base *base;
    uint32_t card; /* token of the card */
    unsigned urls; /* found */
};

/* What follows the authority of an http(s) URL; p NULL for other URLs. */
static struct agw_str after_authority(struct agw_str url)
{
    size_t from = agw_str_ieq(agw_str(url.p, url.n < 7 ? url.n : 7), AGW_STR("http://"))    ? 7
                  : agw_str_ieq(agw_str(url.p, url.n < 8 ? url.n : 8), AGW_STR("https://")) ? 8
                                                                                            : 0;
    if (from == 0)
        return agw_str(NULL, 0);
    while (from < url.n && url.p[from] != '/' && url.p[from] != '?' && url.p[from] != '#')
        from++;
    return agw_str_from(url, from);
}

/* |path| without |base| before it, if it stands there as whole segments. */
static struct agw_str relative_to(struct agw_str path, struct agw_str base)
{
    if (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    if (base.n == 0 || !agw_str_starts(path, base))
        return path;
    struct agw_str rest = agw_str_from(path, base.n);
    return rest.n == 0 || rest.p[0] == '/' || rest.p[0] == '?' || rest.p[0] == '#' ? rest : path;
}

static int rewrite_url(struct rewriter *r, uint32_t token, struct agw_error *err)
{
    struct agw_str url;
    int rc = token ? agw_json_unescape(&r->doc, token, r->edits.arena, &url) : AGW_EINVAL;
    if (rc != 0)
        return agw_error_set(
            err, rc, rc == AGW_EINVAL ? "an interface's url is missing or no string" : "out of memory");
    r->urls++;
    struct agw_str rest = after_authority(url);
    if (!rest.p)
        return 0;
    struct agw_str path = r->base->path;
    if (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    struct agw_str parts[] = {r->base->scheme, AGW_STR("://"), r->base->authority, path,
                              relative_to(rest, r->base->backend_path)};
    struct agw_str joined = agw_arena_join(r->edits.arena, parts, AGW_ARRAY_LEN(parts));
    if (!joined.p || agw_json_edits_string(&r->edits, &r->doc, token, joined) != 0)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    return 0;
}

/* The member |name| of |object|, 0 when absent. */
static int member(struct rewriter *r, uint32_t object, struct agw_str name, uint32_t *ret_value,
                  struct agw_error *err)
{
    if (agw_json_get_unique(&r->doc, object, name, ret_value) != 0)
        return agw_error_set(err, AGW_EINVAL, "\"%.*s\" stands there twice", AGW_STRF(name));
    return 0;
}

static int rewrite_interfaces(struct rewriter *r, struct agw_str name, struct agw_error *err)
{
    uint32_t list, url;
    int rc = member(r, r->card, name, &list, err);
    if (rc != 0 || list == 0)
        return rc;
    agw_json_each_item(&r->doc, list, item)
    {
        if ((rc = member(r, item, AGW_STR("url"), &url, err)) != 0 || (rc = rewrite_url(r, url, err)) != 0)
            return rc;
    }
    return 0;
}

/* Cuts a member of the card out, with one of the commas around it. */
static int drop_member(struct rewriter *r, uint32_t value)
{
    const struct agw_json_token *t = r->doc.tokens, *key = &t[value - 1];
    uint32_t from = key->offset, to = t[value].offset + t[value].length, next = t[value].next, before = 0;
    agw_json_each_member(&r->doc, r->card, k)
    {
        if (k + 1 == value)
            break;
        before = k + 1;
    }
    if (before != 0)
        from = t[before].offset + t[before].length;
    else if (next < t[r->card].next)
        to = t[next].offset;
    return agw_json_edits_add(&r->edits, from, to - from, AGW_STR(""));
}

static int rewrite_members(struct rewriter *r, struct agw_error *err)
{
    uint32_t url, signatures;
    int rc;
    if (agw_json_type(&r->doc, r->card) != AGW_JSON_OBJECT)
        return agw_error_set(err, AGW_EINVAL, "the card is no object");
    if ((rc = member(r, r->card, AGW_STR("url"), &url, err)) != 0 ||
        (url != 0 && (rc = rewrite_url(r, url, err)) != 0) ||
        (rc = rewrite_interfaces(r, AGW_STR("additionalInterfaces"), err)) != 0 ||
        (rc = rewrite_interfaces(r, AGW_STR("supportedInterfaces"), err)) != 0)
        return rc;
    if (r->urls == 0)
        return agw_error_set(err, AGW_EINVAL, "the card names no url");
    if ((rc = member(r, r->card, AGW_STR("signatures"), &signatures, err)) != 0)
        return rc;
    if (signatures != 0 && drop_member(r, signatures) != 0)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    return 0;
}

static int apply(struct rewriter *r, struct agw_str card, struct agw_arena *arena, struct agw_str *ret_card)
{
    struct agw_chain out;
    agw_chain_init(&out);
    int rc = agw_json_edits_apply(&r->edits, card, NULL, &out);
    char *text = rc == 0 ? agw_arena_alloc(arena, out.bytes) : NULL;
    if (rc == 0 && !text)
        rc = AGW_ENOMEM;
    if (rc == 0)
        *ret_card = agw_str(text, agw_chain_peek(&out, text, out.bytes));
    agw_chain_clear(&out);
    return rc;
}

int agw_a2a_rewrite_card(struct agw_str card, bool jsonrpc, const struct agw_a2a_base *base,
                         struct agw_arena *arena, struct agw_str *ret_card, struct agw_error *err)
{
    struct rewriter r = {.base = base};
    agw_json_doc_init(&r.doc, CARD_TOKENS_MAX);
    agw_json_edits_init(&r.edits, arena);
    int rc = agw_json_parse(&r.doc, card, err);
    if (rc == 0 && jsonrpc)
        rc = member(&r, 0, AGW_STR("result"), &r.card, err);
    if (rc == 0 && (!jsonrpc || r.card != 0))
        rc = rewrite_members(&r, err);
    if (rc == 0 && (rc = apply(&r, card, arena, ret_card)) != 0)
        agw_error_set(err, rc, "%s", agw_err_text(rc));
    agw_json_doc_free(&r.doc);
    return rc;
}
