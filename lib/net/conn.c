#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int map_errno(int e)
{
    switch (e) {
    case ECONNREFUSED:
        return AGW_EREFUSED;
    case ECONNRESET:
    case EPIPE:
        return AGW_ERESET;
    case ETIMEDOUT:
        return AGW_ETIMEOUT;
    case ENOMEM:
        return AGW_ENOMEM;
    default:
        return AGW_EIO;
    }
}

static int connect_error(const struct agw_addr *to, int e, struct agw_error *err)
{
    char text[AGW_ADDR_TEXT];

    agw_addr_format(to, text);
    return agw_error_set(err, map_errno(e), "connect to %s: %s", text, strerror(e));
}

/* --- the socket filter --- */

static int socket_start(struct agw_filter *f, struct agw_error *err)
{
    struct agw_conn *c = f->conn;
    int e = 0;
    socklen_t n = sizeof(e);

    if (!c->connecting)
        return 0;
    if (!c->write_ready && !c->hangup)
        return AGW_EAGAIN;
    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &e, &n))
        e = errno;
    if (e)
        return connect_error(&c->peer, e, err);
    c->connecting = false;
    return 0;
}

/* A short read has emptied the socket: the next byte brings an edge, so the call that would say EAGAIN is
 * saved. After a hangup no further edge may come; then only the read itself tells the end. */
static ssize_t socket_read(struct agw_filter *f, void *buf, size_t n)
{
    struct agw_conn *c = f->conn;

    if (!c->read_ready && !c->hangup)
        return AGW_EAGAIN;
    for (;;) {
        ssize_t got = recv(c->watch.fd, buf, n, 0);
        if (got > 0) {
            if ((size_t)got < n)
                c->read_ready = false;
            return got;
        }
        if (got == 0)
            return n ? AGW_EEOF : AGW_EINVAL;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return map_errno(errno);
        c->read_ready = false;
        return AGW_EAGAIN;
    }
}

