#include "jwt/key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include "base/check.h"

#define RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define RSA_BITS_MAX 8192 /* a check costs the square of it */
#define EC_SIZE_MAX 48

static const struct algorithm {
    const char *name, *digest;
    enum agw_jwk_type type;
    bool pss;
} algorithms[] = {
    {"RS256", "SHA256", AGW_JWK_RSA, false},  {"RS384", "SHA384", AGW_JWK_RSA, false},
    {"RS512", "SHA512", AGW_JWK_RSA, false},  {"PS256", "SHA256", AGW_JWK_RSA, true},
    {"PS384", "SHA384", AGW_JWK_RSA, true},   {"PS512", "SHA512", AGW_JWK_RSA, true},
    {"ES256", "SHA256", AGW_JWK_P256, false}, {"ES384", "SHA384", AGW_JWK_P384, false},
    {"EdDSA", NULL, AGW_JWK_ED25519, false},
};

static const struct algorithm *algorithm_of(const struct agw_jwk *key, struct agw_str alg)
{
    if (key->alg.n && !agw_str_eq(key->alg, alg))
        return NULL;
    for (size_t i = 0; i < AGW_ARRAY_LEN(algorithms); i++)
        if (algorithms[i].type == key->type && agw_str_eq(alg, agw_str_c(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

bool agw_jwk_can(const struct agw_jwk *key, struct agw_str alg)
{
    return algorithm_of(key, alg) != NULL;
}

/* --- making keys --- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
        EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    return made;
}

static EVP_PKEY *rsa_key(const struct agw_jwk *key)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const void *)key->a.p, (int)key->a.n, NULL),
           *e = BN_bin2bn((const void *)key->b.p, (int)key->b.n, NULL);
    OSSL_PARAM *params = NULL;
    if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
        params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *made = from_params("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return made;
}

static EVP_PKEY *ec_key(const struct agw_jwk *key)
{
    unsigned char point[1 + 2 * EC_SIZE_MAX];
    char *group = key->type == AGW_JWK_P256 ? (char[]){"P-256"} : (char[]){"P-384"};
    point[0] = 4; /* uncompressed */
    memcpy(point + 1, key->a.p, key->a.n);
    memcpy(point + 1 + key->a.n, key->b.p, key->b.n);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + key->a.n + key->b.n),
        OSSL_PARAM_construct_end(),
    };
    return from_params("EC", params);
}

static EVP_PKEY *make_key(const struct agw_jwk *key)
{
    switch (key->type) {
    case AGW_JWK_RSA:
        return rsa_key(key);
    case AGW_JWK_P256:
    case AGW_JWK_P384:
        return ec_key(key);
    case AGW_JWK_ED25519:
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const void *)key->a.p, key->a.n);
    }
    return NULL;
}

static int why(void)
{
    unsigned long e = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? AGW_ENOMEM : AGW_EINVAL;
}

int agw_jwk_check(const struct agw_jwk *key, struct agw_error *err)
{
    if (key->type == AGW_JWK_RSA && key->a.n > RSA_BITS_MAX / 8)
        return agw_error_set(err, AGW_EINVAL, "an RSA key of more than %d bits", RSA_BITS_MAX);
    EVP_PKEY *made = make_key(key);
    if (!made)
        return agw_error_set(err, why(), "is no public key of its type");
    int bits = EVP_PKEY_get_bits(made);
    EVP_PKEY_free(made);
    if (key->type == AGW_JWK_RSA && bits < RSA_BITS_MIN)
        return agw_error_set(err, AGW_EINVAL, "an RSA key of less than %d bits", RSA_BITS_MIN);
    return 0;
}

/* --- signatures --- */

/* r and s side by side (RFC 7518 section 3.4) as DER. -1: no such signature. */
static int ec_signature(const struct agw_jwk *key, struct agw_str raw, unsigned char *out)
{
    size_t half = key->a.n;
    if (raw.n != 2 * half)
        return -1;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const void *)raw.p, (int)half, NULL),
           *s = BN_bin2bn((const unsigned char *)raw.p + half, (int)half, NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return -1;
    }
    int n = i2d_ECDSA_SIG(sig, &out);
    ECDSA_SIG_free(sig);
    return n;
}

static bool set_padding(EVP_PKEY_CTX *ctx, const struct algorithm *a)
{
    return !a->pss || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

int agw_jwk_verify(const struct agw_jwk *key, struct agw_str alg, struct agw_str data,
                   struct agw_str signature)
{
    const struct algorithm *a = algorithm_of(key, alg);
    unsigned char der[2 * EC_SIZE_MAX + 16];
    const unsigned char *bytes = (const void *)signature.p;
    size_t n = signature.n;
    if (!a)
        return AGW_EINVAL;
    if (key->type == AGW_JWK_P256 || key->type == AGW_JWK_P384) {
        int length = ec_signature(key, signature, der);
        if (length < 0)
            return why();
        bytes = der;
        n = (size_t)length;
    }
    /* OpenSSL looks its methods up under a read lock here (principle 7): it has no other way, and nobody
     * writes. */
    EVP_PKEY *made = make_key(key);
    EVP_MD_CTX *ctx = made ? EVP_MD_CTX_new() : NULL;
    EVP_PKEY_CTX *settings = NULL;
    bool good = ctx && EVP_DigestVerifyInit_ex(ctx, &settings, a->digest, NULL, NULL, made, NULL) == 1 &&
                set_padding(settings, a) &&
                EVP_DigestVerify(ctx, bytes, n, (const void *)data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(made);
    if (good)
        return 0;
    return why();
}
