#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/option.h"
#include "cmd/agentgateway-controller/options.h"

#define PROGRAM "agentgateway-controller"

enum {
    OPT_MANIFESTS = 256,
    OPT_XDS_ADDR,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_VALIDATE,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option names[] = {
    {"manifests", required_argument, NULL, OPT_MANIFESTS},
    {"xds-addr", required_argument, NULL, OPT_XDS_ADDR},
    {"tls-cert", required_argument, NULL, OPT_TLS_CERT},
    {"tls-key", required_argument, NULL, OPT_TLS_KEY},
    {"validate", no_argument, NULL, OPT_VALIDATE},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "agentgateway-controller: the control plane: serves manifests to gateways by xDS\n"
    "\n"
    "  agentgateway-controller --manifests DIR [options]\n"
    "\n"
    "      --manifests PATH   Gateway API manifests: a folder of YAML files, or one file\n"
    "      --xds-addr ADDR    where gateways connect (default: 127.0.0.1:9978; port 0: any free one)\n"
    "      --tls-cert FILE    PEM certificate chain; with --tls-key: serve by TLS\n"
    "      --tls-key FILE     PEM private key\n"
    "      --validate         only check the manifests: exit 0 if they are good, 1 if not\n"
    "      --log-level L      debug, info, warn or error (default: info)\n"
    "      --log-format F     text or json (default: text)\n"
    "      --version, --help\n"
    "\n"
    "Signals: SIGHUP reads the manifests again (a change is noticed by itself too); SIGTERM and SIGINT "
    "end.\n";

static int bad(const char *what, const char *value, const char *reason)
{
    return agw_option_bad(PROGRAM, what, value, reason);
}

static int read_address(const char *text, struct agw_addr *ret_addr)
{
    struct agw_error err = {0};
    return agw_addr_parse(agw_str_c(text), ret_addr, &err) ? bad("--xds-addr", text, err.text) : 0;
}

static int read_option(int opt, struct options *o)
{
    switch (opt) {
    case OPT_MANIFESTS:
        o->manifests = optarg;
        return 0;
    case OPT_XDS_ADDR:
        return read_address(optarg, &o->xds);
    case OPT_TLS_CERT:
        o->tls_cert = optarg;
        return 0;
    case OPT_TLS_KEY:
        o->tls_key = optarg;
        return 0;
    case OPT_VALIDATE:
        o->validate = true;
        return 0;
    case OPT_LOG_LEVEL:
        return agw_option_level(PROGRAM, "--log-level", optarg, &o->log_level);
    case OPT_LOG_FORMAT:
        return agw_option_format(PROGRAM, "--log-format", optarg, &o->log_json);
    default:
        return AGW_EINVAL; /* getopt has said why */
    }
}

static int check(int argc, char **argv, const struct options *o)
{
    if (optind < argc)
        return bad("argument", argv[optind], "not understood");
    if (!o->manifests) {
        fputs("agentgateway-controller: --manifests DIR is missing (see --help)\n", stderr);
        return AGW_EINVAL;
    }
    if (!o->tls_cert != !o->tls_key) {
        fputs("agentgateway-controller: --tls-cert and --tls-key need each other (see --help)\n", stderr);
        return AGW_EINVAL;
    }
    return 0;
}

enum options_result options_read(int argc, char **argv, struct options *ret_options)
{
    struct options o = {.log_level = AGW_LOG_INFO};
    int opt;
    if (read_address("127.0.0.1:9978", &o.xds))
        return OPTIONS_EXIT_BAD;
    while ((opt = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (opt == OPT_VERSION) {
            puts(PROGRAM " " AGW_VERSION);
            return OPTIONS_EXIT_OK;
        }
        if (opt == OPT_HELP || opt == 'h') {
            fputs(usage, stdout);
            return OPTIONS_EXIT_OK;
        }
        if (read_option(opt, &o))
            return OPTIONS_EXIT_BAD;
    }
    if (check(argc, argv, &o))
        return OPTIONS_EXIT_BAD;
    *ret_options = o;
    return OPTIONS_RUN;
}
