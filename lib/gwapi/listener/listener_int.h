/* What Gateways and ListenerSets do with their listeners. */
#ifndef AGW_GWAPI_LISTENER_LISTENER_INT_H
#define AGW_GWAPI_LISTENER_LISTENER_INT_H

#include "gwapi/listener/listener.h"

/* The listeners of |p|'s object; |separator| stands between its name and theirs in their keys. */
int agw_gwapi_read_listeners(struct agw_translate *t, struct agw_gwapi_parent *p, char separator);
/* False for a protocol that nobody serves, which becomes a condition. */
bool agw_gwapi_check_protocol(struct agw_translate *t, const struct agw_gwapi_place *place,
                              const struct agw_gwapi_listener *l);
/* Accepts |l|, and adds its resources. */
int agw_gwapi_put_listener(struct agw_translate *t, const struct agw_gwapi_parent *p,
                           struct agw_gwapi_listener *l);
/* True if the two Gateways listen on a common address. */
bool agw_gwapi_share_address(const struct agw_gwapi_gateway *a, const struct agw_gwapi_gateway *b);

#endif
