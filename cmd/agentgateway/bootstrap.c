#include "cmd/agentgateway/bootstrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "yaml/yaml.h"

/* Where a deployment mounts them. */
#define DEFAULT_TOKEN "./var/run/secrets/xds-tokens/xds-token"
#define DEFAULT_ROOTS "./var/run/secrets/xds/root-cert.pem"
#define HEADER_PREFIX "XDS_HEADER_"
#define MAX_HEADERS 32
#define MAX_FILE (1u << 20) /* a ConfigMap has at most 1 MiB */

extern char **environ;

static int bad(const char *what, const char *reason)
{
    fprintf(stderr, "agentgateway: %s: %s (see --help)\n", what, reason);
    return AGW_EINVAL;
}

/* --- the file --- */
/* The text of a regular file, in the options' arena; empty when it is none. */
static struct agw_str read_file(struct options *o, const char *path)
{
    struct stat st;
    FILE *in =
        stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MAX_FILE ? fopen(path, "r") : NULL;
    char *text = in ? agw_arena_alloc(&o->arena, (size_t)st.st_size + 1) : NULL;
    size_t n = text ? fread(text, 1, (size_t)st.st_size, in) : 0;
    if (in)
        fclose(in);
    return agw_str(text, n);
}

static const char *text_at(const struct agw_node *config, const char *key)
{
    struct agw_str text = agw_node_text(config, key);
    return text.n ? text.p : NULL;
}

static int set_addr(const struct agw_node *config, const char *key, const char *env, struct agw_addr *addr)
{
    struct agw_str text = agw_node_text(config, key);
    struct agw_error err = {0};
    const char *over = getenv(env);
    if (text.n == 0 || (over && *over))
        return 0;
    return agw_addr_parse(text, addr, &err) ? bad(key, err.text) : 0;
}

static int set_logging(struct options *o, const struct agw_node *logging)
{
    struct agw_str format = agw_node_text(logging, "format"), level = agw_node_text(logging, "level");
    if (format.n && !agw_str_eq(format, AGW_STR("json")) && !agw_str_eq(format, AGW_STR("text")))
        return bad("config.logging.format", "neither text nor json");
    if (format.n)
        o->log_json = o->access_json = agw_str_eq(format, AGW_STR("json"));
    if (level.n && agw_log_level_parse(level, &o->log_level))
        return bad("config.logging.level", "not one of debug, info, warn, error");
    return 0;
}

static int take_config(struct options *o, const struct agw_node *config)
{
    o->xds.address = text_at(config, "xdsAddress");
    o->xds.token = text_at(config, "xdsAuthToken");
    o->xds.root_ca = text_at(config, "xdsRootCa");
    o->xds.cluster_id = text_at(config, "clusterId");
    o->xds.node.ns = text_at(config, "namespace");
    o->xds.node.gateway = text_at(config, "gateway");
    o->xds_state = text_at(config, "xdsStateFile");
    if (!o->identity.socket)
        o->identity.socket = text_at(agw_node_get(config, "spiffe"), "endpoint");
    int code = set_addr(config, "adminAddr", "ADMIN_ADDR", &o->admin);
    if (!code)
        code = set_addr(config, "statsAddr", "STATS_ADDR", &o->stats);
    if (!code)
        code = set_addr(config, "readinessAddr", "READINESS_ADDR", &o->readiness);
    return code ? code : set_logging(o, agw_node_get(config, "logging"));
}

/* Manifests say what they are by `kind`. What is not `config` is another part's: said, and left alone. */
static bool is_static(const struct agw_node *docs)
{
    const struct agw_node *top = docs->first;
    return docs->count == 1 && top->type == AGW_NODE_MAP && agw_node_get(top, "config") &&
           !agw_node_get(top, "kind") && !agw_node_get(top, "apiVersion");
}

