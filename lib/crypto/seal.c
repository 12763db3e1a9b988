#include "crypto/seal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "base/rng.h"

#define NONCE_SIZE 12
#define TAG_SIZE 16

_Static_assert(NONCE_SIZE + TAG_SIZE == AGW_SEAL_OVERHEAD, "seal layout");

struct agw_seal {
    EVP_CIPHER *cipher;                                       /* fetched once: a fetch takes locks */
    unsigned char keys[AGW_SEAL_KEYS_MAX][AGW_SEAL_KEY_SIZE]; /* the first seals */
    unsigned count;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_key(struct agw_str hex, unsigned char *key, struct agw_error *err)
{
    if (hex.n == 0) {
        agw_random(key, AGW_SEAL_KEY_SIZE);
        return 0;
    }
    if (hex.n != 2 * AGW_SEAL_KEY_SIZE)
        return agw_error_set(err, AGW_EINVAL, "key: expected %d hexadecimal digits, got %zu characters",
                             2 * AGW_SEAL_KEY_SIZE, hex.n);
    for (size_t i = 0; i < AGW_SEAL_KEY_SIZE; i++) {
        int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return agw_error_set(err, AGW_EINVAL, "key: not hexadecimal");
        key[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

struct agw_seal *agw_seal_new(struct agw_str key_hex, struct agw_error *err)
{
    struct agw_seal *s = calloc(1, sizeof(*s));

    if (!s) {
        agw_error_set(err, AGW_ENOMEM, "key: %s", agw_err_text(AGW_ENOMEM));
        return NULL;
    }
    if (parse_key(key_hex, s->keys[0], err))
        goto fail;
    s->count = 1;
    s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (!s->cipher) {
        ERR_clear_error();
        agw_error_set(err, AGW_ENOMEM, "key: no AES-256-GCM");
        goto fail;
    }
    return s;
fail:
    agw_seal_free(s);
    return NULL;
}

void agw_seal_free(struct agw_seal *s)
{
    if (!s)
        return;
    EVP_CIPHER_free(s->cipher);
    OPENSSL_cleanse(s->keys, sizeof(s->keys));
    free(s);
}

int agw_seal_accept(struct agw_seal *s, const unsigned char key[AGW_SEAL_KEY_SIZE])
{
    if (s->count == AGW_SEAL_KEYS_MAX)
        return AGW_ELIMIT;
    memcpy(s->keys[s->count++], key, AGW_SEAL_KEY_SIZE);
    return 0;
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct agw_seal *s, struct agw_str plain,
                    struct agw_str context, unsigned char *sealed)
{
    unsigned char *body = sealed + NONCE_SIZE;
    int n;

    return EVP_EncryptInit_ex2(ctx, s->cipher, s->keys[0], sealed, NULL) &&
           (context.n == 0 || EVP_EncryptUpdate(ctx, NULL, &n, (const void *)context.p, (int)context.n)) &&
           (plain.n == 0 || EVP_EncryptUpdate(ctx, body, &n, (const void *)plain.p, (int)plain.n)) &&
           EVP_EncryptFinal_ex(ctx, body + plain.n, &n) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, body + plain.n);
}

int agw_seal_close(const struct agw_seal *s, struct agw_str plain, struct agw_str context, char *out,
                   size_t *ret_n)
{
    unsigned char sealed[AGW_SEAL_MAX + AGW_SEAL_OVERHEAD];

    if (plain.n > AGW_SEAL_MAX || context.n > AGW_SEAL_CONTEXT_MAX)
        return AGW_ELIMIT;
    agw_random(sealed, NONCE_SIZE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool fine = ctx && encrypt(ctx, s, plain, context, sealed);
    EVP_CIPHER_CTX_free(ctx);
    if (!fine) {
        ERR_clear_error();
        return AGW_ENOMEM; /* nothing else can fail here */
    }
    *ret_n = agw_base64_encode(sealed, plain.n + AGW_SEAL_OVERHEAD, true, out);
    return 0;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const struct agw_seal *s, const unsigned char *key,
                    unsigned char *sealed, size_t n, struct agw_str context, void *out)
{
    unsigned char *body = sealed + NONCE_SIZE, last[TAG_SIZE];
    int len;

    return EVP_DecryptInit_ex2(ctx, s->cipher, key, sealed, NULL) &&
           (context.n == 0 || EVP_DecryptUpdate(ctx, NULL, &len, (const void *)context.p, (int)context.n)) &&
           (n == 0 || EVP_DecryptUpdate(ctx, out, &len, body, (int)n)) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, body + n) &&
           EVP_DecryptFinal_ex(ctx, last, &len) > 0;
}

int agw_seal_open(const struct agw_seal *s, struct agw_str text, struct agw_str context, void *out,
                  size_t cap, size_t *ret_n)
{
    unsigned char sealed[AGW_SEAL_SIZE(AGW_SEAL_MAX)];
    size_t n;

    if (text.n > sizeof(sealed) || context.n > AGW_SEAL_CONTEXT_MAX ||
        agw_base64_decode(text, true, sealed, &n) || n < AGW_SEAL_OVERHEAD)
        return AGW_EINVAL;
    n -= AGW_SEAL_OVERHEAD;
    if (n > cap || n > AGW_SEAL_MAX)
        return AGW_EINVAL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return AGW_ENOMEM;
    bool fine = false;
    for (unsigned i = 0; !fine && i < s->count; i++)
        fine = decrypt(ctx, s, s->keys[i], sealed, n, context, out);
    EVP_CIPHER_CTX_free(ctx);
    if (!fine) {
        ERR_clear_error();
        OPENSSL_cleanse(out, n); /* GCM decrypts before it knows */
        return AGW_EINVAL;
    }
    *ret_n = n;
    return 0;
}
