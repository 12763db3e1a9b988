#include "jwt/jwt.h"

#include "json/pointer.h"

#define HEADER_TOKENS_MAX 128 /* JSON values of a header: certificates may be among them */

struct check {
    const struct agw_jwt_keys *remote;
    struct agw_arena *arena;
    const char **why;
    uint64_t now_s;
};

static int refuse(struct check *c, const char *why)
{
    *c->why = why;
    return AGW_EINVAL;
}

/* --- form --- */

/* base64url of an object as a document in the arena. */
static int object_of(struct check *c, struct agw_str part, uint32_t limit, struct agw_json_doc *ret_doc)
{
    char *text = agw_arena_alloc(c->arena, part.n / 4 * 3 + 3);
    struct agw_json_doc doc;
    size_t n;
    if (!text)
        return AGW_ENOMEM;
    if (agw_base64_decode(part, true, text, &n) != 0)
        return refuse(c, "the token is malformed");
    agw_json_doc_init(&doc, limit);
    int code = agw_json_parse(&doc, agw_str(text, n), NULL);
    if (code == 0 && agw_json_type(&doc, 0) != AGW_JSON_OBJECT)
        code = AGW_EINVAL;
    if (code == 0) {
        *ret_doc = doc;
        ret_doc->tokens = agw_arena_copy(c->arena, doc.tokens, doc.count * sizeof *doc.tokens);
        ret_doc->cap = doc.count;
        if (!ret_doc->tokens)
            code = AGW_ENOMEM;
    }
    agw_json_doc_free(&doc);
    return code == 0 || code == AGW_ENOMEM ? code : refuse(c, "the token is malformed");
}

/* A member that is a text; empty when absent. A name that stands there twice is refused: readers would
 * differ. */
static int text_member(struct check *c, const struct agw_json_doc *doc, struct agw_str name,
                       struct agw_str *ret)
{
    uint32_t token = 0;
    *ret = AGW_STR("");
    if (agw_json_get_unique(doc, 0, name, &token) != 0)
        return refuse(c, "the token is malformed");
    if (token == 0)
        return 0;
    int code = agw_json_unescape(doc, token, c->arena, ret);
    return code == AGW_EINVAL ? refuse(c, "the token is malformed") : code;
}

/* --- claims --- */

/* Seconds since 1970, of which a fraction is cut off (RFC 7519 section 2). False: absent or no such number.
 */
static bool date_of(const struct agw_json_doc *doc, uint32_t token, uint64_t *ret)
{
    struct agw_str text = token ? agw_json_text(doc, token) : AGW_STR("");
    ptrdiff_t point = agw_str_find(text, '.');
    if (token == 0 || agw_json_type(doc, token) != AGW_JSON_NUMBER || agw_str_find(text, 'e') >= 0 ||
        agw_str_find(text, 'E') >= 0)
        return false;
    return agw_str_u64(point < 0 ? text : agw_str(text.p, (size_t)point), ret) == 0;
}

/* AGW_EINVAL unless the claim is absent or a date. */
static int date_member(struct check *c, const struct agw_json_doc *doc, struct agw_str name, bool *ret_there,
                       uint64_t *ret)
{
    uint32_t token = 0;
    if (agw_json_get_unique(doc, 0, name, &token) != 0)
        return refuse(c, "the token is malformed");
    *ret_there = token != 0;
    return token == 0 || date_of(doc, token, ret) ? 0 : refuse(c, "the token's times are malformed");
}

static int check_times(struct check *c, const struct agw_json_doc *doc)
{
    bool expires = false, begins = false;
    uint64_t exp = 0, nbf = 0;
    int code = date_member(c, doc, AGW_STR("exp"), &expires, &exp);
    if (!code)
        code = date_member(c, doc, AGW_STR("nbf"), &begins, &nbf);
    if (code)
        return code;
    if (expires && (exp > UINT64_MAX - AGW_JWT_LEEWAY_S ? false : exp + AGW_JWT_LEEWAY_S <= c->now_s))
        return refuse(c, "the token has expired");
    if (begins && nbf > c->now_s + AGW_JWT_LEEWAY_S)
        return refuse(c, "the token is not valid yet");
    return 0;
}

static bool is_audience(const struct agw_json_doc *doc, uint32_t token, const struct agw_jwt_issuer *i)
{
    for (uint32_t k = 0; agw_json_type(doc, token) == AGW_JSON_STRING && k < i->audience_count; k++)
        if (agw_json_is(doc, token, i->audiences[k]))
            return true;
    return false;
}

static int check_audience(struct check *c, const struct agw_json_doc *doc, const struct agw_jwt_issuer *i)
{
    uint32_t aud = 0;
    if (i->audience_count == 0)
        return 0;
    if (agw_json_get_unique(doc, 0, AGW_STR("aud"), &aud) != 0)
        return refuse(c, "the token is malformed");
    if (aud != 0 && is_audience(doc, aud, i))
        return 0;
    if (aud != 0) {
        agw_json_each_item(doc, aud, item)
        {
            if (is_audience(doc, item, i))
                return 0;
        }
    }
    return refuse(c, "the token is for another audience");
}

