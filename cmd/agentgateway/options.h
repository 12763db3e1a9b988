/* Command line and environment of the data plane. */
#ifndef AGW_CMD_OPTIONS_H
#define AGW_CMD_OPTIONS_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "config/compile/compile.h"
#include "net/addr.h"
#include "net/cidr.h"
#include "proxy/gateway.h"
#include "cmd/agentgateway/identity.h"
#include "xds/client.h"

struct options {
    const char *config; /* -f: a manifest file or a folder of them; NULL: fed by xDS */
    struct agw_xds_client_conf xds;
    const char *xds_state; /* file that keeps the last accepted config, or NULL */
    bool validate;
    unsigned workers; /* 0: one a CPU */
    bool pin;
    unsigned max_conns;            /* a worker; 0: the default */
    unsigned max_conns_per_source; /* of these; 0: all */
    uint64_t memory_limit;         /* bytes; 0: none is known */
    struct agw_cidrs trusted;      /* whose X-Forwarded fields count */
    const char *access_log;        /* "off", "stdout" or a file */
    bool access_json;
    enum agw_log_level log_level;
    bool log_json;
    struct agw_addr admin, stats, readiness;
    unsigned drain_ms;       /* SIGTERM to the end at the latest */
    unsigned leave_ms;       /* of these, connections are still accepted */
    unsigned mcp_target_ms;  /* 0: the default */
    unsigned session_age_ms; /* of MCP sessions; 0: any */
    const char *session_key; /* 64 hex digits each, comma-separated, or NULL: a random one */
    struct agw_client_limits client;
    enum agw_client_cert_mode client_cert;
    struct agw_server_limits server; /* with |h1| and |h2| */
    struct agw_h1_limits h1;
    struct agw_h2_limits h2;
    struct agw_self self; /* for load balancing by locality */
    struct identity_options identity;
    struct agw_arena arena; /* texts of the static configuration */
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_BAD };

/* Reads argv and the environment; prints help, version or what is wrong itself. */
enum options_result options_read(int argc, char **argv, struct options *ret_options);

#endif
