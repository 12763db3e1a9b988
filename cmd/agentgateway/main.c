#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rng.h"
#include "event/cpu.h"
#include "net/dns.h"
#include "cmd/agentgateway/options.h"
#include "cmd/agentgateway/pages.h"
#include "cmd/agentgateway/source.h"

#define DRAIN_STEP_MS 200 /* while draining, signals are looked at this often */
/* How often memory is looked at: a gigabyte a second of new requests takes 100 MiB meanwhile. */
#define MEMORY_STEP_MS 100

/* For jemalloc, where it is linked: what a large response or an old configuration took goes back to the
 * system within a second, also when nothing else happens. */
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:4";

struct process {
    struct options options;
    struct agw_metrics_registry *metrics;
    struct agw_access_log *access_log;
    struct agw_gateway *gateway;
    struct agw_admin *admin;
    struct source *source;
    struct identity *identity; /* NULL: in no mesh */
    enum agw_memory_level memory;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_key(struct agw_str hex, unsigned char key[32])
{
    bool good = hex.n == 64;
    for (size_t i = 0; good && i < 32; i++) {
        int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
        good = high >= 0 && low >= 0;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return good;
}

/* The first seals. Without a key of its own, sessions end with the process. */
static int read_session_keys(const char *text, struct agw_gateway_options *g, struct agw_error *err)
{
    struct agw_str rest = agw_str_c(text), hex;
    if (rest.n == 0) {
        agw_random(g->session_key, sizeof g->session_key);
        return 0;
    }
    for (unsigned i = 0; agw_str_split(&rest, ',', &hex); i++) {
        if (i > AGW_GATEWAY_OLD_KEYS)
            return agw_error_set(err, AGW_ELIMIT, "SESSION_KEY: %u keys at most", 1 + AGW_GATEWAY_OLD_KEYS);
        if (!read_key(hex, i == 0 ? g->session_key : g->old_keys[i - 1]))
            return agw_error_set(err, AGW_EINVAL, "SESSION_KEY: key %u: 64 hex digits are needed", i + 1);
        g->old_key_count = i;
    }
    return 0;
}

static int open_telemetry(struct process *p, unsigned workers, struct agw_error *err)
{
    const struct options *o = &p->options;
    struct agw_access_log_options log = {.workers = workers, .json = o->access_json, .path = o->access_log};
    p->metrics = agw_metrics_registry_new(workers);
    if (!p->metrics)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (strcmp(o->access_log, "off") == 0)
        return 0;
    if (strcmp(o->access_log, "stdout") == 0)
        log.path = NULL;
    int rc = agw_access_log_start(&log, &p->access_log, err);
    if (rc == 0)
        agw_access_log_export(p->access_log, p->metrics);
    return rc;
}

/* Threads inherit the mask: signals come to sigwait in the main thread alone. */
static void block_signals(sigset_t *ret_set)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret_set, NULL);
}

static int start(struct process *p, struct agw_error *err)
{
    struct agw_gateway_options g = {.processes = p->options.config != NULL,
                                    .pin = p->options.pin,
                                    .max_conns = p->options.max_conns,
                                    .max_conns_per_source = p->options.max_conns_per_source,
                                    .client = p->options.client,
                                    .mcp_target_ms = p->options.mcp_target_ms,
                                    .session_age_s = p->options.session_age_ms / 1000,
                                    .client_cert = p->options.client_cert,
                                    .trusted = p->options.trusted,
                                    .server = &p->options.server};
    g.workers = p->options.workers ? p->options.workers : agw_cpu_count();
    int rc = read_session_keys(p->options.session_key, &g, err);
    if (rc == 0)
        rc = open_telemetry(p, g.workers, err);
    if (rc)
        return rc;
    rc = identity_start(&p->options.identity, &p->identity, err);
    if (rc)
        return rc;
    g.own = identity_certificate(p->identity);
    g.metrics = p->metrics;
    g.access_log = p->access_log;
    p->gateway = agw_gateway_new(&g, err);
    if (!p->gateway)
        return err->code;
    p->source = p->options.config ? source_files_new(&p->options, p->gateway, p->metrics)
                                  : source_xds_new(&p->options, p->gateway, p->metrics);
    p->admin = p->source ? pages_open(&p->options, p->metrics, p->source, err) : NULL;
    if (!p->admin)
        return err->code ? err->code : AGW_ENOMEM;
    rc = source_start(p->source, err);
    if (rc == 0)
        agw_info("main", "agentgateway " AGW_VERSION " serves %s with %u workers",
                 p->options.config ? p->options.config : p->options.xds.address, g.workers);
    return rc;
}

