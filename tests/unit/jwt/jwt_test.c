#include "jwt/jwt.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "json/pointer.h"

/* RFC 7515 appendix A.2 and A.3, RFC 8037 appendix A. */
#define RSA_N                                                                                                \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-" \
    "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"        \
    "KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"    \
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RSA_KEY "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}"
#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_KEY                                                                                               \
    "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define ED_X "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define ED_KEY "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\"," ED_X "}"
#define JOE ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
#define RS256                                                                                                \
    "eyJhbGciOiJSUzI1NiJ9" JOE                                                                               \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"                  \
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L0" \
    "7Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6L" \
    "bgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define ES256                                                                                                \
    "eyJhbGciOiJFUzI1NiJ9" JOE                                                                               \
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define JOE_EXPIRES 1300819380

static struct agw_arena arena;

static int setup(void **state)
{
    agw_arena_init(&arena, 4096, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

static struct agw_jwks keys(const char *json)
{
    struct agw_jwks made;
    struct agw_error err = {0};
    if (agw_jwks_parse(agw_str_c(json), &arena, &made, &err) != 0)
        fail_msg("%s: %s", json, err.text);
    return made;
}

static const char *verify(const struct agw_jwt_issuer *i, struct agw_str token, uint64_t now,
                          const struct agw_json_doc **ret_claims)
{
    const char *why = "?";
    int rc = agw_jwt_verify(i, 1, NULL, token, now, &arena, ret_claims, &why);
    assert_true(rc == 0 || rc == AGW_EINVAL);
    return rc == 0 ? NULL : why;
}

static void vectors_of_the_standards(void **state)
{
    static const char *const tokens[] = {RS256, ES256};
    const struct agw_jwt_issuer joe = {.name = AGW_STR("joe"),
                                       .keys = keys("{\"keys\":[" RSA_KEY "," EC_KEY "," ED_KEY "]}")};
    const struct agw_json_doc *claims;
    for (size_t i = 0; i < AGW_ARRAY_LEN(tokens); i++) {
        struct agw_str t = agw_str_c(tokens[i]);
        assert_null(verify(&joe, t, JOE_EXPIRES, &claims));
        assert_true(agw_json_is(claims, agw_json_get(claims, 0, AGW_STR("iss")), AGW_STR("joe")));
        assert_string_equal(verify(&joe, t, JOE_EXPIRES + AGW_JWT_LEEWAY_S, &claims),
                            "the token has expired");
        /* any letter of it changed, or one cut off */
        for (size_t k = 0; k < t.n; k += 7) {
            struct agw_str copy = agw_arena_str(&arena, t);
            ((char *)copy.p)[k] = t.p[k] == 'A' ? 'B' : 'A';
            assert_non_null(verify(&joe, copy, JOE_EXPIRES, &claims));
        }
        assert_non_null(verify(&joe, agw_str(t.p, t.n - 1), JOE_EXPIRES, &claims));
    }
    const struct agw_jwk *ed = &joe.keys.v[2];
    char sig[96];
    size_t n;
    assert_int_equal(
        agw_base64_decode(
            AGW_STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
            true, sig, &n),
        0);
    assert_int_equal(agw_jwk_verify(ed, AGW_STR("EdDSA"),
                                    AGW_STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
                                    agw_str(sig, n)),
                     0);
    assert_int_equal(agw_jwk_verify(ed, AGW_STR("EdDSA"), AGW_STR("other"), agw_str(sig, n)), AGW_EINVAL);
    assert_int_equal(agw_jwk_verify(ed, AGW_STR("RS256"), AGW_STR("other"), agw_str(sig, n)), AGW_EINVAL);
}

static char *encode(const char *text)
{
    char *out = agw_arena_alloc(&arena, AGW_BASE64_SIZE(strlen(text)) + 1);
    out[agw_base64_encode(text, strlen(text), true, out)] = 0;
    return out;
}

/* Signed with the key of RFC 8037. */
static struct agw_str token(const char *header, const char *claims)
{
    unsigned char seed[32], sig[64];
    size_t n = sizeof sig;
    assert_int_equal(
        agw_base64_decode(AGW_STR("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"), true, seed, &n), 0);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct agw_str data = agw_arena_printf(&arena, "%s.%s", encode(header), encode(claims));
    n = sizeof sig;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const void *)data.p, data.n), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    char text[128];
    size_t length = agw_base64_encode(sig, n, true, text);
    return agw_arena_printf(&arena, "%.*s.%.*s", AGW_STRF(data), (int)length, text);
}

#define HEADER "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}"
#define CLAIMS(more) "{\"iss\":\"me\",\"aud\":\"tools\"," more "}"