static ssize_t socket_send(int fd, const struct iovec *iov, int count)
{
    if (count == 1)
        return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static ssize_t socket_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    struct agw_conn *c = f->conn;
    size_t total = 0;

    if (!c->write_ready)
        return AGW_EAGAIN;
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    for (;;) {
        ssize_t sent = socket_send(c->watch.fd, iov, count);
        if (sent >= 0) {
            if ((size_t)sent < total)
                c->write_ready = false;
            return sent;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return map_errno(errno);
        c->write_ready = false;
        return AGW_EAGAIN;
    }
}

static bool socket_buffered(const struct agw_filter *f)
{
    return false;
}

static void socket_shutdown(struct agw_filter *f)
{
    shutdown(f->conn->watch.fd, SHUT_WR);
}

static void socket_free(struct agw_filter *f) {}

static const struct agw_filter_ops socket_ops = {
    .name = "socket",
    .start = socket_start,
    .read = socket_read,
    .writev = socket_writev,
    .buffered = socket_buffered,
    .shutdown = socket_shutdown,
    .free = socket_free,
};

/* --- past the filters --- */

bool agw_conn_is_plain(const struct agw_conn *c)
{
    for (const struct agw_filter *f = c->top; f != &c->socket; f = f->next)
        if (!f->ops->plain || !f->ops->plain(f))
            return false;
    return true;
}

static ssize_t splice_now(int from, int to, size_t n)
{
    ssize_t moved;

    do
        moved = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    return moved;
}

/* A short move says nothing about the socket: the pipe may have been full, however few bytes are in it. */
ssize_t agw_conn_splice_in(struct agw_conn *c, int pipe, size_t n)
{
    if (!c->read_ready && !c->hangup)
        return AGW_EAGAIN;
    ssize_t moved = splice_now(c->watch.fd, pipe, n);
    if (moved > 0)
        return moved;
    if (moved == 0)
        return AGW_EEOF;
    if (errno != EAGAIN)
        return map_errno(errno);
    c->read_ready = false;
    return AGW_EAGAIN;
}

ssize_t agw_conn_splice_out(struct agw_conn *c, int pipe, size_t n)
{
    if (!c->write_ready)
        return AGW_EAGAIN;
    ssize_t moved = splice_now(pipe, c->watch.fd, n);
    if (moved >= 0)
        return moved;
    if (errno != EAGAIN)
        return map_errno(errno);
    c->write_ready = false;
    return AGW_EAGAIN;
}

/* --- events --- */

bool agw_conn_may_read(const struct agw_conn *c)
{
    return c->read_ready || c->hangup || c->top->ops->buffered(c->top);
}

/* Calls back; false if the owner closed the connection, whose memory may then be gone. */
static bool call(struct agw_conn *c, void (*fn)(struct agw_conn *c))
{
    bool gone = false;

    c->gone = &gone;
    fn(c);
    if (!gone)
        c->gone = NULL;
    return !gone;
}

/* Drives connect and handshakes. What arrived behind the handshake is already off the wire and brings no edge
 * of its own, so on_readable follows on_ready when there may be something. */
static void drive(struct agw_conn *c)
{
    struct agw_error err;

    err.code = 0;
    err.text[0] = 0;
    int rc = c->top->ops->start(c->top, &err);
    if (rc == AGW_EAGAIN)
        return;
    if (rc) {
        c->failed = true;
        c->events->on_failed(c, rc, err.text[0] ? err.text : agw_err_text(rc));
        return;
    }
    c->ready = true;
    if (call(c, c->events->on_ready) && c->ready && agw_conn_may_read(c))
        c->events->on_readable(c);
}

void agw_conn_news(struct agw_conn *c, unsigned events)
{
    bool was_blocked = !c->write_ready;

    if (events & AGW_HANGUP)
        c->hangup = true;
    if (events & (AGW_READABLE | AGW_HANGUP))
        c->read_ready = true;
    if (events & AGW_WRITABLE)
        c->write_ready = true;
    if (c->failed || !c->started)
        return;
    if (!c->ready) {
        drive(c);
        return;
    }
    if ((events & (AGW_READABLE | AGW_HANGUP)) && !call(c, c->events->on_readable))
        return;
    /* Edge-triggered epoll reports "writable" with every event; only who waited for it is told. */
    if ((events & AGW_WRITABLE) && was_blocked)
        c->events->on_writable(c);
}

static void on_event(struct agw_watch *w, unsigned events)
{
    agw_conn_news(agw_container_of(w, struct agw_conn, watch), events);
}

static void run_again(struct agw_task *t)
{
    struct agw_conn *c = agw_container_of(t, struct agw_conn, again);

    if (c->failed)
        return;
    if (c->ready)
        c->events->on_readable(c);
    else
        drive(c);
}

/* --- life --- */

static void init(struct agw_conn *c, struct agw_loop *loop, const struct agw_addr *peer,
                 const struct agw_conn_events *events)
{
    void *user = c->user;

    *c = (struct agw_conn){
        .watch = {-1, on_event}, .loop = loop, .events = events, .user = user, .peer = *peer};
    c->socket = (struct agw_filter){.ops = &socket_ops, .conn = c};
    c->top = &c->socket;
    agw_task_init(&c->again, run_again);
}

int agw_conn_accept(struct agw_conn *c, struct agw_loop *loop, int fd, const struct agw_addr *peer,
                    const struct agw_conn_events *events)
{
    init(c, loop, peer, events);
    c->write_ready = true;
    c->read_ready = true; /* a client speaks first: its bytes are often here already */
    int rc = agw_watch_add(loop, &c->watch, fd);
    if (rc) {
        c->watch.fd = -1;
        close(fd);
    }
    c->open = rc == 0;
    return rc;
}

static int connect_socket(const struct agw_addr *to, bool *ret_connecting, struct agw_error *err)
{
    int one = 1;
    int fd = socket(to->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return connect_error(to, errno, err);
    if (to->u.sa.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    bool connecting = false;
    if (connect(fd, &to->u.sa, to->n)) {
        int e = errno;
        if (e == EAGAIN) /* unix: the peer's accept queue is full */
            e = ECONNREFUSED;
        if (e != EINPROGRESS && e != EINTR) {
            close(fd);
            return connect_error(to, e, err);
        }
        connecting = true;
    }
    *ret_connecting = connecting;
    return fd;
}

int agw_conn_connect(struct agw_conn *c, struct agw_loop *loop, const struct agw_addr *to,
                     const struct agw_conn_events *events, struct agw_error *err)
{
    init(c, loop, to, events);
    int fd = connect_socket(to, &c->connecting, err);
    if (fd < 0)
        return fd;
    c->write_ready = !c->connecting;
    int rc = agw_watch_add(loop, &c->watch, fd);
    if (rc) {
        c->watch.fd = -1;
        close(fd);
        return agw_error_set(err, rc, "connect: %s", agw_err_text(rc));
    }
    c->open = true;
    return 0;
}

void agw_conn_over(struct agw_conn *c, struct agw_loop *loop, struct agw_filter *bottom,
                   const struct agw_addr *peer, const struct agw_conn_events *events)
{
    init(c, loop, peer, events);
    bottom->conn = c;
    bottom->next = NULL;
    c->top = bottom;
    c->open = true;
    c->read_ready = c->write_ready = true; /* the bottom knows better */
}

static void set_number(int fd, int name, uint32_t value)
{
    int n = (int)value;
    if (value)
        setsockopt(fd, IPPROTO_TCP, name, &n, sizeof(n));
}

void agw_conn_keepalive(struct agw_conn *c, const struct agw_keepalive *k)
{
    int one = 1;
    if (c->peer.u.sa.sa_family == AF_UNIX || c->watch.fd < 0)
        return;
    setsockopt(c->watch.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    set_number(c->watch.fd, TCP_KEEPIDLE, k->idle_s);
    set_number(c->watch.fd, TCP_KEEPINTVL, k->interval_s);
    set_number(c->watch.fd, TCP_KEEPCNT, k->probes);
}

static void put_on_top(struct agw_conn *c, struct agw_filter *f)
{
    f->conn = c;
    f->next = c->top;
    c->top = f;
}

void agw_conn_push(struct agw_conn *c, struct agw_filter *f)
{
    agw_check(!c->started);
    put_on_top(c, f);
}

void agw_conn_stack(struct agw_conn *c, struct agw_filter *f)
{
    agw_check(c->ready);
    put_on_top(c, f);
    c->ready = false;
    agw_loop_defer(c->loop, &c->again);
}

void agw_conn_start(struct agw_conn *c)
{
    c->started = true;
    agw_loop_defer(c->loop, &c->again);
}

void agw_conn_want_read(struct agw_conn *c)
{
    agw_loop_defer(c->loop, &c->again);
}

void agw_conn_shutdown(struct agw_conn *c)
{
    if (agw_conn_is_open(c) && c->ready)
        c->top->ops->shutdown(c->top);
}

void agw_conn_close(struct agw_conn *c, bool reset)
{
    int fd = c->watch.fd;

    if (!c->open)
        return;
    c->open = false;
    c->reset = reset;
    if (c->gone)
        *c->gone = true;
    c->gone = NULL;
    agw_task_cancel(&c->again);
    for (struct agw_filter *f = c->top, *next; f; f = next) {
        next = f->next;
        f->ops->free(f);
    }
    c->top = &c->socket;
    c->ready = false;
    if (fd < 0)
        return;
    agw_watch_remove(c->loop, &c->watch);
    c->watch.fd = -1;
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close(fd);
}

const struct agw_addr *agw_conn_local(struct agw_conn *c)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    if (c->local.n == 0 && c->watch.fd >= 0 && getsockname(c->watch.fd, (struct sockaddr *)&sa, &n) == 0)
        agw_addr_from(&sa, n, &c->local);
    return &c->local;
}
