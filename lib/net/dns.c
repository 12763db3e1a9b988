#include "net/dns.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#define NAME_MAX_LEN 254 /* RFC 1035 section 2.3.4: 253 and a final dot */
#define TTL_MIN_S 1      /* at least the requests of one second share an answer */
#define TTL_MAX_S 60     /* endpoints that moved are found again within a minute */
#define TTL_FAILURE_S 1  /* a name that does not exist is not asked for by each request */
#define STALE_MAX_S 60   /* so long an answer that has expired is used while a new one is fetched */
#define NAMES_MAX 1024   /* names kept; the least recently used goes first */
#define TRY_TIMEOUT_MS 2000
#define TRIES 3

/* One name: the answer, and who waits for it. Not evicted while it is asked for or waited for. */
struct name {
    struct agw_dns *dns;
    struct agw_list used;     /* dns->used, oldest first */
    struct agw_list answered; /* dns->answered while queries wait for delivery */
    struct agw_list waiting;  /* struct agw_dns_query */
    bool pending;             /* c-ares is at work */
    int code;
    uint64_t expires_ms;
    struct agw_addr *addrs;
    size_t count;
    size_t n;
    char text[]; /* lower case, with NUL */
};

struct agw_dns_query {
    struct agw_list node; /* name->waiting */
    agw_dns_fn *fn;
    void *ctx;
    uint16_t port;
};

/* A socket of c-ares. */
struct sock {
    struct agw_watch watch;
    struct agw_list node;
    struct agw_dns *dns;
    int fd;
    bool edge; /* c-ares waits to write: watched edge-triggered for both directions, else level-triggered for
                  reading */
};

struct agw_dns {
    struct agw_loop *loop;
    ares_channel channel; /* NULL before the first query */
    char *servers;        /* NULL: the system's */
    bool closing;
    struct agw_list socks;
    struct agw_timer timer;
    struct agw_map names;
    struct agw_list used;
    struct agw_list answered;
    struct agw_task deliver;
};

int agw_dns_global_init(void)
{
    return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? 0 : AGW_ENOMEM;
}

void agw_dns_global_free(void)
{
    ares_library_cleanup();
}

/* --- c-ares on the loop --- */

static void on_socket(struct agw_watch *w, unsigned events);

static void arm_timer(struct agw_dns *dns)
{
    struct timeval tv;

    if (!dns->channel || !ares_timeout(dns->channel, NULL, &tv)) {
        agw_timer_cancel(&dns->loop->timers, &dns->timer);
        return;
    }
    uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1;
    agw_timer_set(&dns->loop->timers, &dns->timer, dns->loop->now_ms + ms);
}

static void on_timer(struct agw_timer *t)
{
    struct agw_dns *dns = agw_container_of(t, struct agw_dns, timer);

    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(dns);
}

static struct sock *find_sock(struct agw_dns *dns, int fd)
{
    struct agw_list *pos, *tmp;

    agw_list_each (pos, tmp, &dns->socks) {
        struct sock *s = agw_list_entry(pos, struct sock, node);
        if (s->fd == fd)
            return s;
    }
    return NULL;
}

/* A socket that cannot be watched answers nothing; c-ares then times out. */
static void watch(struct sock *s, bool edge)
{
    agw_watch_remove(s->dns->loop, &s->watch);
    s->edge = edge;
    int rc = edge ? agw_watch_add(s->dns->loop, &s->watch, s->fd)
                  : agw_watch_add_level(s->dns->loop, &s->watch, s->fd);
    if (rc)
        agw_warn("dns", "cannot watch a socket: %s", agw_err_text(rc));
}

static void drop_sock(struct sock *s)
{
    agw_watch_remove(s->dns->loop, &s->watch);
    agw_list_remove(&s->node);
    free(s);
}

static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct agw_dns *dns = arg;
    struct sock *s = find_sock(dns, fd);

    if (!readable && !writable) {
        if (s)
            drop_sock(s);
        return;
    }
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return;
        s->watch = (struct agw_watch){-1, on_socket};
        s->dns = dns;
        s->fd = fd;
        s->edge = !writable;
        agw_list_push(&dns->socks, &s->node);
    }
    if (s->edge != (bool)writable)
        watch(s, writable);
}

