/* Clients for the benches of MCP and A2A, one thread:
 *
 *     run PORT PATH CONNECTIONS SECONDS MESSAGE   one message of each connection under way all the time
 *     hold PORT PATH COUNT                        MCP sessions with an event stream each, until standard
 *                                                 input ends
 *     join PORT PATH COUNT                        MCP sessions that nobody uses
 *     watch PORT PATH COUNT                       A2A tasks with a stream each, until standard input ends
 *     once PORT PATH MESSAGE                      one call; how long it took
 *
 * MESSAGE is "list", "modern-list" (of 2026-07-28, without a session) or a tool's name; of A2A it is "send"
 * (0.3), "send-1.0" or "stream" (0.3; what is timed is its first event). */
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

#define SLOTS 1000000 /* of latencies, a microsecond each */
#define EVENTS 256
#define HEAD 16384
#define PER_ADDRESS 5000 /* connections of one source address: ports are few */

struct conn {
    int fd;
    size_t left; /* of the answer's body; with |head| */
    bool head;   /* it is here */
    bool chunked;
    char tail[5];               /* the last bytes of a chunked one */
    uint64_t sent_ns, event_ns; /* the first event came */
    char *request;              /* head and body */
    size_t size;
    unsigned n; /* bytes in |buf| */
    char buf[HEAD];
};

static const char *path;
static bool to_end; /* event streams, too, are whole with their last chunk */
static struct sockaddr_in to = {.sin_family = AF_INET};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(unsigned number)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number / PER_ADDRESS)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) || connect(fd, (struct sockaddr *)&to, sizeof(to)))
        fail("connect");
    return fd;
}

static void say(int fd, const char *p, size_t n)
{
    if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail("send");
}

