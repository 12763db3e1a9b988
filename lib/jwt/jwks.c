#include "jwt/jwks.h"

#include <stdlib.h>
#include "json/pointer.h"
#include "json/tape.h"
#include "jwt/key.h"

#define JSON_TOKENS_MAX 8192 /* of a set: 64 keys with a certificate chain each have far fewer */

struct reader {
    struct agw_json_doc doc;
    struct agw_arena *arena;
    struct agw_error *err;
};

static int no_memory(struct agw_error *err)
{
    return agw_error_set(err, AGW_ENOMEM, "out of memory");
}

/* A member's text; empty when it is absent, AGW_EINVAL when it is none or stands there twice. */
static int text_of(struct reader *r, uint32_t key, const char *name, struct agw_str *ret)
{
    uint32_t token = 0;
    *ret = AGW_STR("");
    if (agw_json_get_unique(&r->doc, key, agw_str_c(name), &token) != 0)
        return agw_error_set(r->err, AGW_EINVAL, "%s stands there twice", name);
    if (token == 0)
        return 0;
    int code = agw_json_unescape(&r->doc, token, r->arena, ret);
    if (code == 0 && !(*ret = agw_arena_str(r->arena, *ret)).p)
        code = AGW_ENOMEM;
    return code == AGW_EINVAL ? agw_error_set(r->err, code, "%s must be text", name)
           : code             ? no_memory(r->err)
                              : 0;
}

/* A member that holds bytes as base64url. */
static int bytes_of(struct reader *r, uint32_t key, const char *name, struct agw_str *ret)
{
    struct agw_str text;
    size_t n;
    int code = text_of(r, key, name, &text);
    if (code)
        return code;
    char *out = agw_arena_alloc(r->arena, text.n / 4 * 3 + 3);
    if (!out)
        return no_memory(r->err);
    if (text.n == 0 || agw_base64_decode(text, true, out, &n) != 0 || n == 0)
        return agw_error_set(r->err, AGW_EINVAL, "%s is no base64url", name);
    *ret = agw_str(out, n);
    return 0;
}

/* 1: of no use here. */
static int rsa(struct reader *r, uint32_t key, struct agw_jwk *out)
{
    int code = bytes_of(r, key, "n", &out->a);
    out->type = AGW_JWK_RSA;
    return code ? code : bytes_of(r, key, "e", &out->b);
}

static int ec(struct reader *r, uint32_t key, struct agw_jwk *out)
{
    struct agw_str curve;
    int code = text_of(r, key, "crv", &curve);
    if (code)
        return code;
    if (agw_str_eq(curve, AGW_STR("P-256")))
        out->type = AGW_JWK_P256;
    else if (agw_str_eq(curve, AGW_STR("P-384")))
        out->type = AGW_JWK_P384;
    else
        return 1;
    code = bytes_of(r, key, "x", &out->a);
    if (!code)
        code = bytes_of(r, key, "y", &out->b);
    size_t size = out->type == AGW_JWK_P256 ? 32 : 48;
    if (!code && (out->a.n != size || out->b.n != size))
        code = agw_error_set(r->err, AGW_EINVAL, "x and y must be %zu bytes", size);
    return code;
}

static int okp(struct reader *r, uint32_t key, struct agw_jwk *out)
{
    struct agw_str curve;
    int code = text_of(r, key, "crv", &curve);
    if (code)
        return code;
    if (!agw_str_eq(curve, AGW_STR("Ed25519")))
        return 1;
    out->type = AGW_JWK_ED25519;
    code = bytes_of(r, key, "x", &out->a);
    if (!code && out->a.n != 32)
        code = agw_error_set(r->err, AGW_EINVAL, "x must be 32 bytes");
    return code;
}

/* `use` and `key_ops` may say that a key is for something else. */
static bool is_for_signatures(const struct reader *r, uint32_t key)
{
    uint32_t use = agw_json_get(&r->doc, key, AGW_STR("use")),
             ops = agw_json_get(&r->doc, key, AGW_STR("key_ops"));
    if (use != 0 &&
        (agw_json_type(&r->doc, use) != AGW_JSON_STRING || !agw_json_is(&r->doc, use, AGW_STR("sig"))))
        return false;
    if (ops == 0)
        return true;
    agw_json_each_item(&r->doc, ops, op)
    {
        if (agw_json_type(&r->doc, op) == AGW_JSON_STRING && agw_json_is(&r->doc, op, AGW_STR("verify")))
            return true;
    }
    return false;
}

static int read_key(struct reader *r, uint32_t key, struct agw_jwk *out)
{
    struct agw_str type;
    int code = text_of(r, key, "kty", &type);
    if (!code)
        code = text_of(r, key, "kid", &out->kid);
    if (!code)
        code = text_of(r, key, "alg", &out->alg);
    if (code)
        return code;
    if (!is_for_signatures(r, key))
        return 1;
    if (agw_str_eq(type, AGW_STR("RSA")))
        code = rsa(r, key, out);
    else if (agw_str_eq(type, AGW_STR("EC")))
        code = ec(r, key, out);
    else if (agw_str_eq(type, AGW_STR("OKP")))
        code = okp(r, key, out);
    else
        code = 1;
    return code ? code : agw_jwk_check(out, r->err);
}

static int read_keys(struct reader *r, uint32_t keys, struct agw_jwks *ret_keys)
{
    struct agw_jwk *v = agw_arena_zalloc(r->arena, AGW_JWKS_KEYS_MAX * sizeof *v);
    uint32_t count = 0, index = 0;
    if (!v)
        return no_memory(r->err);
    agw_json_each_item(&r->doc, keys, key)
    {
        if (index == AGW_JWKS_KEYS_MAX)
            return agw_error_set(r->err, AGW_ELIMIT, "more than %d keys", AGW_JWKS_KEYS_MAX);
        v[count] = (struct agw_jwk){0};
        int code = agw_json_type(&r->doc, key) == AGW_JSON_OBJECT
                       ? read_key(r, key, &v[count])
                       : agw_error_set(r->err, AGW_EINVAL, "must be an object");
        if (code < 0)
            return code == AGW_ENOMEM ? code : agw_error_prefix(r->err, "keys[%u]", index);
        count += code == 0;
        index++;
    }
    if (count == 0)
        return agw_error_set(r->err, AGW_EINVAL, "has no key for signatures that is served");
    *ret_keys = (struct agw_jwks){v, count};
    return 0;
}

int agw_jwks_parse(struct agw_str json, struct agw_arena *arena, struct agw_jwks *ret_keys,
                   struct agw_error *err)
{
    struct reader r = {.arena = arena, .err = err};
    uint32_t keys = 0;
    if (json.n > AGW_JWKS_MAX)
        return agw_error_set(err, AGW_ELIMIT, "longer than %d bytes", AGW_JWKS_MAX);
    agw_json_doc_init(&r.doc, JSON_TOKENS_MAX);
    int code = agw_json_parse(&r.doc, json, err);
    if (!code && (agw_json_get_unique(&r.doc, 0, AGW_STR("keys"), &keys) != 0 || keys == 0 ||
                  agw_json_type(&r.doc, keys) != AGW_JSON_ARRAY))
        code = agw_error_set(err, AGW_EINVAL, "is no object with a list \"keys\"");
    if (!code)
        code = read_keys(&r, keys, ret_keys);
    agw_json_doc_free(&r.doc);
    return code;
}
