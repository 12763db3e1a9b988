/* A server for the benches of MCP and A2A: "rpc_server PORT". One thread, and no more work than to tell
 * requests apart by what stands in them: what is measured stands in front of it. MCP: sessions of older
 * revisions and requests of 2026-07-28; ten tools, of which "big" answers with 20 MiB. A2A: an agent of 0.3.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/str.h"

#define EVENTS 256
#define TOOLS 10
#define BIG (20u << 20)

struct conn {
    int fd;
    unsigned n;          /* bytes in |buf| */
    struct iovec out[4]; /* what is left to be sent */
    unsigned first;      /* of them; 4: nothing */
    char head[512];
    char buf[16384];
};

static char tools[16384], *big;
static int epoll;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void make_answers(void)
{
    size_t n = (size_t)snprintf(tools, sizeof(tools), "{\"tools\":[");
    for (int i = 0; i < TOOLS; i++)
        n += (size_t)snprintf(
            tools + n, sizeof(tools) - n,
            "%s{\"name\":\"%s%d\",\"description\":\"Looks for what is asked in all that is there, number "
            "%d\","
            "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\","
            "\"description\":\"what to look "
            "for\"},\"limit\":{\"type\":\"integer\"}},\"required\":[\"query\"]}}",
            i ? "," : "", i ? "find" : "echo", i, i);
    snprintf(tools + n, sizeof(tools) - n,
             "],\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"}");
    static const char head[] = "{\"content\":[{\"type\":\"text\",\"text\":\"", tail[] = "\"}]}";
    big = malloc(BIG + 1);
    if (!big)
        fail("malloc");
    memset(big, 'x', BIG);
    memcpy(big, head, sizeof(head) - 1);
    memcpy(big + BIG - (sizeof(tail) - 1), tail, sizeof(tail));
}

/* Sends what is left. False: the connection is gone. */
static bool flush(struct conn *c)
{
    while (c->first < 4) {
        ssize_t sent = writev(c->fd, c->out + c->first, (int)(4 - c->first));
        if (sent < 0 && errno != EAGAIN)
            return false;
        for (; sent > 0 && c->first < 4; c->first += c->out[c->first].iov_len == 0) {
            struct iovec *v = &c->out[c->first];
            size_t part = (size_t)sent < v->iov_len ? (size_t)sent : v->iov_len;
            v->iov_base = (char *)v->iov_base + part;
            v->iov_len -= part;
            sent -= (ssize_t)part;
            if (v->iov_len > 0)
                return true; /* EPOLLOUT comes */
        }
        if (sent < 0)
            return true;
    }
    return true;
}

static void set(struct iovec *v, const char *p, size_t n)
{
    *v = (struct iovec){(void *)p, n};
}

static bool answer_status(struct conn *c, const char *status)
{
    int n = snprintf(c->head, sizeof(c->head), "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);
    memset(c->out, 0, sizeof(c->out));
    set(&c->out[3], c->head, (size_t)n);
    c->first = 3;
    return flush(c);
}

/* |id| of the request, as it stands there. */
static bool answer(struct conn *c, struct agw_str id, const char *result, size_t n, const char *more)
{
    static const char open[] = "{\"jsonrpc\":\"2.0\",\"id\":", middle[] = ",\"result\":";
    size_t length = sizeof(open) - 1 + id.n + sizeof(middle) - 1 + n + 1;
    int head = snprintf(c->head, sizeof(c->head),
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n"
                        "%s%.*s%s",
                        more, length, open, AGW_STRF(id), middle);
    memset(c->out, 0, sizeof(c->out));
    set(&c->out[1], c->head, (size_t)head);
    set(&c->out[2], result, n);
    set(&c->out[3], "}", 1);
    c->first = 1;
    return flush(c);
}

static struct agw_str id_of(const char *body)
{
    const char *p = strstr(body, "\"id\":");
    return p ? agw_str(p + 5, strcspn(p + 5, ",}")) : agw_str(NULL, 0);
}

/* --- A2A --- */

static const char task[] = "{\"kind\":\"task\",\"id\":\"0f000000-0000-4000-8000-00000000000a\","
                           "\"contextId\":\"0f000000-0000-4000-8000-00000000000b\","
                           "\"status\":{\"state\":\"completed\"},\"artifacts\":[{\"artifactId\":\"a-1\","
                           "\"parts\":[{\"kind\":\"text\",\"text\":\"hello\"}]}]}";

static bool answer_card(struct conn *c)
{
    static const char card[] =
        "{\"protocolVersion\":\"0.3.0\",\"name\":\"bench\",\"description\":\"Says hello\",\"version\":\"1\","
        "\"url\":\"http://127.0.0.1/"
        "\",\"preferredTransport\":\"JSONRPC\",\"capabilities\":{\"streaming\":true},"
        "\"defaultInputModes\":[\"text/plain\"],\"defaultOutputModes\":[\"text/plain\"],\"skills\":[]}";
    int n = snprintf(c->head, sizeof(c->head),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     sizeof(card) - 1);
    memset(c->out, 0, sizeof(c->out));
    set(&c->out[2], c->head, (size_t)n);
    set(&c->out[3], card, sizeof(card) - 1);
    c->first = 2;
    return flush(c);
}

/* Head and first event in one piece, the end in another; a task that is watched does not end. */
static bool answer_stream(struct conn *c, struct agw_str id)
{
    char event[512];
    int n = snprintf(event, sizeof(event), "data: {\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":%s}\n\n",
                     AGW_STRF(id), task);
    int head =
        snprintf(c->head, sizeof(c->head),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "%x\r\n",
                 n);
    memset(c->out, 0, sizeof(c->out));
    set(&c->out[1], c->head, (size_t)head);
    set(&c->out[2], event, (size_t)n);
    set(&c->out[3], "\r\n", 2);
    c->first = 1;
    if (!flush(c) || c->first < 4) /* it fits in a socket's buffer */
        return false;
    if (agw_str_eq(id, AGW_STR("\"watch\"")))
        return true;
    set(&c->out[3], "0\r\n\r\n", 5);
    c->first = 3;
    return flush(c);
}

