/* Session tickets (RFC 5077, RFC 8446 section 4.6.1): one set of keys for all workers and all contexts.
 *
 * Keys are drawn at random, never derived, and live in memory alone. The set is immutable; a handshake reads
 * it by one atomic load. Whoever first finds the newest key too old makes the next set; nobody waits for it.
 * A set that was replaced is freed at the next replacement, hours after the last handshake that looked at it.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "tls/tls_int.h"

/* Enough for those of an hour that are still good, whatever the minute. */
#define KEYS (AGW_TLS_TICKET_S * 1000 / AGW_TLS_TICKET_KEY_MS + 2)

struct key_set {
    unsigned count;
    struct agw_tls_ticket_key v[KEYS]; /* newest first */
};

static _Atomic(struct key_set *) key_set;
static struct key_set *key_set_before; /* of whoever holds key_set_making */
static atomic_flag key_set_making = ATOMIC_FLAG_INIT;
static EVP_CIPHER *ticket_cipher;
static pthread_once_t ticket_cipher_once = PTHREAD_ONCE_INIT;

static void fetch_cipher(void)
{
    ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL); /* once: each look-up takes a lock */
    ERR_clear_error();
}

static bool too_old(const struct key_set *set, uint64_t now_ms)
{
    return !set || now_ms - set->v[0].made_ms >= AGW_TLS_TICKET_KEY_MS;
}

static bool good_for_reading(const struct agw_tls_ticket_key *k, uint64_t now_ms)
{
    return now_ms - k->made_ms < AGW_TLS_TICKET_KEY_MS + AGW_TLS_TICKET_S * 1000;
}

/* |old| and a new key in front, without what nobody needs any more. NULL: no memory or no randomness. */
static struct key_set *next_set(const struct key_set *old, uint64_t now_ms)
{
    struct key_set *set = calloc(1, sizeof(*set));
    struct agw_tls_ticket_key *first = set ? &set->v[0] : NULL;

    if (!first || RAND_bytes(first->name, sizeof(first->name)) != 1 ||
        RAND_priv_bytes(first->cipher, sizeof(first->cipher)) != 1 ||
        RAND_priv_bytes(first->mac, sizeof(first->mac)) != 1) {
        free(set);
        return NULL;
    }
    first->made_ms = now_ms;
    set->count = 1;
    for (unsigned i = 0; old && i < old->count && set->count < KEYS; i++)
        if (good_for_reading(&old->v[i], now_ms))
            set->v[set->count++] = old->v[i];
    return set;
}

static void set_free(struct key_set *set)
{
    if (set)
        explicit_bzero(set, sizeof(*set));
    free(set);
}

static void rotate(uint64_t now_ms)
{
    if (atomic_flag_test_and_set_explicit(&key_set_making, memory_order_acquire))
        return;
    struct key_set *old = atomic_load_explicit(&key_set, memory_order_acquire);
    struct key_set *set = too_old(old, now_ms) ? next_set(old, now_ms) : NULL;
    if (set) {
        atomic_store_explicit(&key_set, set, memory_order_release);
        set_free(key_set_before);
        key_set_before = old;
    }
    atomic_flag_clear_explicit(&key_set_making, memory_order_release);
}

const struct agw_tls_ticket_key *agw_tls_ticket_key(uint64_t now_ms)
{
    const struct key_set *set = atomic_load_explicit(&key_set, memory_order_acquire);

    if (too_old(set, now_ms)) {
        rotate(now_ms);
        set = atomic_load_explicit(&key_set, memory_order_acquire);
    }
    return set ? &set->v[0] : NULL;
}

const struct agw_tls_ticket_key *agw_tls_ticket_key_named(const unsigned char name[16], uint64_t now_ms,
                                                          bool *ret_newest)
{
    const struct key_set *set = atomic_load_explicit(&key_set, memory_order_acquire);

    for (unsigned i = 0; set && i < set->count; i++) {
        const struct agw_tls_ticket_key *k = &set->v[i];
        if (memcmp(k->name, name, sizeof(k->name)) != 0)
            continue;
        *ret_newest = i == 0 && !too_old(set, now_ms);
        return good_for_reading(k, now_ms) ? k : NULL;
    }
    return NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct agw_tls_ticket_key *k)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof(k->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 error, 0 not ours, 1 good, 2 good and to be replaced. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    uint64_t now_ms = agw_clock_ns() / AGW_NS_PER_MS;
    const struct agw_tls_ticket_key *k;
    bool newest = true;

    if (sealing) {
        k = agw_tls_ticket_key(now_ms);
        if (!k || RAND_bytes(iv, 16) != 1)
            return -1;
        memcpy(name, k->name, sizeof(k->name));
        return EVP_EncryptInit_ex(cipher, ticket_cipher, NULL, k->cipher, iv) == 1 && set_mac(mac, k) ? 1
                                                                                                      : -1;
    }
    k = agw_tls_ticket_key_named(name, now_ms, &newest);
    if (!k)
        return 0;
    if (!set_mac(mac, k) || EVP_DecryptInit_ex(cipher, ticket_cipher, NULL, k->cipher, iv) != 1)
        return -1;
    return newest ? 1 : 2;
}

int agw_tls_use_tickets(SSL_CTX *ctx)
{
    pthread_once(&ticket_cipher_once, fetch_cipher);
    if (!ticket_cipher || !agw_tls_ticket_key(agw_clock_ns() / AGW_NS_PER_MS))
        return AGW_ENOMEM;
    SSL_CTX_set_timeout(ctx, AGW_TLS_TICKET_S);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1 ? 0 : AGW_ENOMEM;
}
