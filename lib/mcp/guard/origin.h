/* Which web pages may ask (MCP, "Transports", Security Warning): against DNS rebinding, where a page of a
 * stranger reaches this machine under a name that the stranger's DNS gives to it.
 *
 * Programs send no Origin and are not concerned. A page of the gateway's own host is let through where that
 * host cannot be a stranger's: an IP address, localhost, or a name that the configuration has. Pure. Threads:
 * any. */
#ifndef AGW_MCP_GUARD_ORIGIN_H
#define AGW_MCP_GUARD_ORIGIN_H

#include "config/snapshot.h"

struct agw_mcp_origin {
    struct agw_str authority; /* Host as the client sent it */
    bool named;               /* a hostname of the listener or of one of its routes fits it */
    bool allowed;             /* a CORS policy on the way allows the Origin */
};

/* NULL: it may ask; otherwise why not, static text for the client. */
const char *agw_mcp_origin_refused(const struct agw_mcp_backend *b, const struct agw_mcp_origin *o,
                                   const struct agw_headers *h);

#endif