static void what_tokens_must_say(void **state)
{
    static const struct {
        const char *header, *claims, *want;
    } cases[] = {
        {HEADER, CLAIMS("\"exp\":1000"), NULL},
        {HEADER, "{\"iss\":\"me\",\"aud\":[\"x\",\"tools\"],\"exp\":1000.5,\"nbf\":900,\"sub\":\"a\"}", NULL},
        {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"}", CLAIMS("\"exp\":1000"), NULL},
        {HEADER, CLAIMS("\"exp\":900"), NULL}, /* clocks differ */
        {HEADER, CLAIMS("\"exp\":840"), "the token has expired"},
        {HEADER, CLAIMS("\"exp\":1000,\"nbf\":960"), NULL},
        {HEADER, CLAIMS("\"exp\":1000,\"nbf\":961"), "the token is not valid yet"},
        {HEADER, CLAIMS("\"x\":1"), "the token lacks a claim"},
        {HEADER, CLAIMS("\"exp\":\"1000\""), "the token's times are malformed"},
        {HEADER, CLAIMS("\"exp\":1e9"), "the token's times are malformed"},
        {HEADER, CLAIMS("\"exp\":-1"), "the token's times are malformed"},
        {HEADER, CLAIMS("\"exp\":1000,\"exp\":2000"), "the token is malformed"},
        {HEADER, CLAIMS("\"exp\":18446744073709551615"), NULL},
        {HEADER, CLAIMS("\"exp\":1000,\"nbf\":null"), "the token's times are malformed"},
        {HEADER, "{\"iss\":\"you\",\"aud\":\"tools\",\"exp\":1000}", "the token is of another issuer"},
        {HEADER, "{\"iss\":[\"me\"],\"aud\":\"tools\",\"exp\":1000}", "the token is malformed"},
        {HEADER, "{\"aud\":\"tools\",\"exp\":1000}", "the token is of another issuer"},
        {HEADER, "{\"iss\":\"me\",\"aud\":\"other\",\"exp\":1000}", "the token is for another audience"},
        {HEADER, "{\"iss\":\"me\",\"aud\":[\"tool\",1],\"exp\":1000}", "the token is for another audience"},
        {HEADER, "{\"iss\":\"me\",\"exp\":1000}", "the token is for another audience"},
        {HEADER, "[]", "the token is malformed"},
        {HEADER, "{", "the token is malformed"},
        {"[]", CLAIMS("\"exp\":1000"), "the token is malformed"},
        {"{\"alg\":\"none\"}", CLAIMS("\"exp\":1000"), "the token is signed by an unknown key"},
        {"{\"alg\":\"HS256\",\"kid\":\"ed\"}", CLAIMS("\"exp\":1000"),
         "the token is signed by an unknown key"},
        {"{\"alg\":\"RS256\",\"kid\":\"ed\"}", CLAIMS("\"exp\":1000"),
         "the token is signed by an unknown key"},
        {"{\"alg\":\"EdDSA\",\"kid\":\"other\"}", CLAIMS("\"exp\":1000"),
         "the token is signed by an unknown key"},
        {"{\"kid\":\"ed\"}", CLAIMS("\"exp\":1000"), "the token is signed by an unknown key"},
        {"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}", CLAIMS("\"exp\":1000"), "the token is malformed"},
        {"{\"alg\":\"EdDSA\",\"crit\":[\"b64\"]}", CLAIMS("\"exp\":1000"), "the token asks for an extension"},
    };
    static const struct agw_str audiences[] = {{"mail", 4}, {"tools", 5}};
    const struct agw_jwt_issuer me = {.name = AGW_STR("me"),
                                      .audiences = audiences,
                                      .audience_count = 2,
                                      .keys = keys("{\"keys\":[" RSA_KEY "," ED_KEY "]}")};
    const struct agw_json_doc *claims;
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        const char *got = verify(&me, token(cases[i].header, cases[i].claims), 900, &claims);
        if (!got != !cases[i].want || (got && strcmp(got, cases[i].want) != 0))
            fail_msg("case %zu: %s", i, got ? got : "taken");
    }
    static const char *const broken[] = {"", ".", "..", "a.b", "...", "e30.e30.", "e30.e30.e30.e30"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(broken); i++)
        assert_non_null(verify(&me, agw_str_c(broken[i]), 900, &claims));
    struct agw_str good = token(HEADER, CLAIMS("\"exp\":1000"));
    assert_string_equal(verify(&me, agw_str(good.p, good.n - 86), 900, &claims),
                        "the token's signature is wrong");
}

static void claims_that_are_required(void **state)
{
    static const struct agw_str names[] = {{"sub", 3}};
    const struct agw_jwt_issuer me = {.name = AGW_STR("me"),
                                      .required = names,
                                      .required_count = 1,
                                      .keys = keys("{\"keys\":[" ED_KEY "]}")};
    const struct agw_json_doc *claims;
    assert_string_equal(verify(&me, token(HEADER, CLAIMS("\"exp\":1000")), 900, &claims),
                        "the token lacks a claim");
    assert_null(verify(&me, token(HEADER, CLAIMS("\"sub\":\"a\"")), 900, &claims));
}

