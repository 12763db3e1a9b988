#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "event/watch.h"
#include "gwapi/gwapi.h"
#include "cmd/agentgateway-controller/nack.h"
#include "cmd/agentgateway-controller/options.h"
#include "cmd/agentgateway-controller/publish.h"

/* A burst of file events (an editor, kubectl cp, a ConfigMap swap) becomes one reload. */
#define SETTLE_MS 20

struct process {
    struct options options;
    struct agw_file_watch watch;
    struct agw_xds_server *server;
    int signals; /* signalfd */
    bool served; /* there is a last good set */
};

static int validate(const char *path)
{
    struct agw_resource_set set;
    int rc = agw_gwapi_load_logged(path, true, &set);
    if (rc)
        return rc;
    printf("%s: valid: %u resources\n", path, set.by_id.count);
    agw_resource_set_free(&set);
    return 0;
}

/* One turn: read and publish; on any error what is served stays. */
static int reload(struct process *p)
{
    uint64_t begin = agw_clock_ns();
    struct agw_delta_change change = {0};
    struct agw_error err = {0};
    struct agw_resource_set set;
    int rc = agw_gwapi_load_logged(p->options.manifests, true, &set);
    if (rc == 0) {
        rc = publish(p->server, &set, &change, &err);
        agw_resource_set_free(&set);
    }
    if (rc) {
        agw_error_log("config", "%s: refused (%s)%s", p->options.manifests,
                      err.text[0] ? err.text : agw_err_text(rc),
                      p->served ? ": the last good configuration keeps serving" : "");
        return rc;
    }
    p->served = true;
    agw_info("config", "published: %u added, %u changed, %u removed, %u as before, in %.1f ms", change.added,
             change.updated, change.removed, change.same, (double)(agw_clock_ns() - begin) / 1e6);
    return 0;
}

static void on_nack(void *arg, const struct agw_delta_nack *nack)
{
    nack_log(nack);
}

static int start(struct process *p, struct agw_error *err)
{
    const struct options *o = &p->options;
    struct agw_xds_server_options x = {
        .address = o->xds, .cert_file = o->tls_cert, .key_file = o->tls_key, .nack = on_nack};
    /* The watch comes first, so that no change between it and the load is lost. */
    int rc = agw_file_watch_open(&p->watch, o->manifests, err);
    if (rc == 0)
        rc = agw_xds_server_new(&x, &p->server, err);
    if (rc == 0)
        rc = reload(p);
    if (rc == 0)
        rc = agw_xds_server_start(p->server, err);
    if (rc)
        return rc;
    char ip[AGW_ADDR_TEXT];
    agw_addr_format_ip(&o->xds, ip);
    agw_info("main", "agentgateway-controller " AGW_VERSION " serves %s by xDS%s on %s port %u", o->manifests,
             o->tls_cert ? " and TLS" : "", ip, agw_xds_server_port(p->server));
    return 0;
}

/* Threads inherit the mask, gRPC's too: signals come to the main thread alone. */
static int take_signals(int *ret_fd)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return AGW_EIO;
    *ret_fd = fd;
    return 0;
}

/* The signals that came; true: end. */
static bool told_to_end(struct process *p, bool *reload_asked)
{
    struct signalfd_siginfo info;
    while (read(p->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGHUP) {
            agw_info("main", "%s: ending", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
            return true;
        }
        *reload_asked = true;
    }
    return false;
}

static void serve(struct process *p)
{
    struct pollfd fds[2] = {{.fd = p->signals, .events = POLLIN}, {.fd = p->watch.fd, .events = POLLIN}};
    for (;;) {
        bool again = false;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (told_to_end(p, &again))
            return;
        if (agw_file_watch_changed(&p->watch)) {
            poll(fds, 1, SETTLE_MS);
            agw_file_watch_changed(&p->watch);
            again = true;
        }
        if (again)
            reload(p);
    }
}

int main(int argc, char **argv)
{
    struct process p = {.watch.fd = -1, .signals = -1};
    struct agw_error err = {0};
    enum options_result r = options_read(argc, argv, &p.options);
    if (r != OPTIONS_RUN)
        return r == OPTIONS_EXIT_OK ? 0 : 2;
    agw_log_setup(p.options.log_level, p.options.log_json);
    if (p.options.validate)
        return validate(p.options.manifests) ? 1 : 0;
    int rc = take_signals(&p.signals);
    if (rc == 0)
        rc = start(&p, &err);
    if (rc == 0)
        serve(&p);
    else if (err.text[0])
        agw_error_log("main", "%s", err.text);
    agw_xds_server_free(p.server);
    agw_file_watch_close(&p.watch);
    if (p.signals >= 0)
        close(p.signals);
    return rc ? 1 : 0;
}
