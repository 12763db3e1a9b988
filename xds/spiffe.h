/* The SPIFFE Workload API's client on gRPC C core: one FetchX509SVID stream to the agent on this machine, for
 * ever. The agent sends a response at once and whenever an identity or a bundle changes.
 *
 * The thread that calls agw_spiffe_run is the one that the callbacks run on. Ownership: the caller's; the
 * socket's text must outlive the client. Errors: AGW_EINVAL (socket), AGW_EUNSUPPORTED (no gRPC), AGW_ENOMEM.
 */
#ifndef AGW_XDS_SPIFFE_H
#define AGW_XDS_SPIFFE_H

#include "xds/svid/svid.h"

struct agw_spiffe_events {
    /* A response. The texts are wiped when it returns. */
    void (*on_svid)(void *ctx, const struct agw_svid *svid);
    /* The stream ended or could not be opened, or what came cannot be used; it is tried again. Once until the
     * next response. */
    void (*on_trouble)(void *ctx, const char *why);
};

struct agw_spiffe;
/* |socket|: "unix:///path", "unix:/path" or "tcp://ip:port", as in SPIFFE_ENDPOINT_SOCKET. */
struct agw_spiffe *agw_spiffe_new(const char *socket, const struct agw_spiffe_events *events, void *ctx,
                                  struct agw_error *err);
/* Serves until agw_spiffe_stop; once. Block the signals that gRPC's threads must not take before. */
void agw_spiffe_run(struct agw_spiffe *c);
/* Makes run return soon. Any thread, once. */
void agw_spiffe_stop(struct agw_spiffe *c);
void agw_spiffe_free(struct agw_spiffe *c); /* not while it runs; NULL is fine */

#endif