/* Without kid one key alone is meant, and one with `alg` is for that alone. */
static void which_key_is_meant(void **state)
{
    static const char two[] = "{\"keys\":[" ED_KEY ",{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," ED_X "}]}";
    const struct agw_jwt_issuer me = {.name = AGW_STR("me"), .keys = keys(two)};
    const struct agw_json_doc *claims;
    assert_string_equal(verify(&me, token("{\"alg\":\"EdDSA\"}", CLAIMS("\"exp\":1000")), 900, &claims),
                        "the token is signed by an unknown key");
    assert_null(verify(&me, token(HEADER, CLAIMS("\"exp\":1000")), 900, &claims));
    struct agw_jwks one =
        keys("{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS512\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}]}");
    assert_true(agw_jwk_can(&one.v[0], AGW_STR("RS512")) && !agw_jwk_can(&one.v[0], AGW_STR("RS256")));
}

static void sets_of_keys(void **state)
{
    static const struct {
        const char *json, *want;
    } bad[] = {
        {"", NULL},
        {"[]", "is no object with a list \"keys\""},
        {"{\"keys\":{}}", "is no object with a list \"keys\""},
        {"{\"keys\":[]}", "has no key for signatures that is served"},
        {"{\"keys\":[1]}", "keys[0]: must be an object"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "has no key for signatures that is served"},
        {"{\"keys\":[{\"kty\":\"EC\",\"use\":\"enc\"}]}", "has no key for signatures that is served"},
        {"{\"keys\":[{\"kty\":\"EC\",\"key_ops\":[\"sign\"]}]}", "has no key for signatures that is served"},
        {"{\"keys\":[{\"kty\":1}]}", "keys[0]: kty must be text"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"RSA\"}]}", "keys[0]: kty stands there twice"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", "keys[0]: n is no base64url"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
         "keys[0]: an RSA key of less than 2048 bits"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}",
         "keys[0]: x and y must be 32 bytes"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
         ",\"y\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
         "keys[0]: is no public key of its type"},
        {"{\"keys\":[" ED_KEY ",{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}]}",
         "keys[1]: x must be 32 bytes"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++) {
        struct agw_jwks made;
        struct agw_error err = {0};
        assert_int_equal(agw_jwks_parse(agw_str_c(bad[i].json), &arena, &made, &err), AGW_EINVAL);
        if (bad[i].want)
            assert_string_equal(err.text, bad[i].want);
    }
    assert_int_equal(
        keys("{\"keys\":[{\"kty\":\"oct\"},{\"kty\":\"EC\",\"crv\":\"secp256k1\"}," EC_KEY "]}").count, 1);
}

static void limits(void **state)
{
    struct agw_jwks made;
    struct agw_error err = {0};
    struct agw_str many = AGW_STR("{\"keys\":[{}");
    char *long_text = agw_arena_alloc(&arena, AGW_JWKS_MAX + 1);
    for (int i = 0; i < AGW_JWKS_KEYS_MAX; i++)
        many = agw_arena_printf(&arena, "%.*s,{}", AGW_STRF(many));
    many = agw_arena_printf(&arena, "%.*s]}", AGW_STRF(many));
    assert_int_equal(agw_jwks_parse(many, &arena, &made, &err), AGW_ELIMIT);
    memset(long_text, ' ', AGW_JWKS_MAX + 1);
    assert_int_equal(agw_jwks_parse(agw_str(long_text, AGW_JWKS_MAX + 1), &arena, &made, &err), AGW_ELIMIT);
    const struct agw_jwt_issuer me = {.name = AGW_STR("me"), .keys = keys("{\"keys\":[" ED_KEY "]}")};
    const struct agw_json_doc *claims;
    char *pad = agw_arena_alloc(&arena, AGW_JWT_MAX);
    memset(pad, 'a', AGW_JWT_MAX - 1);
    pad[AGW_JWT_MAX - 1] = 0;
    struct agw_str large = agw_arena_printf(&arena, CLAIMS("\"exp\":1000,\"pad\":\"%s\""), pad);
    assert_string_equal(verify(&me, token(HEADER, large.p), 900, &claims), "the token is malformed");
}

static void without_memory(void **state)
{
    const struct agw_jwt_issuer me = {.name = AGW_STR("me"), .keys = keys("{\"keys\":[" ED_KEY "]}")};
    struct agw_str good = token(HEADER, CLAIMS("\"exp\":1000"));
    for (long n = 1;; n++) {
        struct agw_arena own;
        const struct agw_json_doc *claims;
        struct agw_jwks made;
        struct agw_error err = {0};
        const char *why;
        agw_arena_init(&own, 1, 0);
        failmalloc_at(n);
        int a = agw_jwks_parse(AGW_STR("{\"keys\":[" EC_KEY "]}"), &own, &made, &err);
        int b = a ? a : agw_jwt_verify(&me, 1, NULL, good, 900, &own, &claims, &why);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(b, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&own);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_standards),
        cmocka_unit_test(what_tokens_must_say),
        cmocka_unit_test(claims_that_are_required),
        cmocka_unit_test(which_key_is_meant),
        cmocka_unit_test(sets_of_keys),
        cmocka_unit_test(limits),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