static void on_socket(struct agw_watch *w, unsigned events)
{
    struct sock *s = agw_container_of(w, struct sock, watch);
    struct agw_dns *dns = s->dns;
    int fd = s->fd;

    ares_process_fd(dns->channel, events & AGW_READABLE ? fd : ARES_SOCKET_BAD,
                    events & AGW_WRITABLE ? fd : ARES_SOCKET_BAD);
    arm_timer(dns);
}

static int open_channel(struct agw_dns *dns)
{
    struct ares_options o = {
        .timeout = TRY_TIMEOUT_MS,
        .tries = TRIES,
        .lookups = (char[]){"fb"},
        .sock_state_cb = on_sock_state,
        .sock_state_cb_data = dns,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

    if (dns->channel)
        return 0;
    int rc = ares_init_options(&dns->channel, &o, mask);
    if (rc == ARES_SUCCESS && dns->servers) {
        rc = ares_set_servers_ports_csv(dns->channel, dns->servers);
        if (rc != ARES_SUCCESS)
            ares_destroy(dns->channel);
    }
    if (rc == ARES_SUCCESS)
        return 0;
    agw_warn("dns", "resolver: %s", ares_strerror(rc));
    dns->channel = NULL;
    return AGW_EDNS;
}

/* --- names and answers --- */

static void free_name(struct name *name)
{
    struct agw_list *node;

    while ((node = agw_list_pop(&name->waiting)))
        free(agw_list_entry(node, struct agw_dns_query, node));
    agw_map_take(&name->dns->names, agw_str(name->text, name->n));
    agw_list_remove(&name->used);
    agw_list_remove(&name->answered);
    free(name->addrs);
    free(name);
}

static void evict(struct agw_dns *dns)
{
    struct agw_list *pos, *tmp;

    agw_list_each (pos, tmp, &dns->used) {
        struct name *name = agw_list_entry(pos, struct name, used);
        if (name->pending || !agw_list_empty(&name->waiting) || !agw_list_empty(&name->answered))
            continue;
        free_name(name);
        return;
    }
}

static struct name *add_name(struct agw_dns *dns, struct agw_str text)
{
    if (dns->names.count >= NAMES_MAX)
        evict(dns);
    struct name *name = calloc(1, sizeof(*name) + text.n + 1);
    if (!name)
        return NULL;
    name->dns = dns;
    name->n = text.n;
    memcpy(name->text, text.p, text.n);
    agw_list_init(&name->used);
    agw_list_init(&name->answered);
    agw_list_init(&name->waiting);
    if (agw_map_put(&dns->names, agw_str(name->text, name->n), name, NULL)) {
        free(name);
        return NULL;
    }
    return name;
}

static size_t next_of(const struct agw_addr *all, size_t count, size_t from, bool same, int family)
{
    while (from < count && (all[from].u.sa.sa_family == family) != same)
        from++;
    return from;
}

/* Keeps the order inside a family and begins with the family that stands first. */
static void interleave(const struct agw_addr *all, size_t count, struct agw_addr *out)
{
    int family = count ? all[0].u.sa.sa_family : AF_UNSPEC;
    size_t n = 0, a = 0, b = 0;

    while (n < count) {
        a = next_of(all, count, a, true, family);
        if (a < count)
            out[n++] = all[a++];
        b = next_of(all, count, b, false, family);
        if (b < count)
            out[n++] = all[b++];
    }
}

/* Copies up to AGW_DNS_ADDRS addresses of the answer; half of the room is each family's if there are many of
 * both. */
static size_t collect(const struct ares_addrinfo *info, struct agw_addr *all, int *ret_ttl)
{
    size_t count = 0, per_family[2] = {0, 0};
    int ttl = TTL_MAX_S;

    for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
        bool v6 = node->ai_family == AF_INET6;
        if ((!v6 && node->ai_family != AF_INET) || per_family[v6] >= AGW_DNS_ADDRS / 2)
            continue;
        per_family[v6]++;
        agw_addr_from((const struct sockaddr_storage *)(const void *)node->ai_addr, node->ai_addrlen,
                      &all[count++]);
        if (node->ai_ttl < ttl)
            ttl = node->ai_ttl;
    }
    *ret_ttl = ttl < TTL_MIN_S ? TTL_MIN_S : ttl;
    return count;
}

