#include "crypto/siv.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define KEY_SIZE 64 /* two keys of AES-256: one makes the tag, one encrypts */

struct agw_siv {
    EVP_CIPHER *cipher;                             /* fetched once: a fetch takes locks */
    unsigned char keys[AGW_SIV_KEYS_MAX][KEY_SIZE]; /* the first seals */
    unsigned count;
};

struct agw_siv *agw_siv_new(const unsigned char key[32], struct agw_str purpose)
{
    struct agw_siv *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
    if (s->cipher && agw_siv_accept(s, key, purpose) == 0)
        return s;
    ERR_clear_error();
    agw_siv_free(s);
    return NULL;
}

int agw_siv_accept(struct agw_siv *s, const unsigned char key[32], struct agw_str purpose)
{
    unsigned n = KEY_SIZE;
    if (s->count == AGW_SIV_KEYS_MAX)
        return AGW_ELIMIT;
    if (!HMAC(EVP_sha512(), key, 32, (const void *)purpose.p, purpose.n, s->keys[s->count], &n)) {
        ERR_clear_error();
        return AGW_ENOMEM;
    }
    s->count++;
    return 0;
}

void agw_siv_free(struct agw_siv *s)
{
    if (!s)
        return;
    EVP_CIPHER_free(s->cipher);
    OPENSSL_cleanse(s->keys, sizeof(s->keys));
    free(s);
}

/* The tag, then the text. */
static bool encrypt(EVP_CIPHER_CTX *ctx, const struct agw_siv *s, struct agw_str plain, unsigned char *sealed)
{
    int n;
    return EVP_EncryptInit_ex2(ctx, s->cipher, s->keys[0], NULL, NULL) &&
           EVP_EncryptUpdate(ctx, sealed + AGW_SIV_OVERHEAD, &n, (const void *)plain.p, (int)plain.n) &&
           EVP_EncryptFinal_ex(ctx, sealed + AGW_SIV_OVERHEAD + plain.n, &n) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AGW_SIV_OVERHEAD, sealed);
}

int agw_siv_close(const struct agw_siv *s, struct agw_str plain, char *out, size_t *ret_n)
{
    unsigned char sealed[AGW_SIV_MAX + AGW_SIV_OVERHEAD];
    if (plain.n == 0 || plain.n > AGW_SIV_MAX)
        return AGW_ELIMIT;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool fine = ctx && encrypt(ctx, s, plain, sealed);
    EVP_CIPHER_CTX_free(ctx);
    if (!fine) {
        ERR_clear_error();
        return AGW_ENOMEM; /* nothing else can fail here */
    }
    *ret_n = agw_base64_encode(sealed, plain.n + AGW_SIV_OVERHEAD, true, out);
    return 0;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const struct agw_siv *s, const unsigned char *key,
                    unsigned char *sealed, size_t n, void *out)
{
    int len;
    return EVP_DecryptInit_ex2(ctx, s->cipher, key, NULL, NULL) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AGW_SIV_OVERHEAD, sealed) &&
           EVP_DecryptUpdate(ctx, out, &len, sealed + AGW_SIV_OVERHEAD, (int)n) > 0;
}

int agw_siv_open(const struct agw_siv *s, struct agw_str text, void *out, size_t cap, size_t *ret_n)
{
    unsigned char sealed[AGW_SIV_SIZE(AGW_SIV_MAX)];
    size_t n;
    if (text.n > sizeof(sealed) || agw_base64_decode(text, true, sealed, &n) || n <= AGW_SIV_OVERHEAD)
        return AGW_EINVAL;
    n -= AGW_SIV_OVERHEAD;
    if (n > cap || n > AGW_SIV_MAX)
        return AGW_EINVAL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return AGW_ENOMEM;
    bool fine = false;
    for (unsigned i = 0; !fine && i < s->count; i++)
        fine = decrypt(ctx, s, s->keys[i], sealed, n, out);
    EVP_CIPHER_CTX_free(ctx);
    if (!fine) {
        ERR_clear_error();
        OPENSSL_cleanse(out, n); /* it is decrypted before the tag is compared */
        return AGW_EINVAL;
    }
    *ret_n = n;
    return 0;
}
