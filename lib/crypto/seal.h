/* Sealed texts: small byte strings under AES-256-GCM with a random nonce, as base64url. What the gateway
 * hands to a client and later takes back without storing it (MCP session ids).
 *
 * Nonces are 96 random bits: good for 2^32 texts under one key (NIST SP 800-38D section 8.3).
 * Ownership: agw_seal_new / agw_seal_free.
 * Threads: immutable; any number of threads may share one.
 * Errors: opening answers AGW_EINVAL for every kind of damage, so that nobody learns which. */
#ifndef AGW_CRYPTO_SEAL_H
#define AGW_CRYPTO_SEAL_H

#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

#define AGW_SEAL_KEY_SIZE 32
#define AGW_SEAL_MAX 8192         /* bytes of plain text: an HTTP header field rarely may have more */
#define AGW_SEAL_CONTEXT_MAX 4096 /* bytes of context: a name or two */
#define AGW_SEAL_OVERHEAD 28      /* nonce and tag, bytes */
/* Bytes of the text form of |n| bytes, at most. */
#define AGW_SEAL_SIZE(n) (((n) + AGW_SEAL_OVERHEAD + 2) / 3 * 4)

#define AGW_SEAL_KEYS_MAX                                                                                    \
    4 /* a change of keys needs two: each more is tried for each text that is not ours */

struct agw_seal;

/* |key_hex|: 64 hexadecimal digits, or empty for a key made at random (then nothing outlives the process).
 * NULL with |err|: AGW_EINVAL, AGW_ENOMEM. */
struct agw_seal *agw_seal_new(struct agw_str key_hex, struct agw_error *err);
void agw_seal_free(struct agw_seal *s); /* NULL is fine */
/* From now on what |key| sealed is opened, too; sealing stays with the first key. Before threads share |s|.
 * AGW_ELIMIT: AGW_SEAL_KEYS_MAX are there. */
int agw_seal_accept(struct agw_seal *s, const unsigned char key[AGW_SEAL_KEY_SIZE]);

/* Seals |plain| (at most AGW_SEAL_MAX bytes) bound to |context|, which is authenticated and not stored:
 * opening needs the same. Writes at most AGW_SEAL_SIZE(plain.n) characters, no NUL. AGW_ELIMIT, AGW_ENOMEM.
 */
int agw_seal_close(const struct agw_seal *s, struct agw_str plain, struct agw_str context, char *out,
                   size_t *ret_n);
/* The way back. |out| has room for |cap| bytes; text.n always suffices. AGW_EINVAL (then |out| holds nothing
 * of it), AGW_ENOMEM. */
int agw_seal_open(const struct agw_seal *s, struct agw_str text, struct agw_str context, void *out,
                  size_t cap, size_t *ret_n);

#endif
