/* Signed tokens (JSON Web Token, RFC 7519, in the compact form of RFC 7515), checked as RFC 8725 asks.
 *
 * Pure: bytes and a time in, claims out. Ownership: what comes out lives in the arena given. Threads: any;
 * nothing of the issuers is written. */
#ifndef AGW_JWT_JWT_H
#define AGW_JWT_JWT_H

#include "json/tape.h"
#include "jwt/jwks.h"

#define AGW_JWT_MAX 16384       /* bytes: tokens come in a header field */
#define AGW_JWT_CLAIMS_MAX 4096 /* JSON values: a field of that size holds hardly more */
#define AGW_JWT_LEEWAY_S 60     /* by how much clocks may differ */

/* Whose tokens are taken, and which. */
struct agw_jwt_issuer {
    struct agw_str name;             /* `iss` */
    const struct agw_str *audiences; /* one of them in `aud`; none: not looked at */
    const struct agw_str *required;  /* claims that must be there; none: `exp` */
    uint32_t audience_count, required_count;
    struct agw_jwks keys;
    const void *remote; /* the keys are elsewhere: asked of struct agw_jwt_keys; NULL: these are all */
};

/* Who has the keys of issuers with |remote|. 0, or an error that agw_jwt_verify returns as it is. |unknown|:
 * those that it gave lack the one that the token names; nobody has looked at the signature yet. */
struct agw_jwt_keys {
    int (*get)(void *ctx, const struct agw_jwt_issuer *i, bool unknown, const struct agw_jwks **ret_keys);
    void *ctx;
};

/* Checks form, signature and claims of |token|: `iss`, `aud`, `exp`, `nbf` and those required. 0 with the
 * claims, an object. AGW_EINVAL with |*ret_why|, static text for the client, which says nothing of keys.
 * AGW_ENOMEM. |remote| may be NULL where no issuer needs it. */
int agw_jwt_verify(const struct agw_jwt_issuer *issuers, uint32_t count, const struct agw_jwt_keys *remote,
                   struct agw_str token, uint64_t now_s, struct agw_arena *arena,
                   const struct agw_json_doc **ret_claims, const char **ret_why);

#endif
