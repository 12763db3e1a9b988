/* What an agent says of who we are: a response of the SPIFFE Workload API, as PEM texts. Pure.
 *
 * Ownership: the texts live in the arena. Threads: any. */
#ifndef AGW_XDS_SVID_SVID_H
#define AGW_XDS_SVID_SVID_H

#include "base/arena.h"
#include "base/err.h"

/* A chain has some KB and a bundle some hundred; those of other trust domains come along unasked. */
#define AGW_SVID_RESPONSE_MAX (4u << 20)
#define AGW_SVID_RESPONSE_MEMORY (5 * AGW_SVID_RESPONSE_MAX) /* unpacked, and as text */
#define AGW_SVID_CERTS_MAX 1024 /* of one text: more authorities than any trust domain has */

struct agw_svid {
    struct agw_str id;         /* "spiffe://..." */
    struct agw_str cert_pem;   /* leaf first */
    struct agw_str key_pem;    /* to be wiped by whoever frees the arena */
    struct agw_str bundle_pem; /* of our own trust domain */
};

/* The first identity of a response: the one to use where nobody asks for another (X.509-SVID profile of the
 * Workload API, section 5.2.1). AGW_EPROTO: malformed, or without a certificate, key or bundle; AGW_ELIMIT,
 * AGW_ENOMEM. */
int agw_svid_parse(struct agw_str response, struct agw_arena *arena, struct agw_svid *ret_svid,
                   struct agw_error *err);

#endif