int bootstrap_read_file(struct options *o)
{
    const struct agw_node *docs, *part;
    struct agw_error err = {0};
    if (!o->config)
        return 0;
    struct agw_str text = read_file(o, o->config);
    if (text.n == 0 || agw_yaml_load(text, &o->arena, &docs, &err) || !is_static(docs))
        return 0; /* manifests: their own loader says what is wrong with them */
    agw_node_each (part, docs->first)
        if (!agw_str_eq(part->key, AGW_STR("config")))
            fprintf(stderr, "agentgateway: %s:%u: %.*s is not supported here and has no effect\n", o->config,
                    part->line, AGW_STRF(part->key));
    o->config = NULL;
    return take_config(o, agw_node_get(docs->first, "config"));
}

/* --- the environment --- */
static void take_env(const char *name, const char **value)
{
    const char *text = getenv(name);
    if (text && *text)
        *value = text;
}

static void default_file(const char **value, const char *path)
{
    if (!*value && access(path, R_OK) == 0)
        *value = path;
}

/* XDS_HEADER_x-tenant=blue sends "x-tenant: blue". */
static int take_headers(struct options *o)
{
    struct agw_xds_header *headers = agw_arena_alloc(&o->arena, MAX_HEADERS * sizeof(*headers));
    size_t n = 0;
    if (!headers)
        return AGW_ENOMEM;
    for (char **e = environ; *e; e++) {
        struct agw_str pair = agw_str_c(*e);
        ptrdiff_t equals = agw_str_find(pair, '=');
        if (!agw_str_starts(pair, AGW_STR(HEADER_PREFIX)) || equals < 0)
            continue;
        if (n == MAX_HEADERS)
            return bad(HEADER_PREFIX "*", "more than 32 headers");
        size_t skip = sizeof(HEADER_PREFIX) - 1;
        struct agw_str name = agw_arena_lower(&o->arena, agw_str(pair.p + skip, (size_t)equals - skip));
        if (!name.p)
            return AGW_ENOMEM;
        headers[n++] = (struct agw_xds_header){name.p, pair.p + equals + 1};
    }
    o->xds.headers = headers;
    o->xds.header_count = n;
    return 0;
}

/* RUST_LOG is what deployments of the public controller set: the first plain level in it counts. */
static void take_log_level(struct options *o)
{
    struct agw_str rest = agw_str_c(getenv("RUST_LOG")), part;
    enum agw_log_level level;
    while (agw_str_split(&rest, ',', &part)) {
        if (agw_str_eq(part, AGW_STR("trace")))
            part = AGW_STR("debug");
        if (agw_log_level_parse(part, &level) == 0) {
            o->log_level = level;
            return;
        }
    }
}

int bootstrap_read_environment(struct options *o)
{
    take_env("XDS_ADDRESS", &o->xds.address);
    if (!o->xds.address)
        return o->config ? 0 : bad("-f DIR or XDS_ADDRESS", "one of them is needed");
    if (o->config)
        return bad("XDS_ADDRESS", "set beside manifests: the configuration comes from one place");
    take_env("XDS_AUTH_TOKEN", &o->xds.token);
    take_env("XDS_ROOT_CA", &o->xds.root_ca);
    take_env("XDS_STATE_FILE", &o->xds_state);
    take_env("CLUSTER_ID", &o->xds.cluster_id);
    take_env("NAMESPACE", &o->xds.node.ns);
    take_env("GATEWAY", &o->xds.node.gateway);
    take_env("POD_NAME", &o->xds.node.pod);
    take_env("INSTANCE_IP", &o->xds.node.ip);
    take_env("NODE_NAME", &o->xds.node.node_name);
    o->self.ns = agw_str_c(o->xds.node.ns);
    o->self.name = agw_str_c(o->xds.node.pod);
    default_file(&o->xds.token, DEFAULT_TOKEN);
    default_file(&o->xds.root_ca, DEFAULT_ROOTS);
    take_log_level(o);
    setenv("GRPC_DNS_RESOLVER", "native",
           0); /* as the system does; gRPC's other one leaks and asks for more */
    if (!o->xds.node.ns)
        return bad("NAMESPACE", "needed with XDS_ADDRESS");
    if (!o->xds.node.gateway)
        return bad("GATEWAY", "needed with XDS_ADDRESS");
    return take_headers(o);
}
