/* Digests. Pure. Threads: any. */
#ifndef AGW_CRYPTO_DIGEST_H
#define AGW_CRYPTO_DIGEST_H

#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

#define AGW_SHA256_SIZE 32

/* SHA-256 (FIPS 180-4) of |data|. AGW_ENOMEM. */
int agw_sha256(struct agw_str data, unsigned char ret_digest[AGW_SHA256_SIZE]);

#endif
