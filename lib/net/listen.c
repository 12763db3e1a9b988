#include "net/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"

#define BACKLOG 4096      /* the kernel's default somaxconn: a burst of connects must fit */
#define ACCEPT_MAX 64     /* a turn: established connections get their share under an accept storm */
#define DRAIN_MAX BACKLOG /* when closing: a full queue, not what keeps coming behind it */
#define RETRY_MS 100      /* out of fds: others must close first */

static int fail(const struct agw_addr *addr, int fd, const char *what, struct agw_error *err)
{
    char text[AGW_ADDR_TEXT];
    int e = errno;

    agw_addr_format(addr, text);
    if (fd >= 0)
        close(fd);
    return agw_error_set(err, AGW_EIO, "%s %s: %s", what, text, strerror(e));
}

static bool is_any6(const struct agw_addr *a)
{
    return a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

/* Options that accepted sockets inherit (TCP_NODELAY) are set here, once, instead of on each of them. */
static int set_options(int fd, const struct agw_addr *addr, bool shared)
{
    int one = 1, zero = 0;

    if (addr->u.sa.sa_family == AF_UNIX)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
        return -1;
    return is_any6(addr) ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) : 0;
}

static int open_socket(const struct agw_addr *addr, bool shared, struct agw_error *err)
{
    struct agw_addr a = *addr;
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(a.u.sa.sa_family, type, 0);

    if (fd < 0 && errno == EAFNOSUPPORT && is_any6(&a)) {
        agw_addr_ip(AGW_STR("0.0.0.0"), agw_addr_port(addr), &a);
        fd = socket(AF_INET, type, 0);
    }
    if (fd < 0)
        return fail(addr, fd, "socket for", err);
    if (set_options(fd, &a, shared))
        return fail(addr, fd, "socket options for", err);
    if (bind(fd, &a.u.sa, a.n))
        return fail(addr, fd, "bind", err);
    if (listen(fd, BACKLOG))
        return fail(addr, fd, "listen on", err);
    return fd;
}

int agw_listen_socket(const struct agw_addr *addr, struct agw_error *err)
{
    return open_socket(addr, true, err);
}

int agw_listen_socket_alone(const struct agw_addr *addr, struct agw_error *err)
{
    return open_socket(addr, false, err);
}

/* Accepts one. 0, AGW_EAGAIN (none waits), AGW_ELIMIT (out of fds or memory). */
static int accept_one(struct agw_listen *l)
{
    struct sockaddr_storage sa;
    struct agw_addr peer;
    socklen_t n = sizeof(sa);
    int fd = accept4(l->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        agw_addr_from(&sa, n, &peer);
        l->on_accept(l, fd, &peer);
        return 0;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return AGW_ELIMIT;
    case EAGAIN:
    case EBADF:
    case EINVAL:
        return AGW_EAGAIN;
    default:
        return 0; /* that connection died in the queue (accept(2)); the next may be fine */
    }
}

static void pause_accepting(struct agw_listen *l)
{
    int e = errno;

    if (!l->paused) {
        char text[AGW_ADDR_TEXT];
        agw_addr_format(&l->addr, text);
        agw_warn("net", "%s: not accepting: %s", text, strerror(e));
    }
    l->paused = true;
    agw_watch_remove(l->loop, &l->watch);
    agw_timer_set(&l->loop->timers, &l->retry, l->loop->now_ms + RETRY_MS);
}

static void on_event(struct agw_watch *w, unsigned events)
{
    struct agw_listen *l = agw_container_of(w, struct agw_listen, watch);

    for (int i = 0; i < ACCEPT_MAX && l->fd >= 0; i++) {
        int rc = accept_one(l);
        if (rc == AGW_ELIMIT)
            pause_accepting(l);
        if (rc)
            return;
        l->paused = false;
    }
}

static void on_retry(struct agw_timer *t)
{
    struct agw_listen *l = agw_container_of(t, struct agw_listen, retry);

    if (agw_watch_add_level(l->loop, &l->watch, l->fd))
        agw_timer_set(&l->loop->timers, &l->retry, l->loop->now_ms + RETRY_MS);
}

int agw_listen_start(struct agw_listen *l, struct agw_loop *loop, int fd,
                     void (*on_accept)(struct agw_listen *l, int fd, const struct agw_addr *peer))
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    *l = (struct agw_listen){.watch = {-1, on_event}, .fd = fd, .loop = loop, .on_accept = on_accept};
    agw_timer_init(&l->retry, on_retry);
    if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0)
        agw_addr_from(&sa, n, &l->addr);
    int rc = agw_watch_add_level(loop, &l->watch, fd);
    if (rc) {
        close(fd);
        l->fd = l->watch.fd = -1;
    }
    return rc;
}

void agw_listen_stop(struct agw_listen *l)
{
    if (l->fd < 0)
        return;
    if (l->watch.fd >= 0)
        agw_watch_remove(l->loop, &l->watch);
    agw_timer_cancel(&l->loop->timers, &l->retry);
    for (int i = 0; i < DRAIN_MAX && l->fd >= 0; i++)
        if (accept_one(l))
            break;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
