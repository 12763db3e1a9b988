/* Public keys that verify signatures of tokens (JSON Web Key, RFC 7517 and 7518; Ed25519, RFC 8037).
 *
 * A set is plain bytes in the arena given, and OpenSSL's form of a key is made for each signature: nothing of
 * it is counted or locked between workers, and a configuration may hold it. Threads: parsing on one; reading
 * on any. */
#ifndef AGW_JWT_JWKS_H
#define AGW_JWT_JWKS_H

#include "base/arena.h"
#include "base/err.h"

#define AGW_JWKS_MAX 65536   /* bytes, as the API has it */
#define AGW_JWKS_KEYS_MAX 64 /* providers publish a handful; each is looked at for a token */

enum agw_jwk_type { AGW_JWK_RSA, AGW_JWK_P256, AGW_JWK_P384, AGW_JWK_ED25519 };

struct agw_jwk {
    enum agw_jwk_type type;
    struct agw_str kid;  /* empty: none */
    struct agw_str alg;  /* the only one it is for; empty: any that its type can */
    struct agw_str a, b; /* big-endian: RSA modulus and exponent; EC x and y; Ed25519: the key */
};

struct agw_jwks {
    const struct agw_jwk *v;
    uint32_t count;
};

/* Keys for other ends than signatures, of other types or curves are left out (RFC 7517 section 5). RSA keys
 * from 2048 to 8192 bits alone. AGW_EINVAL: no set of keys, a key that is malformed or not on its curve, or
 * no key at all that can be used. AGW_ELIMIT, AGW_ENOMEM. */
int agw_jwks_parse(struct agw_str json, struct agw_arena *arena, struct agw_jwks *ret_keys,
                   struct agw_error *err);

/* Whether |signature| of |data| is by |key| with |alg| ("RS256", ...). AGW_EINVAL: it is not, or |alg| is
 * none of the key's type (RFC 8725 section 3.1). AGW_ENOMEM. */
int agw_jwk_verify(const struct agw_jwk *key, struct agw_str alg, struct agw_str data,
                   struct agw_str signature);
/* Whether the type of |key| can |alg| and it may be used for it. */
bool agw_jwk_can(const struct agw_jwk *key, struct agw_str alg);

#endif