static int keep_answer(struct name *name, const struct ares_addrinfo *info)
{
    struct agw_addr all[AGW_DNS_ADDRS];
    int ttl;
    size_t count = collect(info, all, &ttl);

    if (count == 0)
        return AGW_EDNS;
    struct agw_addr *addrs = malloc(count * sizeof(*addrs));
    if (!addrs)
        return AGW_EDNS;
    interleave(all, count, addrs);
    free(name->addrs);
    name->addrs = addrs;
    name->count = count;
    name->expires_ms = name->dns->loop->now_ms + (uint64_t)ttl * 1000;
    return 0;
}

/* A server that says that there is no such address has answered; one that does not answer leaves what it said
 * last in force, however long that goes on. */
static void look_up_failed(struct name *name, int status)
{
    agw_debug("dns", "%s: %s", name->text, ares_strerror(status));
    name->expires_ms = name->dns->loop->now_ms + TTL_FAILURE_S * 1000;
    if (name->count && status != ARES_ENOTFOUND && status != ARES_ENODATA)
        return;
    name->code = AGW_EDNS;
    name->count = 0;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name *name = arg;
    struct agw_dns *dns = name->dns;

    name->pending = false;
    if (!dns->closing) {
        int code = status == ARES_SUCCESS && info ? keep_answer(name, info) : AGW_EDNS;
        if (code)
            look_up_failed(name, status);
        else
            name->code = 0;
        /* Callbacks run from a task: inside of c-ares they could not safely resolve, cancel or free. */
        if (!agw_list_empty(&name->waiting)) {
            agw_list_push(&dns->answered, &name->answered);
            agw_loop_defer(dns->loop, &dns->deliver);
        }
    }
    if (info)
        ares_freeaddrinfo(info);
}

static void ask(struct name *name)
{
    struct agw_dns *dns = name->dns;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (open_channel(dns)) {
        look_up_failed(name, ARES_ECONNREFUSED);
        return;
    }
    name->pending = true;
    ares_getaddrinfo(dns->channel, name->text, NULL, &hints, on_answer, name);
    arm_timer(dns);
}

/* --- callers --- */

static void call(const struct name *name, uint16_t port, agw_dns_fn *fn, void *ctx)
{
    struct agw_addr addrs[AGW_DNS_ADDRS];
    size_t count = name->code ? 0 : name->count;

    for (size_t i = 0; i < count; i++) {
        addrs[i] = name->addrs[i];
        agw_addr_set_port(&addrs[i], port);
    }
    fn(ctx, name->code, addrs, count);
}

static void on_deliver(struct agw_task *t)
{
    struct agw_dns *dns = agw_container_of(t, struct agw_dns, deliver);

    while (!agw_list_empty(&dns->answered)) {
        struct name *name = agw_list_entry(dns->answered.next, struct name, answered);
        struct agw_list *node = agw_list_pop(&name->waiting);
        if (!node) {
            agw_list_remove(&name->answered);
            continue;
        }
        struct agw_dns_query *q = agw_list_entry(node, struct agw_dns_query, node);
        struct agw_dns_query copy = *q;
        free(q);
        call(name, copy.port, copy.fn, copy.ctx);
    }
}

struct agw_dns *agw_dns_new(struct agw_loop *loop, struct agw_error *err)
{
    struct agw_dns *dns = calloc(1, sizeof(*dns));

    if (!dns) {
        agw_error_set(err, AGW_ENOMEM, "resolver: %s", agw_err_text(AGW_ENOMEM));
        return NULL;
    }
    dns->loop = loop;
    agw_list_init(&dns->socks);
    agw_list_init(&dns->used);
    agw_list_init(&dns->answered);
    agw_timer_init(&dns->timer, on_timer);
    agw_task_init(&dns->deliver, on_deliver);
    agw_map_init(&dns->names);
    return dns;
}