/* Another SIGTERM or SIGINT within |ms| means that nobody wants to wait. */
static bool told_to_hurry(const sigset_t *signals, unsigned ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int sig = sigtimedwait(signals, NULL, &wait);
    return sig == SIGTERM || sig == SIGINT;
}

/* Whoever sends clients here may not know yet that it should not. False: nobody wants to wait. */
static bool leave(struct process *p, const sigset_t *signals)
{
    unsigned left = p->options.leave_ms;
    if (left > 0)
        agw_gateway_leave(p->gateway);
    while (left > 0) {
        unsigned step = left < DRAIN_STEP_MS ? left : DRAIN_STEP_MS;
        if (told_to_hurry(signals, step))
            return false;
        left -= step;
    }
    return true;
}

static bool drain(struct process *p, const sigset_t *signals)
{
    if (!leave(p, signals))
        return false;
    for (unsigned left = p->options.drain_ms - p->options.leave_ms; left > 0 && !told_to_hurry(signals, 0);) {
        unsigned step = left < DRAIN_STEP_MS ? left : DRAIN_STEP_MS;
        if (agw_gateway_drain(p->gateway, step))
            return true;
        left -= step;
    }
    return false;
}

/* Sheds load before the kernel ends the process for what it holds. */
static void watch_memory(struct process *p)
{
    static const char *const meaning[] = {"requests are served again", "new requests get 503",
                                          "new requests get 503, new connections are closed"};
    uint64_t used = agw_memory_used();
    enum agw_memory_level next = agw_memory_next(p->memory, used, p->options.memory_limit);
    if (next == p->memory)
        return;
    agw_warn("main", "%llu of %llu MiB of memory are in use: %s", (unsigned long long)(used >> 20),
             (unsigned long long)(p->options.memory_limit >> 20), meaning[next]);
    agw_gateway_memory(p->gateway, next);
    p->memory = next;
}

static int next_signal(struct process *p, const sigset_t *signals)
{
    const struct timespec step = {.tv_nsec = MEMORY_STEP_MS * 1000000L};
    for (;;) {
        int sig = p->options.memory_limit ? sigtimedwait(signals, NULL, &step) : sigwaitinfo(signals, NULL);
        if (sig > 0)
            return sig;
        if (p->options.memory_limit)
            watch_memory(p);
    }
}

static void serve(struct process *p, const sigset_t *signals)
{
    int sig;
    while ((sig = next_signal(p, signals)) == SIGHUP) {
        source_reload(p->source);
        if (p->access_log)
            agw_access_log_reopen(p->access_log); /* after logrotate moved it */
    }
    agw_info("main", "%s: draining", sig == SIGINT ? "SIGINT" : "SIGTERM");
    if (!drain(p, signals))
        agw_warn("main", "connections are left: closing them");
}

static void finish(struct process *p)
{
    agw_admin_free(p->admin); /* its pages look at all the rest */
    source_free(p->source);
    identity_stop(p->identity); /* it waits for workers */
    agw_gateway_free(p->gateway);
    agw_snapshot_shutdown();
    identity_free(p->identity);
    agw_access_log_stop(p->access_log);
    agw_metrics_registry_free(p->metrics);
    agw_dns_global_free();
    agw_arena_free(&p->options.arena);
}

int main(int argc, char **argv)
{
    struct process p = {0};
    struct agw_error err = {0};
    sigset_t signals;
    enum options_result r = options_read(argc, argv, &p.options);
    if (r != OPTIONS_RUN)
        return r == OPTIONS_EXIT_OK ? 0 : 2;
    agw_log_setup(p.options.log_level, p.options.log_json);
    if (p.options.validate) {
        bool bad = source_validate(p.options.config);
        agw_arena_free(&p.options.arena);
        return bad;
    }
    block_signals(&signals);
    int rc = agw_dns_global_init();
    if (rc == 0)
        rc = start(&p, &err);
    if (rc == 0)
        serve(&p, &signals);
    else if (err.text[0])
        agw_error_log("main", "%s", err.text);
    finish(&p);
    return rc ? 1 : 0;
}
