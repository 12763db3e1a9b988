#include "websocket/websocket.h"

#include <openssl/sha.h>
#include "base/err.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define KEY_MAX 64                                  /* bytes of a key that we answer; a real one has 24 */
#define ACCEPT_TEXT 28                              /* base64 of a SHA-1 */

static const struct agw_str key_name = {"sec-websocket-key", 17}, accept_name = {"sec-websocket-accept", 20};

bool agw_websocket_is(struct agw_str upgrade)
{
    return agw_str_ieq(upgrade, AGW_STR("websocket"));
}

int agw_websocket_add_key(struct agw_headers *req, const unsigned char *nonce)
{
    char text[(AGW_WEBSOCKET_NONCE + 2) / 3 * 4];
    size_t n = agw_base64_encode(nonce, AGW_WEBSOCKET_NONCE, false, text);
    struct agw_str key = agw_arena_str(req->arena, agw_str(text, n));
    return key.p ? agw_headers_set(req, key_name, key) : AGW_ENOMEM;
}

/* False without a key. */
static bool accept_of(const struct agw_headers *req, char out[ACCEPT_TEXT])
{
    const struct agw_header *key = agw_headers_find(req, key_name);
    unsigned char text[KEY_MAX + sizeof(GUID) - 1], digest[SHA_DIGEST_LENGTH];
    if (!key || key->value.n == 0 || key->value.n > KEY_MAX)
        return false;
    memcpy(text, key->value.p, key->value.n);
    memcpy(text + key->value.n, GUID, sizeof(GUID) - 1);
    SHA1(text, key->value.n + sizeof(GUID) - 1, digest);
    agw_base64_encode(digest, sizeof(digest), false, out);
    return true;
}

int agw_websocket_add_accept(struct agw_headers *resp, const struct agw_headers *req)
{
    char text[ACCEPT_TEXT];
    if (!accept_of(req, text))
        return AGW_EINVAL;
    struct agw_str accept = agw_arena_str(resp->arena, agw_str(text, sizeof(text)));
    return accept.p ? agw_headers_set(resp, accept_name, accept) : AGW_ENOMEM;
}

bool agw_websocket_accepted(const struct agw_headers *resp, const struct agw_headers *req)
{
    const struct agw_header *accept = agw_headers_find(resp, accept_name);
    char text[ACCEPT_TEXT];
    return accept && accept_of(req, text) && agw_str_eq(accept->value, agw_str(text, sizeof(text)));
}
