#include "crypto/digest.h"

#include <openssl/evp.h>

int agw_sha256(struct agw_str data, unsigned char ret_digest[AGW_SHA256_SIZE])
{
    return EVP_Digest(data.p, data.n, ret_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : AGW_ENOMEM;
}
