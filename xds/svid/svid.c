#include "xds/svid/svid.h"

#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "proto/message.h"
#include "proto/spiffe.pb-c.h"

#define LINE 48 /* bytes of DER a line of PEM: 64 characters, RFC 7468 section 2 */

/* The length of the DER SEQUENCE that |der| begins with, its head included; 0: there is none, or it is not
 * all there. */
static size_t sequence_length(struct agw_str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    if (der.n < 2 || p[0] != 0x30)
        return 0;
    if (p[1] < 0x80)
        return (size_t)p[1] + 2 <= der.n ? (size_t)p[1] + 2 : 0;
    size_t octets = p[1] & 0x7fu, n = 0;
    if (octets == 0 || octets > 4 || der.n < 2 + octets)
        return 0;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | p[2 + i];
    return n <= der.n - 2 - octets ? n + 2 + octets : 0;
}

static size_t block_size(size_t n, const char *label)
{
    return (n + LINE - 1) / LINE * (LINE / 3 * 4 + 1) + 2 * strlen(label) + 40;
}

/* Writes one block of PEM at |out|, which has room for block_size(der.n). */
static size_t put_block(struct agw_str der, const char *label, char *out)
{
    size_t room = block_size(der.n, label);
    size_t at = (size_t)snprintf(out, room, "-----BEGIN %s-----\n", label);
    for (size_t i = 0; i < der.n; i += LINE) {
        at += agw_base64_encode(der.p + i, der.n - i < LINE ? der.n - i : LINE, false, out + at);
        out[at++] = '\n';
    }
    return at + (size_t)snprintf(out + at, room - at, "-----END %s-----\n", label);
}

/* Certificates one behind the other. */
static int put_certs(struct agw_str der, struct agw_arena *arena, const char *what, struct agw_str *ret_pem,
                     struct agw_error *err)
{
    const char *label = "CERTIFICATE";
    struct agw_str rest = der;
    size_t count = 0, size = 0, at = 0;
    while (rest.n) {
        size_t n = sequence_length(rest);
        if (n == 0)
            return agw_error_set(err, AGW_EPROTO, "%s: certificate %zu is cut off or none", what, count + 1);
        if (++count > AGW_SVID_CERTS_MAX)
            return agw_error_set(err, AGW_ELIMIT, "%s: more than %d certificates", what, AGW_SVID_CERTS_MAX);
        size += block_size(n, label);
        rest = agw_str_from(rest, n);
    }
    if (count == 0)
        return agw_error_set(err, AGW_EPROTO, "%s: empty", what);
    char *text = agw_arena_alloc(arena, size);
    if (!text)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    for (rest = der; rest.n;) {
        size_t n = sequence_length(rest);
        at += put_block(agw_str(rest.p, n), label, text + at);
        rest = agw_str_from(rest, n);
    }
    *ret_pem = agw_str(text, at);
    return 0;
}

static int put_key(struct agw_str der, struct agw_arena *arena, struct agw_str *ret_pem,
                   struct agw_error *err)
{
    const char *label = "PRIVATE KEY";
    if (sequence_length(der) != der.n || der.n == 0)
        return agw_error_set(err, AGW_EPROTO, "x509_svid_key: is no PKCS #8 key");
    char *text = agw_arena_alloc(arena, block_size(der.n, label));
    if (!text)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    *ret_pem = agw_str(text, put_block(der, label, text));
    return 0;
}

static struct agw_str bytes_of(ProtobufCBinaryData b)
{
    return agw_str((const char *)b.data, b.len);
}

int agw_svid_parse(struct agw_str response, struct agw_arena *arena, struct agw_svid *ret_svid,
                   struct agw_error *err)
{
    void *message;
    struct agw_svid svid = {0};
    if (response.n > AGW_SVID_RESPONSE_MAX)
        return agw_error_set(err, AGW_ELIMIT, "a response of more than %u bytes", AGW_SVID_RESPONSE_MAX);
    int code = agw_proto_unpack(&spiffe__x509_svidresponse__descriptor, response.p, response.n, arena,
                                &message, err);
    if (code)
        return code;
    const Spiffe__X509SVIDResponse *all = message;
    if (all->n_svids == 0)
        return agw_error_set(err, AGW_EPROTO, "svids: empty");
    const Spiffe__X509SVID *first = all->svids[0];
    svid.id = agw_str_c(first->spiffe_id);
    code = put_certs(bytes_of(first->x509_svid), arena, "x509_svid", &svid.cert_pem, err);
    if (!code)
        code = put_certs(bytes_of(first->bundle), arena, "bundle", &svid.bundle_pem, err);
    if (!code)
        code = put_key(bytes_of(first->x509_svid_key), arena, &svid.key_pem, err);
    if (!code)
        *ret_svid = svid;
    return code;
}
