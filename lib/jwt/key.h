/* One key as OpenSSL sees it. As jwt/jwks.h. */
#ifndef AGW_JWT_KEY_H
#define AGW_JWT_KEY_H

#include "jwt/jwks.h"

/* Whether |key| is a sound public key of its type: AGW_EINVAL with the reason, AGW_ENOMEM. */
int agw_jwk_check(const struct agw_jwk *key, struct agw_error *err);

#endif