static bool respond(struct conn *c, const char *body)
{
    static const char called[] = "{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}";
    static const char initialized[] =
        "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true}},"
        "\"serverInfo\":{\"name\":\"bench\",\"version\":\"1\"}}";
    static unsigned sessions;
    char session[96];
    struct agw_str id = id_of(body);
    if (strstr(c->buf, "/.well-known/"))
        return answer_card(c);
    if (strncmp(c->buf, "GET ", 4) == 0) {
        static const char events[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n";
        memset(c->out, 0, sizeof(c->out));
        set(&c->out[3], events, sizeof(events) - 1);
        c->first = 3;
        return flush(c);
    }
    if (strncmp(c->buf, "DELETE ", 7) == 0)
        return answer_status(c, "200 OK");
    if (id.n == 0)
        return answer_status(c, "202 Accepted");
    if (strstr(body, "\"initialize\"")) {
        snprintf(session, sizeof(session), "Mcp-Session-Id: 0f000000-0000-4000-8000-%012x\r\n", ++sessions);
        return answer(c, id, initialized, sizeof(initialized) - 1, session);
    }
    if (strstr(body, "\"message/send\""))
        return answer(c, id, task, sizeof(task) - 1, "");
    if (strstr(body, "\"message/stream\""))
        return answer_stream(c, id);
    if (strstr(body, "\"tools/list\""))
        return answer(c, id, tools, strlen(tools), "");
    if (strstr(body, "\"big\""))
        return answer(c, id, big, BIG, "");
    return answer(c, id, called, sizeof(called) - 1, "");
}

/* One request at a time, as proxies send them over a connection. False: the connection is over. */
static bool serve(struct conn *c)
{
    ssize_t got = recv(c->fd, c->buf + c->n, sizeof(c->buf) - 1 - c->n, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    c->n += (unsigned)got;
    c->buf[c->n] = 0;
    char *end = strstr(c->buf, "\r\n\r\n");
    char *length = end ? strcasestr(c->buf, "\r\ncontent-length:") : NULL;
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (!end || c->n < (size_t)(end + 4 - c->buf) + body)
        return c->n < sizeof(c->buf) - 1;
    c->n = 0;
    return respond(c, end + 4);
}

static void take_in(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    struct conn *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
    if (!c)
        return;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->fd = fd;
    c->first = 4;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        fail("epoll_ctl");
}

static void turn(struct conn *c, uint32_t events)
{
    bool good = !(events & EPOLLERR) && (c->first == 4 || flush(c));
    if (good && events & (EPOLLIN | EPOLLHUP))
        good = serve(c);
    if (good)
        return;
    close(c->fd);
    free(c);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], accepts = {.events = EPOLLIN};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    if (argc != 2) {
        fprintf(stderr, "usage: rpc_server PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    make_answers();
    to.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 4096) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepts))
        fail("listen");
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                turn(events[i].data.ptr, events[i].events);
            else
                take_in(listener);
        }
    }
}