static int check_required(struct check *c, const struct agw_json_doc *doc, const struct agw_jwt_issuer *i)
{
    static const struct agw_str usual[] = {{"exp", 3}};
    const struct agw_str *names = i->required_count ? i->required : usual;
    uint32_t count = i->required_count ? i->required_count : 1;
    for (uint32_t k = 0; k < count; k++)
        if (agw_json_get(doc, 0, names[k]) == 0)
            return refuse(c, "the token lacks a claim");
    return 0;
}

/* --- signature --- */

/* A header without `kid` means the one key that can do its algorithm; guessing would let a token cost many
 * checks. */
static const struct agw_jwk *find_key(const struct agw_jwks *keys, struct agw_str kid, struct agw_str alg)
{
    const struct agw_jwk *found = NULL;
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct agw_jwk *key = &keys->v[i];
        if (!agw_jwk_can(key, alg) || (kid.n && !agw_str_eq(key->kid, kid)))
            continue;
        if (kid.n)
            return key;
        if (found)
            return NULL;
        found = key;
    }
    return found;
}

/* The key for |kid| and |alg|. A source of keys is asked again only where it may have new ones: for a name.
 */
static int choose_key(struct check *c, const struct agw_jwt_issuer *i, struct agw_str kid, struct agw_str alg,
                      const struct agw_jwk **ret_key)
{
    const struct agw_jwks *keys = &i->keys;
    int code = i->remote ? c->remote->get(c->remote->ctx, i, false, &keys) : 0;
    if (code)
        return code;
    *ret_key = find_key(keys, kid, alg);
    if (*ret_key || !i->remote || kid.n == 0)
        return 0;
    code = c->remote->get(c->remote->ctx, i, true, &keys);
    *ret_key = code ? NULL : find_key(keys, kid, alg);
    return code;
}

/* |data|: header and payload as they came. */
static int check_signature(struct check *c, const struct agw_json_doc *header, const struct agw_jwt_issuer *i,
                           struct agw_str data, struct agw_str part)
{
    struct agw_str alg, kid;
    uint32_t critical = 0;
    size_t n;
    int code = text_member(c, header, AGW_STR("alg"), &alg);
    if (!code)
        code = text_member(c, header, AGW_STR("kid"), &kid);
    if (code)
        return code;
    if (agw_json_get_unique(header, 0, AGW_STR("crit"), &critical) != 0 || critical != 0)
        return refuse(c, "the token asks for an extension");
    const struct agw_jwk *key = NULL;
    code = choose_key(c, i, kid, alg, &key);
    if (code)
        return code;
    if (!key)
        return refuse(c, "the token is signed by an unknown key");
    char *signature = agw_arena_alloc(c->arena, part.n / 4 * 3 + 3);
    if (!signature)
        return AGW_ENOMEM;
    if (agw_base64_decode(part, true, signature, &n) != 0)
        return refuse(c, "the token is malformed");
    code = agw_jwk_verify(key, alg, data, agw_str(signature, n));
    return code == AGW_EINVAL ? refuse(c, "the token's signature is wrong") : code;
}

static const struct agw_jwt_issuer *find_issuer(const struct agw_jwt_issuer *issuers, uint32_t count,
                                                struct agw_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (agw_str_eq(issuers[i].name, name))
            return &issuers[i];
    return NULL;
}

static int check_claims(struct check *c, const struct agw_json_doc *claims, const struct agw_jwt_issuer *i)
{
    int code = check_times(c, claims);
    if (!code)
        code = check_audience(c, claims, i);
    return code ? code : check_required(c, claims, i);
}

int agw_jwt_verify(const struct agw_jwt_issuer *issuers, uint32_t count, const struct agw_jwt_keys *remote,
                   struct agw_str token, uint64_t now_s, struct agw_arena *arena,
                   const struct agw_json_doc **ret_claims, const char **ret_why)
{
    struct check c = {remote, arena, ret_why, now_s};
    struct agw_json_doc header, *claims = agw_arena_alloc(arena, sizeof *claims);
    struct agw_str name;
    if (!claims)
        return AGW_ENOMEM;
    ptrdiff_t first = agw_str_find(token, '.');
    ptrdiff_t second = first < 0 ? -1 : agw_str_find(agw_str_from(token, (size_t)first + 1), '.');
    if (token.n > AGW_JWT_MAX || second < 0)
        return refuse(&c, "the token is malformed");
    struct agw_str data = agw_str(token.p, (size_t)(first + 1 + second));
    int code = object_of(&c, agw_str(token.p, (size_t)first), HEADER_TOKENS_MAX, &header);
    if (!code)
        code = object_of(&c, agw_str_from(data, (size_t)first + 1), AGW_JWT_CLAIMS_MAX, claims);
    if (!code)
        code = text_member(&c, claims, AGW_STR("iss"), &name);
    if (code)
        return code;
    const struct agw_jwt_issuer *issuer = find_issuer(issuers, count, name);
    if (!issuer)
        return refuse(&c, "the token is of another issuer");
    code = check_signature(&c, &header, issuer, data, agw_str_from(token, data.n + 1));
    if (!code)
        code = check_claims(&c, claims, issuer);
    if (!code)
        *ret_claims = claims;
    return code;
}
