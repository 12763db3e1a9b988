/* The gateway's own certificate in a mesh: read from files again when they change, or told by an agent
 * through the SPIFFE Workload API; on a thread of its own.
 *
 * What is wrong, or gone, is said in the log; the last good certificate serves on. Ownership: made and freed
 * by main, after all that uses the certificate. Threads: main's. */
#ifndef AGW_CMD_IDENTITY_H
#define AGW_CMD_IDENTITY_H

#include "base/str.h"
#include "tls/own.h"

struct identity_options {
    const char *svid, *key, *bundle; /* PEM files; NULL: there are none */
    const char *socket;              /* of the agent, if there are no files; NULL: there is none */
    struct agw_str trust_domains;    /* of peers, besides our own one's; separated by commas */
};

struct identity;

/* Reads what is there and starts the thread. *ret_identity is NULL if |o| names no source: the gateway is in
 * no mesh. AGW_ENOMEM, AGW_EIO; AGW_EINVAL (the socket), AGW_EUNSUPPORTED (no gRPC). */
int identity_start(const struct identity_options *o, struct identity **ret_identity, struct agw_error *err);
/* Lives until identity_free. NULL for NULL. */
struct agw_tls_own *identity_certificate(const struct identity *i);
/* Ends the thread; the certificate stays for those who still use it. NULL is fine. */
void identity_stop(struct identity *i);
void identity_free(struct identity *i);

#endif