/* A whole request. |fields|: header lines. */
static char *make(const char *method, const char *fields, const char *body, size_t *ret_size)
{
    char *text = NULL;
    int n = asprintf(&text,
                     "%s %s HTTP/1.1\r\nHost: bench.test\r\nAccept: application/json, text/event-stream\r\n"
                     "Content-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                     method, path, fields, strlen(body), body);
    if (n < 0)
        fail("asprintf");
    *ret_size = (size_t)n;
    return text;
}

/* --- answers --- */

/* Whether the last chunk has come, of |n| more bytes. */
static bool ends(struct conn *c, const char *p, size_t n)
{
    size_t keep = n < sizeof(c->tail) ? sizeof(c->tail) - n : 0;
    memmove(c->tail, c->tail + sizeof(c->tail) - keep, keep);
    memcpy(c->tail + keep, p + n - (sizeof(c->tail) - keep), sizeof(c->tail) - keep);
    return memcmp(c->tail, "0\r\n\r\n", sizeof(c->tail)) == 0;
}

/* Reads the head in |c->buf|. 0: not yet whole; -1: no good answer. */
static int read_head(struct conn *c)
{
    c->buf[c->n] = 0;
    char *end = strstr(c->buf, "\r\n\r\n");
    if (!end)
        return c->n < HEAD - 1 ? 0 : -1;
    char *length = strcasestr(c->buf, "\r\ncontent-length:");
    if (to_end && !strstr(end, "data:"))
        return 0;
    c->event_ns = to_end ? agw_clock_ns() : 0;
    bool good = strncmp(c->buf, "HTTP/1.1 20", 11) == 0;
    size_t here = c->n - (size_t)(end + 4 - c->buf), body = length ? strtoul(length + 17, NULL, 10) : 0;
    if (!good || (body > 0 && here > 40 && !strstr(end, "\"result\"")))
        return -1;
    c->head = true;
    c->left = body > here ? body - here : 0;
    /* Of an MCP server's event stream the head is enough. */
    c->chunked = strcasestr(c->buf, "\r\ntransfer-encoding: chunked") &&
                 (to_end || !strcasestr(c->buf, "event-stream"));
    if (c->chunked)
        c->left = !ends(c, c->buf, c->n);
    return 1;
}

/* Reads on. 1: the answer is whole; 0: not yet; -1: it is no good. */
static int take(struct conn *c)
{
    static char sink[1 << 18];
    ssize_t got =
        c->head ? recv(c->fd, sink, sizeof(sink), 0) : recv(c->fd, c->buf + c->n, HEAD - 1 - c->n, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    if (c->head && c->chunked) {
        c->left = !ends(c, sink, (size_t)got);
    } else if (c->head) {
        if ((size_t)got > c->left)
            return -1;
        c->left -= (size_t)got;
    } else {
        c->n += (unsigned)got;
        int rc = read_head(c);
        if (rc <= 0)
            return rc;
    }
    if (c->left > 0)
        return 0;
    c->head = false;
    c->n = 0;
    return 1;
}

static void ask(struct conn *c, const char *request, size_t n)
{
    int rc;
    c->head = false;
    c->n = 0;
    say(c->fd, request, n);
    while ((rc = take(c)) == 0) {
    }
    if (rc < 0) {
        fprintf(stderr, "the answer is no good: %.*s\n", 1000, c->buf);
        exit(1);
    }
}

/* --- sessions --- */

/* The field that says which session; the caller frees it. */
static char *join(struct conn *c)
{
    size_t n;
    char *fields = NULL;
    char *request = make("POST", "",
                         "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
                         "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},"
                         "\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}",
                         &n);
    ask(c, request, n);
    free(request);
    char *id = strcasestr(c->buf, "\r\nmcp-session-id:");
    if (!id)
        fail("no session");
    id += 17 + (id[17] == ' ');
    if (asprintf(&fields, "Mcp-Session-Id: %.*s\r\nMCP-Protocol-Version: 2025-06-18\r\n",
                 (int)strcspn(id, "\r"), id) < 0)
        fail("asprintf");
    request = make("POST", fields, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", &n);
    ask(c, request, n);
    free(request);
    return fields;
}

#define A2A_MESSAGE                                                                                          \
    "\"params\":{\"message\":{\"kind\":\"message\",\"messageId\":\"m-1\",\"role\":\"user\","                 \
    "\"parts\":[{\"kind\":\"text\",\"text\":\"hello\"}]}}}"

/* NULL: it is none of A2A's. */
static char *a2a_request(const char *message, size_t *ret_size)
{
    if (strcmp(message, "send") == 0)
        return make("POST", "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message/send\"," A2A_MESSAGE,
                    ret_size);
    if (strcmp(message, "stream") == 0 || strcmp(message, "watch") == 0)
        return make("POST", "",
                    message[0] == 's'
                        ? "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message/stream\"," A2A_MESSAGE
                        : "{\"jsonrpc\":\"2.0\",\"id\":\"watch\",\"method\":\"message/"
                          "stream\"," A2A_MESSAGE,
                    ret_size);
    if (strcmp(message, "send-1.0") == 0)
        return make("POST", "A2A-Version: 1.0\r\n",
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{"
                    "\"messageId\":\"m-1\",\"role\":\"ROLE_USER\",\"parts\":[{\"text\":\"hello\"}]}}}",
                    ret_size);
    return NULL;
}

static void prepare(struct conn *c, const char *message)
{
    char body[512];
    to_end = strcmp(message, "stream") == 0;
    c->request = a2a_request(message, &c->size);
    if (c->request)
        return;
    if (strcmp(message, "modern-list") == 0) {
        c->request = make("POST", "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n",
                          "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
                          "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                          "\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
                          &c->size);
        return;
    }
    if (strcmp(message, "list") == 0)
        snprintf(body, sizeof(body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{}}");
    else
        snprintf(body, sizeof(body),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\","
                 "\"arguments\":{\"message\":\"hello\"}}}",
                 message);
    char *fields = join(c);
    c->request = make("POST", fields, body, &c->size);
    free(fields);
}

/* --- what is measured --- */

static uint32_t took[SLOTS]; /* how many took so many microseconds */
static uint64_t messages, errors;

static unsigned percentile(unsigned percent)
{
    uint64_t below = 0, want = messages * percent / 100;
    unsigned us = 0;
    while (us < SLOTS - 1 && (below += took[us]) <= want)
        us++;
    return us;
}

static void send_one(struct conn *c)
{
    c->sent_ns = agw_clock_ns();
    say(c->fd, c->request, c->size);
}

static void turn(struct conn *c)
{
    int rc = take(c);
    if (rc == 0)
        return;
    if (rc < 0) {
        errors++;
        close(c->fd);
        return;
    }
    uint64_t us = ((to_end ? c->event_ns : agw_clock_ns()) - c->sent_ns) / 1000;
    took[us < SLOTS ? us : SLOTS - 1]++;
    messages++;
    send_one(c);
}

static int run(unsigned count, unsigned seconds, const char *message)
{
    struct epoll_event events[EVENTS];
    struct conn *conns = calloc(count, sizeof(*conns));
    int epoll = epoll_create1(0);
    if (!conns || epoll < 0)
        fail("run");
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
        conns[i].fd = dial(i);
        prepare(&conns[i], message);
        fcntl(conns[i].fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &e))
            fail("epoll_ctl");
    }
    puts("begin"); /* from here on it counts */
    fflush(stdout);
    uint64_t start = agw_clock_ns(), now = start;
    for (unsigned i = 0; i < count; i++)
        send_one(&conns[i]);
    for (uint64_t end = start + seconds * AGW_NS_PER_S; now < end; now = agw_clock_ns()) {
        int n = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            turn(events[i].data.ptr);
    }
    printf("messages %llu\nrps %.1f\np50_us %u\np99_us %u\nerrors %llu\n", (unsigned long long)messages,
           (double)messages * AGW_NS_PER_S / (double)(now - start), percentile(50), percentile(99),
           (unsigned long long)errors);
    return 0;
}

static int hold(unsigned count, bool streams)
{
    struct conn *c = calloc(1, sizeof(*c));
    size_t n;
    if (!c)
        fail("hold");
    for (unsigned i = 0; i < count; i++) {
        if (i == 0 || streams)
            c->fd = dial(i);
        char *fields = join(c);
        char *request = make("GET", fields, "", &n);
        if (streams)
            ask(c, request, n);
        free(request);
        free(fields);
    }
    puts("open");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    free(c);
    return 0;
}

static int watch(unsigned count)
{
    struct conn *c = calloc(1, sizeof(*c));
    size_t n;
    char *request = a2a_request("watch", &n);
    if (!c || !request)
        fail("watch");
    for (unsigned i = 0; i < count; i++) {
        c->fd = dial(i);
        say(c->fd, request, n);
        for (c->n = 0; !strstr(c->buf, "data:"); c->buf[c->n] = 0) {
            ssize_t got = recv(c->fd, c->buf + c->n, HEAD - 1 - c->n, 0);
            if (got <= 0)
                fail("no event");
            c->n += (unsigned)got;
        }
        c->buf[0] = 0;
    }
    puts("open");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    free(request);
    free(c);
    return 0;
}

static int once(const char *message)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        fail("once");
    c->fd = dial(0);
    prepare(c, message);
    uint64_t begin = agw_clock_ns();
    ask(c, c->request, c->size);
    printf("us %llu\n", (unsigned long long)(agw_clock_ns() - begin) / 1000);
    free(c);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5) {
        to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        path = argv[3];
        unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
        if (argc == 7 && strcmp(argv[1], "run") == 0)
            return run(count, (unsigned)strtoul(argv[5], NULL, 10), argv[6]);
        if (argc == 5 && (strcmp(argv[1], "hold") == 0 || strcmp(argv[1], "join") == 0))
            return hold(count, argv[1][0] == 'h');
        if (argc == 5 && strcmp(argv[1], "watch") == 0)
            return watch(count);
        if (argc == 5 && strcmp(argv[1], "once") == 0)
            return once(argv[4]);
    }
    fprintf(stderr,
            "usage: rpc_load run PORT PATH CONNECTIONS SECONDS MESSAGE | hold|join|watch PORT PATH COUNT | "
            "once PORT PATH MESSAGE\n");
    return 2;
}
