/* Texts that are sealed to the same letters each time: AES-256-SIV (RFC 5297) without a nonce, as base64url.
 * For ids: one thing must have one id. Whoever sees two of them learns whether they are the same, and nothing
 * else; nobody makes one without the key.
 *
 * Ownership: agw_siv_new / agw_siv_free. Threads: immutable; any number of threads may share one. Errors:
 * opening answers AGW_EINVAL for every kind of damage. */
#ifndef AGW_CRYPTO_SIV_H
#define AGW_CRYPTO_SIV_H

#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

#define AGW_SIV_MAX 1024    /* bytes of plain text: an id and where it belongs */
#define AGW_SIV_OVERHEAD 16 /* the tag, bytes */
/* Bytes of the text form of |n| bytes, at most. */
#define AGW_SIV_SIZE(n) (((n) + AGW_SIV_OVERHEAD + 2) / 3 * 4)

#define AGW_SIV_KEYS_MAX 4 /* as AGW_SEAL_KEYS_MAX */

struct agw_siv;

/* The cipher's key is made of |key| for |purpose| (HMAC-SHA-512): keys of different purposes tell nothing of
 * each other. NULL: out of memory. */
struct agw_siv *agw_siv_new(const unsigned char key[32], struct agw_str purpose);
void agw_siv_free(struct agw_siv *s); /* NULL is fine */
/* From now on what |key| sealed for |purpose| is opened, too; sealing stays with the first key. Before
 * threads share |s|. AGW_ELIMIT: AGW_SIV_KEYS_MAX are there. AGW_ENOMEM. */
int agw_siv_accept(struct agw_siv *s, const unsigned char key[32], struct agw_str purpose);
/* Writes at most AGW_SIV_SIZE(plain.n) characters, no NUL. AGW_ELIMIT: empty, or too long. AGW_ENOMEM. */
int agw_siv_close(const struct agw_siv *s, struct agw_str plain, char *out, size_t *ret_n);
/* The way back. |out| has room for |cap| bytes; text.n always suffices. AGW_EINVAL, AGW_ENOMEM. */
int agw_siv_open(const struct agw_siv *s, struct agw_str text, void *out, size_t cap, size_t *ret_n);

#endif
