/* Both ends of the WebSocket bench: "ws_peer echo PORT" sends back each small message that comes, "ws_peer
 * load PORT CONNECTIONS SECONDS" has one message under way on each connection and counts those that came
 * back. One thread, no more work than that: what is measured stands between the two. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "websocket/websocket.h"

#define MESSAGE 32        /* bytes; a chat line, a tick, a part of an agent's answer */
#define OUT (6 + MESSAGE) /* a client's frame: masked, RFC 6455 section 5.2 */
#define BACK (2 + MESSAGE)
#define SLOTS 1000000 /* of latencies, a microsecond each */
#define EVENTS 256

struct conn {
    int fd;
    unsigned n; /* bytes in |buf| */
    bool open;  /* the handshake is done */
    uint64_t sent_ns;
    unsigned char buf[4096];
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int epoll, struct conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e))
        fail("epoll_ctl");
}

/* Messages are small and one at a time: a socket always has room for one. */
static bool say(struct conn *c, const void *p, size_t n)
{
    return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* --- the server --- */

/* False: not yet here in full, or no handshake. */
static bool greet(struct conn *c)
{
    struct agw_arena arena;
    struct agw_msg req, resp;
    char text[256];
    c->buf[c->n] = 0;
    char *end = strstr((char *)c->buf, "\r\n\r\n"), *key = strcasestr((char *)c->buf, "sec-websocket-key: ");
    if (!end || !key)
        return false;
    key += strlen("sec-websocket-key: ");
    agw_arena_init(&arena, 1024, 0);
    agw_msg_init(&req, &arena);
    agw_msg_init(&resp, &arena);
    agw_headers_add(&req.headers, AGW_HDR_OTHER, AGW_STR("sec-websocket-key"),
                    agw_str(key, strcspn(key, "\r")));
    if (agw_websocket_add_accept(&resp.headers, &req.headers))
        return false;
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %.*s\r\n\r\n",
                     AGW_STRF(resp.headers.v[0].value));
    agw_arena_free(&arena);
    c->n -= (unsigned)(end + 4 - (char *)c->buf);
    memmove(c->buf, end + 4, c->n);
    return c->open = say(c, text, (size_t)n);
}

/* Sends back each frame that is here. False: the client is done, or does not do as agreed. */
static bool echo(struct conn *c)
{
    unsigned at = 0;
    while (c->n - at >= 2) {
        unsigned char *p = c->buf + at;
        unsigned length = p[1] & 127;
        if (p[0] != 0x81 || !(p[1] & 128) || length > 125)
            return false;
        if (c->n - at < 6 + length)
            break;
        for (unsigned i = 0; i < length; i++)
            p[6 + i] ^= p[2 + i % 4];
        p[4] = 0x81;
        p[5] = (unsigned char)length;
        if (!say(c, p + 4, 2 + length))
            return false;
        at += 6 + length;
    }
    c->n -= at;
    memmove(c->buf, c->buf + at, c->n);
    return true;
}

static bool serve(struct conn *c)
{
    ssize_t got = recv(c->fd, c->buf + c->n, sizeof(c->buf) - 1 - c->n, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    c->n += (unsigned)got;
    return (c->open || greet(c)) ? echo(c) : c->n < sizeof(c->buf) - 1;
}

__attribute__((noreturn)) static void run_echo(const char *port)
{
    struct sockaddr_in to = loopback(port);
    struct epoll_event events[EVENTS], accepts = {.events = EPOLLIN};
    int epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 4096) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepts))
        fail("listen");
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                int fd = accept(listener, NULL, NULL);
                c = fd < 0 ? NULL : calloc(1, sizeof(*c));
                if (!c)
                    continue;
                c->fd = fd;
                watch(epoll, c);
            } else if (!serve(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}

/* --- the clients --- */

struct load {
    unsigned char frame[OUT], answer[BACK];
    uint64_t messages, errors;
    uint32_t *took; /* how many took so many microseconds */
};

static void make_frames(struct load *l)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    l->frame[0] = l->answer[0] = 0x81;
    l->frame[1] = 128 | MESSAGE;
    l->answer[1] = MESSAGE;
    memcpy(l->frame + 2, mask, 4);
    for (unsigned i = 0; i < MESSAGE; i++) {
        l->answer[2 + i] = (unsigned char)('a' + i % 26);
        l->frame[6 + i] = l->answer[2 + i] ^ mask[i % 4];
    }
}

static void join(struct conn *c, const struct sockaddr_in *to)
{
    static const char hello[] =
        "GET /ws HTTP/1.1\r\nHost: bench.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[2048] = "";
    size_t n = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) || !say(c, hello, sizeof(hello) - 1))
        fail("connect");
    while (!strstr(head, "\r\n\r\n") && n < sizeof(head) - 1) {
        ssize_t got = recv(c->fd, head + n, sizeof(head) - 1 - n, 0);
        if (got <= 0)
            fail("handshake");
        n += (size_t)got;
    }
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        fprintf(stderr, "the handshake was answered: %s\n", head);
        exit(1);
    }
}

static void send_one(struct load *l, struct conn *c)
{
    c->sent_ns = agw_clock_ns();
    l->errors += !say(c, l->frame, OUT);
}

static void take(struct load *l, struct conn *c)
{
    ssize_t got = recv(c->fd, c->buf + c->n, BACK - c->n, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        l->errors++;
        close(c->fd);
        return;
    }
    c->n += (unsigned)got;
    if (c->n < BACK)
        return;
    c->n = 0;
    uint64_t us = (agw_clock_ns() - c->sent_ns) / 1000;
    l->errors += memcmp(c->buf, l->answer, BACK) != 0;
    l->took[us < SLOTS ? us : SLOTS - 1]++;
    l->messages++;
    send_one(l, c);
}

static unsigned percentile(const struct load *l, unsigned percent)
{
    uint64_t below = 0, want = l->messages * percent / 100;
    unsigned us = 0;
    while (us < SLOTS - 1 && (below += l->took[us]) <= want)
        us++;
    return us;
}

static int run_load(const char *port, unsigned count, unsigned seconds)
{
    struct sockaddr_in to = loopback(port);
    struct epoll_event events[EVENTS];
    struct load l = {.took = calloc(SLOTS, sizeof(*l.took))};
    struct conn *conns = calloc(count, sizeof(*conns));
    int epoll = epoll_create1(0);
    if (!l.took || !conns || epoll < 0)
        fail("load");
    make_frames(&l);
    for (unsigned i = 0; i < count; i++) {
        join(&conns[i], &to);
        watch(epoll, &conns[i]);
    }
    uint64_t start = agw_clock_ns(), now = start;
    for (unsigned i = 0; i < count; i++)
        send_one(&l, &conns[i]);
    for (uint64_t end = start + seconds * AGW_NS_PER_S; now < end; now = agw_clock_ns()) {
        int n = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            take(&l, events[i].data.ptr);
    }
    printf("messages %llu\nrps %.1f\np50_us %u\np99_us %u\nerrors %llu\n", (unsigned long long)l.messages,
           (double)l.messages * AGW_NS_PER_S / (double)(now - start), percentile(&l, 50), percentile(&l, 99),
           (unsigned long long)l.errors);
    free(conns);
    free(l.took);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        run_echo(argv[2]);
    if (argc == 5 && strcmp(argv[1], "load") == 0)
        return run_load(argv[2], (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    fprintf(stderr, "usage: ws_peer echo PORT | load PORT CONNECTIONS SECONDS\n");
    return 2;
}