void agw_dns_free(struct agw_dns *dns)
{
    struct agw_list *pos, *tmp;

    if (!dns)
        return;
    dns->closing = true;
    if (dns->channel)
        ares_destroy(dns->channel);
    dns->channel = NULL;
    agw_list_each (pos, tmp, &dns->socks)
        drop_sock(agw_list_entry(pos, struct sock, node));
    agw_list_each (pos, tmp, &dns->used)
        free_name(agw_list_entry(pos, struct name, used));
    agw_timer_cancel(&dns->loop->timers, &dns->timer);
    agw_task_cancel(&dns->deliver);
    agw_map_free(&dns->names);
    free(dns->servers);
    free(dns);
}

int agw_dns_set_servers(struct agw_dns *dns, struct agw_str servers)
{
    char *copy = strndup(servers.p, servers.n);

    if (!copy)
        return AGW_ENOMEM;
    free(dns->servers);
    dns->servers = copy;
    return 0;
}

/* Lower case without the final dot into |out|; false for what is no host name. */
static bool host_name(struct agw_str host, char out[NAME_MAX_LEN + 1], struct agw_str *ret_name)
{
    if (host.n == 0 || host.n > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!fine)
            return false;
        out[i] = c;
    }
    out[host.n] = 0;
    *ret_name = agw_str(out, host.n);
    return true;
}

/* RFC 6761 section 6.3. IPv4 first: that is where most servers on a developer's machine listen. */
static bool is_localhost(struct agw_str name)
{
    if (agw_str_ends(name, AGW_STR(".")))
        name.n--;
    return agw_str_eq(name, AGW_STR("localhost")) || agw_str_ends(name, AGW_STR(".localhost"));
}

static size_t known(struct agw_str host, uint16_t port, struct agw_addr addrs[2])
{
    char text[NAME_MAX_LEN + 1];
    struct agw_str name;

    if (agw_addr_ip(host, port, &addrs[0]) == 0)
        return 1;
    if (!host_name(host, text, &name) || !is_localhost(name))
        return 0;
    agw_addr_ip(AGW_STR("127.0.0.1"), port, &addrs[0]);
    agw_addr_ip(AGW_STR("::1"), port, &addrs[1]);
    return 2;
}

static struct name *find_name(struct agw_dns *dns, struct agw_str host)
{
    char text[NAME_MAX_LEN + 1];
    struct agw_str key;

    if (!host_name(host, text, &key))
        return NULL;
    struct name *name = agw_map_get(&dns->names, key);
    if (!name)
        name = add_name(dns, key);
    if (name) {
        agw_list_remove(&name->used);
        agw_list_push(&dns->used, &name->used);
    }
    return name;
}

/* The answer at hand may be used: it is fresh, or a new one is on its way and this one is not too old. */
static bool usable(const struct name *name)
{
    uint64_t now = name->dns->loop->now_ms;
    if (!name->pending)
        return true;
    return name->count && now < name->expires_ms + STALE_MAX_S * 1000;
}

struct agw_dns_query *agw_dns_resolve(struct agw_dns *dns, struct agw_str host, uint16_t port, agw_dns_fn *fn,
                                      void *ctx)
{
    struct agw_addr addrs[2];
    size_t count = known(host, port, addrs);
    struct agw_dns_query *q = NULL;

    if (count) {
        fn(ctx, 0, addrs, count);
        return NULL;
    }
    struct name *name = find_name(dns, host);
    if (name && !name->pending && name->expires_ms <= dns->loop->now_ms)
        ask(name);
    if (name && usable(name)) {
        call(name, port, fn, ctx);
        return NULL;
    }
    if (name)
        q = malloc(sizeof(*q));
    if (!q) {
        fn(ctx, AGW_EDNS, NULL, 0);
        return NULL;
    }
    *q = (struct agw_dns_query){.fn = fn, .ctx = ctx, .port = port};
    agw_list_push(&name->waiting, &q->node);
    return q;
}

void agw_dns_cancel(struct agw_dns_query *q)
{
    agw_list_remove(&q->node);
    free(q);
}
