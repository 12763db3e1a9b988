/* A worker on the test's own thread, with one bind, one listener, one route "/" and one backend, and scripted
 * peers on both sides. Each test is a script: the client says, the backend expects, the backend says, the
 * client expects. */
#ifndef TESTS_PROXY_RIG_H
#define TESTS_PROXY_RIG_H

#include "config/snapshot_build.h"
#include "net/peer.h"
#include "proxy/acceptor.h"
#include "proxy/gateway.h"

struct rig {
    struct agw_gateway gateway;
    struct agw_worker worker;
    struct agw_snapshot *snap;
    struct agw_route *route;     /* to be changed before the first request */
    struct agw_backend *backend; /* likewise */
    int listener;                /* the backend's */
    struct agw_addr addr;        /* of the gateway */
};

extern struct rig rig;

int rig_set_up(void **state);
/* Ends the worker; fails if anything is still pinned or open. */
int rig_tear_down(void **state);
/* The next snapshot: as the first, or without the bind. */
void rig_publish(bool with_bind);
/* Makes the route lead to an MCP backend whose one target is the scripted one. */
void rig_make_mcp(void);
void rig_connect(struct peer *client);
void rig_accept(struct peer *backend);
/* A GET that is answered 200 with a body of two bytes: the connection to the backend is a used one
 * afterwards. */
void rig_warm_up(struct peer *client, struct peer *backend);
/* The connections of clients that the worker holds. */
unsigned rig_conns(void);
/* Fails unless requests are served, on new connections. */
void rig_check_serves(void);

#endif
