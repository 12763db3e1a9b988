/* Resources of the manifests to what each gateway is sent. Threads: main. */
#ifndef AGW_CONTROLLER_PUBLISH_H
#define AGW_CONTROLLER_PUBLISH_H

#include "config/resource.h"
#include "xds/server.h"

/* Makes |set| all that |server| serves. A bind, a listener and the routes attached to it go to their Gateway;
 * all else to all gateways, which cannot be told apart by whom they may call. AGW_ENOMEM, AGW_ELIMIT: some
 * of |set| may be served then and nothing was removed. */
int publish(struct agw_xds_server *server, const struct agw_resource_set *set,
            struct agw_delta_change *change, struct agw_error *err);

#endif
