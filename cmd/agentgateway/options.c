#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/option.h"
#include "config/snapshot.h"
#include "event/memory.h"
#include "gwapi/schema/names.h"
#include "cmd/agentgateway/bootstrap.h"
#include "cmd/agentgateway/options.h"

#define PROGRAM "agentgateway"

enum {
    OPT_VALIDATE = 256,
    OPT_WORKERS,
    OPT_NO_PIN,
    OPT_MAX_CONNECTIONS,
    OPT_MAX_PER_SOURCE,
    OPT_MEMORY_LIMIT,
    OPT_TRUSTED_PROXIES,
    OPT_CLIENT_CERT,
    OPT_ACCESS_LOG,
    OPT_ACCESS_FORMAT,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option names[] = {
    {"file", required_argument, NULL, 'f'},
    {"validate", no_argument, NULL, OPT_VALIDATE},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"no-pin", no_argument, NULL, OPT_NO_PIN},
    {"max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
    {"max-connections-per-source", required_argument, NULL, OPT_MAX_PER_SOURCE},
    {"memory-limit", required_argument, NULL, OPT_MEMORY_LIMIT},
    {"trusted-proxies", required_argument, NULL, OPT_TRUSTED_PROXIES},
    {"forward-client-cert", required_argument, NULL, OPT_CLIENT_CERT},
    {"access-log", required_argument, NULL, OPT_ACCESS_LOG},
    {"access-log-format", required_argument, NULL, OPT_ACCESS_FORMAT},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "agentgateway: the gateway for AI agent traffic (data plane)\n"
    "\n"
    "  agentgateway -f DIR [options]                    manifests from files\n"
    "  XDS_ADDRESS=http://HOST:PORT NAMESPACE=N GATEWAY=G agentgateway [-f FILE] [options]\n"
    "                                                   told by a control plane\n"
    "\n"
    "  -f, --file PATH            Gateway API manifests: a folder of YAML files, or one file;\n"
    "                             or a static configuration file with `config:`\n"
    "      --validate             only check the manifests: exit 0 if they are good, 1 if not\n"
    "      --workers N            worker threads (default: the CPUs this process may use)\n"
    "      --no-pin               do not pin workers to CPUs\n"
    "      --max-connections N    of clients at once, a worker (default: 100000)\n"
    "      --max-connections-per-source N   of these, of one address or IPv6 /64 (default: all)\n"
    "      --memory-limit MIB     sheds load near it; off: never (default: that of the control group)\n"
    "      --trusted-proxies L    whose X-Forwarded-* fields count: addresses, ranges, private, none\n"
    "      --forward-client-cert M   X-Forwarded-Client-Cert: sanitize (default), sanitize-set, "
    "append-forward,\n"
    "                             forward-only, always-forward-only\n"
    "                             (default: private)\n"
    "      --access-log WHERE     off, stdout or a file (default: stdout)\n"
    "      --access-log-format F  text or json (default: text)\n"
    "      --log-level L          debug, info, warn or error (default: info)\n"
    "      --log-format F         text or json (default: text)\n"
    "      --version, --help\n"
    "\n"
    "Environment:\n"
    "  ADMIN_ADDR       admin pages, /config_dump   (default 127.0.0.1:15000)\n"
    "  STATS_ADDR       Prometheus, /metrics        (default :15020)\n"
    "  READINESS_ADDR   /healthz/ready              (default :15021)\n"
    "  TERMINATION_GRACE_PERIOD_SECONDS             how long SIGTERM may take (default 60)\n"
    "  CONNECTION_MIN_TERMINATION_DEADLINE          of it, connections are still accepted (default 0s)\n"
    "  XDS_ADDRESS      the control plane: http://host:port, or https://\n"
    "  NAMESPACE, GATEWAY, POD_NAME, INSTANCE_IP, NODE_NAME   who this data plane is\n"
    "  XDS_AUTH_TOKEN, XDS_ROOT_CA   files: bearer token, roots (SYSTEM: the system's)\n"
    "  CLUSTER_ID, XDS_HEADER_name   sent with each stream\n"
    "  XDS_STATE_FILE   keeps the last accepted configuration for a start without control plane\n"
    "  SVID_FILE, SVID_KEY_FILE, SVID_BUNDLE_FILE   PEM: the gateway's own certificate in a mesh (HBONE)\n"
    "  SPIFFE_ENDPOINT_SOCKET   the same from an agent: unix:///path of the SPIFFE Workload API\n"
    "  ADDITIONAL_TRUST_DOMAINS   of peers in that mesh, besides the certificate's; comma-separated\n"
    "  SESSION_KEY      64 hex digits that seal MCP session ids and task ids; give all replicas the same;\n"
    "                   more after commas open what they sealed: for a change of keys\n"
    "  MCP_SESSION_MAX_AGE  of MCP sessions; then clients initialize anew (default: any)\n"
    "  MCP_TARGET_TIMEOUT   for one server's part of what several MCP servers answer together (default 15s)\n"
    "  LOCALITY, NETWORK               where this data plane is, if no workload says so\n"
    "  UPSTREAM_MAX_CONNECTIONS, UPSTREAM_MAX_PENDING, UPSTREAM_MAX_REQUESTS,\n"
    "  UPSTREAM_MAX_REQUESTS_PER_CONNECTION, UPSTREAM_MAX_CONNECTION_AGE_SECONDS,\n"
    "  UPSTREAM_IDLE_TIMEOUT_SECONDS   of a worker towards one endpoint: docs/operations.md\n"
    "\n"
    "Signals: SIGHUP reads the manifests again and reopens the access log; SIGTERM and SIGINT drain and "
    "end.\n";

static int bad(const char *what, const char *value, const char *reason)
{
    return agw_option_bad(PROGRAM, what, value, reason);
}

static int read_number(const char *what, const char *text, uint64_t min, uint64_t max, unsigned *ret_value)
{
    uint64_t n;
    if (agw_str_u64(agw_str_c(text), &n) || n < min || n > max)
        return bad(what, text, "not a number in range");
    *ret_value = (unsigned)n;
    return 0;
}

static int read_memory_limit(const char *text, uint64_t *ret_bytes)
{
    unsigned mib = 0;
    int rc = strcmp(text, "off") ? read_number("--memory-limit", text, 1, 1u << 30, &mib) : 0;
    if (rc == 0)
        *ret_bytes = (uint64_t)mib << 20;
    return rc;
}

static int read_trusted(const char *text, struct options *o)
{
    struct agw_error err = {0};
    return agw_cidrs_parse(agw_str_c(text), &o->arena, &o->trusted, &err)
               ? bad("--trusted-proxies", text, err.text)
               : 0;
}

static int read_option(int opt, struct options *o)
{
    switch (opt) {
    case 'f':
        o->config = optarg;
        return 0;
    case OPT_VALIDATE:
        o->validate = true;
        return 0;
    case OPT_WORKERS:
        return read_number("--workers", optarg, 1, AGW_MAX_WORKERS, &o->workers);
    case OPT_NO_PIN:
        o->pin = false;
        return 0;
    case OPT_MAX_CONNECTIONS:
        return read_number("--max-connections", optarg, 1, 10000000, &o->max_conns);
    case OPT_MAX_PER_SOURCE:
        return read_number("--max-connections-per-source", optarg, 1, 10000000, &o->max_conns_per_source);
    case OPT_MEMORY_LIMIT:
        return read_memory_limit(optarg, &o->memory_limit);
    case OPT_TRUSTED_PROXIES:
        return read_trusted(optarg, o);
    case OPT_CLIENT_CERT:
        return agw_client_cert_mode(agw_str_c(optarg), &o->client_cert)
                   ? bad("--forward-client-cert", optarg, "not a mode of it")
                   : 0;
    case OPT_ACCESS_LOG:
        o->access_log = optarg;
        return 0;
    case OPT_ACCESS_FORMAT:
        return agw_option_format(PROGRAM, "--access-log-format", optarg, &o->access_json);
    case OPT_LOG_LEVEL:
        return agw_option_level(PROGRAM, "--log-level", optarg, &o->log_level);
    case OPT_LOG_FORMAT:
        return agw_option_format(PROGRAM, "--log-format", optarg, &o->log_json);
    default:
        return AGW_EINVAL; /* getopt has said why */
    }
}

static int read_address(const char *name, const char *fallback, struct agw_addr *ret_addr)
{
    const char *text = getenv(name);
    struct agw_error err = {0};
    if (!text || !*text)
        text = fallback;
    if (agw_addr_parse(agw_str_c(text), ret_addr, &err))
        return bad(name, text, err.text);
    return 0;
}

static int read_duration(const char *name, uint64_t min, unsigned *ret_ms)
{
    const char *text = getenv(name);
    uint64_t ms;
    if (!text || !*text)
        return 0;
    if (agw_duration_ms(agw_str_c(text), &ms) || ms < min || ms > 86400000)
        return bad(name, text, "not a duration of at most a day such as 10s or 1m30s");
    *ret_ms = (unsigned)ms;
    return 0;
}

/* The kubelet kills after the grace period: end a little before it. */
static int read_grace(struct options *o)
{
    const char *text = getenv("TERMINATION_GRACE_PERIOD_SECONDS");
    unsigned seconds = 60;
    if (text && *text && read_number("TERMINATION_GRACE_PERIOD_SECONDS", text, 1, 86400, &seconds))
        return AGW_EINVAL;
    unsigned margin = seconds <= 10 ? 1 : 5;
    o->drain_ms = seconds > margin ? (seconds - margin) * 1000 : 500;
    if (read_duration("CONNECTION_TERMINATION_DEADLINE", 1, &o->drain_ms) ||
        read_duration("CONNECTION_MIN_TERMINATION_DEADLINE", 0, &o->leave_ms))
        return AGW_EINVAL;
    if (o->leave_ms > o->drain_ms / 2) /* the rest is for what runs */
        o->leave_ms = o->drain_ms / 2;
    return 0;
}

/* Where this process runs, if no workload is to say so. */
static void read_locality(struct agw_self *self)
{
    struct agw_str text = agw_str_c(getenv("LOCALITY"));
    self->is_given = text.n > 0;
    agw_locality_parse(text, &self->given);
    self->given.node = agw_str_c(getenv("NODE_NAME"));
    self->given.cluster = agw_str_c(getenv("CLUSTER_ID"));
    self->given.network = agw_str_c(getenv("NETWORK"));
}

/* A number that the environment may set: from |min| to |max|, in units of |unit|. */
struct setting {
    const char *name;
    uint32_t *value;
    unsigned min, max, unit;
};

static int read_settings(const struct setting *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = getenv(all[i].name);
        unsigned n;
        if (!text || !*text)
            continue;
        if (read_number(all[i].name, text, all[i].min, all[i].max, &n))
            return AGW_EINVAL;
        *all[i].value = n * all[i].unit;
    }
    return 0;
}

static int read_identity(struct identity_options *o)
{
    const struct {
        const char *name, **to;
    } files[] = {{"SVID_FILE", &o->svid}, {"SVID_KEY_FILE", &o->key}, {"SVID_BUNDLE_FILE", &o->bundle}};
    unsigned given = 0;
    for (size_t i = 0; i < AGW_ARRAY_LEN(files); i++) {
        const char *text = getenv(files[i].name);
        *files[i].to = text && *text ? text : NULL;
        given += *files[i].to != NULL;
    }
    o->trust_domains = agw_str_c(getenv("ADDITIONAL_TRUST_DOMAINS"));
    const char *socket = getenv("SPIFFE_ENDPOINT_SOCKET");
    o->socket = socket && *socket ? socket : NULL;
    if (given == 0 || given == AGW_ARRAY_LEN(files))
        return 0;
    return bad("SVID_FILE", o->svid ? o->svid : "", "needs SVID_KEY_FILE and SVID_BUNDLE_FILE beside it");
}

/* What a worker asks of one endpoint. */
static int read_client_limits(struct agw_client_limits *l)
{
    const struct setting all[] = {
        {"UPSTREAM_MAX_CONNECTIONS", &l->conns_max, 1, 1000000, 1},
        {"UPSTREAM_MAX_PENDING", &l->waiting_max, 1, 1000000, 1},
        {"UPSTREAM_MAX_REQUESTS", &l->requests_max, 1, 1000000, 1},
        {"UPSTREAM_MAX_REQUESTS_PER_CONNECTION", &l->per_conn_max, 0, 1000000000, 1},
        {"UPSTREAM_MAX_CONNECTION_AGE_SECONDS", &l->age_ms, 0, 1000000, 1000},
        {"UPSTREAM_IDLE_TIMEOUT_SECONDS", &l->idle_ms, 1, 1000000, 1000},
    };
    *l = agw_client_default_limits;
    return read_settings(all, AGW_ARRAY_LEN(all));
}

/* What clients may do, where no policy says more. A head is held in memory: its bounds are what one may
 * take. */
static int read_server_limits(struct options *o)
{
    struct agw_server_limits *l = &o->server;
    uint32_t body_max = 0;
    const struct setting all[] = {
        {"DOWNSTREAM_IDLE_TIMEOUT_SECONDS", &l->idle_ms, 1, 1000000, 1000},
        {"DOWNSTREAM_HEAD_TIMEOUT_SECONDS", &l->head_ms, 1, 3600, 1000},
        {"DOWNSTREAM_BODY_TIMEOUT_SECONDS", &l->body_ms, 0, 1000000, 1000},
        {"DOWNSTREAM_MIN_BODY_RATE", &l->body_rate, 0, 1000000000, 1},
        {"DOWNSTREAM_STREAM_IDLE_TIMEOUT_SECONDS", &l->stream_idle_ms, 0, 1000000, 1000},
        {"DOWNSTREAM_MAX_CONNECTION_DURATION_SECONDS", &l->duration_ms, 0, 1000000, 1000},
        {"DOWNSTREAM_MAX_HEAD_BYTES", &o->h1.head, 1024, 262144, 1},
        {"DOWNSTREAM_MAX_TARGET_BYTES", &o->h1.target, 64, 131072, 1},
        {"DOWNSTREAM_MAX_BODY_BYTES", &body_max, 0, UINT32_MAX, 1},
    };
    *l = agw_server_default_limits;
    o->h1 = agw_h1_default_limits;
    o->h2 = agw_h2_default_limits;
    int rc = read_settings(all, AGW_ARRAY_LEN(all));
    l->body_max = body_max;
    if (o->h1.head != agw_h1_default_limits.head)
        o->h2.header_list = o->h1.head;
    o->h2.target = o->h1.target;
    return rc;
}

static int read_environment(struct options *o)
{
    read_locality(&o->self);
    if (read_client_limits(&o->client) || read_server_limits(o) || read_identity(&o->identity))
        return AGW_EINVAL;
    o->session_key = getenv("SESSION_KEY");
    if (read_duration("MCP_TARGET_TIMEOUT", 1, &o->mcp_target_ms) ||
        read_duration("MCP_SESSION_MAX_AGE", 1000, &o->session_age_ms) ||
        read_address("ADMIN_ADDR", "127.0.0.1:15000", &o->admin) ||
        read_address("STATS_ADDR", ":15020", &o->stats) ||
        read_address("READINESS_ADDR", ":15021", &o->readiness))
        return AGW_EINVAL;
    return read_grace(o);
}

static enum options_result read_arguments(int argc, char **argv, struct options *o)
{
    int opt;
    while ((opt = getopt_long(argc, argv, "f:h", names, NULL)) != -1) {
        if (opt == OPT_VERSION) {
            puts(PROGRAM " " AGW_VERSION);
            return OPTIONS_EXIT_OK;
        }
        if (opt == OPT_HELP || opt == 'h') {
            fputs(usage, stdout);
            return OPTIONS_EXIT_OK;
        }
        if (read_option(opt, o))
            return OPTIONS_EXIT_BAD;
    }
    if (optind == argc)
        return OPTIONS_RUN;
    bad("argument", argv[optind], "not understood");
    return OPTIONS_EXIT_BAD;
}

static int read_rest(struct options *o)
{
    int rc = read_environment(o);
    if (rc == 0)
        rc = bootstrap_read_file(o);
    if (rc == 0 && !o->validate)
        rc = bootstrap_read_environment(o);
    if (rc == 0 && o->validate && !o->config)
        rc = bad("--validate", "", "needs -f DIR with manifests");
    return rc;
}

enum options_result options_read(int argc, char **argv, struct options *ret_options)
{
    struct options o = {
        .pin = true, .access_log = "stdout", .log_level = AGW_LOG_INFO, .memory_limit = agw_memory_limit("")};
    agw_arena_init(&o.arena, 1024, 0);
    enum options_result result =
        read_trusted("private", &o) ? OPTIONS_EXIT_BAD : read_arguments(argc, argv, &o);
    if (result == OPTIONS_RUN && read_rest(&o))
        result = OPTIONS_EXIT_BAD;
    if (result != OPTIONS_RUN) {
        agw_arena_free(&o.arena);
        return result;
    }
    *ret_options = o;
    ret_options->server.h1 = &ret_options->h1;
    ret_options->server.h2 = &ret_options->h2;
    return OPTIONS_RUN;
}
