#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "config/rcu.h"
#include "event/loop.h"
#include "http/date.h"
#include "http/uri.h"
#include "net/listen.h"
#include "admin/admin.h"
#include "proxy/server/h1_server.h"

/* Enough for scrapers and a few people; more are closed at once. */
#define MAX_CONNS 256

static const struct agw_server_limits limits = {.idle_ms = 60000, .head_ms = 5000, .stall_ms = 10000};

struct port {
    struct agw_listen listen;
    struct agw_admin *admin;
    struct agw_admin_port conf; /* conf.pages is |pages| */
    struct agw_admin_page pages[AGW_ADMIN_PAGES];
};

struct agw_admin {
    struct agw_loop loop;
    pthread_t thread;
    struct agw_list conns;
    unsigned conn_count, port_count;
    struct agw_post stop;
    struct port ports[];
};

int agw_admin_write(struct agw_admin_request *r, struct agw_str text)
{
    return agw_chain_copy(&r->body, r->pool, text.p, text.n);
}

/* --- answering --- */

static const struct agw_admin_page *find_page(const struct port *p, struct agw_admin_request *r)
{
    const struct agw_admin_page *any = NULL;
    enum agw_method method = r->method == AGW_METHOD_HEAD ? AGW_METHOD_GET : r->method;
    for (unsigned i = 0; i < p->conf.count; i++) {
        const struct agw_admin_page *page = &p->conf.pages[i];
        if (!agw_str_eq(agw_str_c(page->path), r->path))
            continue;
        any = page;
        if (page->method == method)
            return page;
    }
    r->status = any ? 405 : 404;
    return NULL;
}

static void write_answer(struct agw_stream *s, struct agw_admin_request *r, uint64_t wall_ns)
{
    struct agw_msg m;
    agw_msg_init(&m, s->arena);
    m.status = r->status;
    m.length = (int64_t)r->body.bytes;
    bool end = r->method == AGW_METHOD_HEAD || r->body.bytes == 0;
    if (agw_headers_add_id(&m.headers, AGW_HDR_CONTENT_TYPE, agw_str_c(r->type)) ||
        agw_headers_add_id(&m.headers, AGW_HDR_CACHE_CONTROL, AGW_STR("no-store")) ||
        agw_headers_add_date(&m.headers, wall_ns) || agw_stream_write_head(s, &m, end)) {
        agw_stream_reset(s, AGW_ENOMEM);
        return;
    }
    if (!end && agw_stream_write_body(s, &r->body) == 0)
        agw_stream_write_end(s, NULL);
}

static void serve(struct port *p, struct agw_stream *s, const struct agw_msg *msg)
{
    bool has_query;
    struct agw_admin_request r = {.method = msg->method,
                                  .status = 200,
                                  .type = "text/plain; charset=utf-8",
                                  .pool = &p->admin->loop.blocks};
    agw_chain_init(&r.body);
    agw_path_split(msg->path, &r.path, &r.query, &has_query);
    const struct agw_admin_page *page = find_page(p, &r);
    if (page) {
        r.ctx = page->ctx;
        page->serve(&r);
    } else {
        agw_admin_write(&r, agw_str_c(agw_http_reason(r.status)));
        agw_admin_write(&r, AGW_STR("\n"));
    }
    write_answer(s, &r, p->admin->loop.wall_ns);
    agw_chain_clear(&r.body);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    agw_stream_consume(s, data->bytes);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    (void)s;
    (void)trailers;
}

static void on_drain(struct agw_stream *s)
{
    (void)s;
}

static void on_close(struct agw_stream *s, int code)
{
    (void)s;
    (void)code;
}

static const struct agw_stream_events stream_events = {
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_request(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end)
{
    (void)end;
    s->events = &stream_events;
    serve(c->user, s, msg);
}

static void on_closed(struct agw_server_conn *c)
{
    struct port *p = c->user;
    agw_list_remove(&c->node);
    p->admin->conn_count--;
    free(c);
}

static const struct agw_server_handler handler = {.on_request = on_request, .on_closed = on_closed};

/* --- connections --- */

static void on_ready(struct agw_conn *conn)
{
    struct agw_server_conn *c = conn->user;
    struct agw_input none;
    agw_input_init(&none);
    if (agw_h1_server_start(c, &none)) {
        agw_conn_close(conn, false);
        on_closed(c);
    }
}

static void on_failed(struct agw_conn *conn, int code, const char *reason)
{
    (void)code;
    (void)reason;
    agw_conn_close(conn, false);
    on_closed(conn->user);
}

static void on_nothing(struct agw_conn *conn)
{
    (void)conn;
}

static const struct agw_conn_events start_events = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_readable = on_nothing,
    .on_writable = on_nothing,
};

static void no_timer(struct agw_timer *t)
{
    (void)t;
}

static void on_accept(struct agw_listen *listen, int fd, const struct agw_addr *peer)
{
    struct port *p = agw_container_of(listen, struct port, listen);
    struct agw_server_conn *c = p->admin->conn_count < MAX_CONNS ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    if (agw_conn_accept(&c->conn, &p->admin->loop, fd, peer, &start_events)) {
        free(c);
        return;
    }
    c->conn.user = c;
    c->handler = &handler;
    c->limits = &limits;
    c->user = p;
    agw_timer_init(&c->timer, no_timer);
    agw_list_push(&p->admin->conns, &c->node);
    p->admin->conn_count++;
    agw_conn_start(&c->conn);
}

/* --- the thread --- */

static void before_wait(struct agw_loop *loop)
{
    (void)loop;
    agw_rcu_offline();
}

static void after_wait(struct agw_loop *loop)
{
    (void)loop;
    agw_rcu_online();
}

static void close_all(struct agw_admin *a)
{
    struct agw_list *node, *tmp;
    for (unsigned i = 0; i < a->port_count; i++)
        agw_listen_stop(&a->ports[i].listen);
    agw_list_each (node, tmp, &a->conns) {
        struct agw_server_conn *c = agw_list_entry(node, struct agw_server_conn, node);
        if (c->ops)
            agw_server_conn_destroy(c);
        else
            on_failed(&c->conn, 0, "");
    }
}

static void run_stop(struct agw_post *post, void *ctx)
{
    struct agw_admin *a = agw_container_of(post, struct agw_admin, stop);
    (void)ctx;
    close_all(a);
    agw_loop_stop(&a->loop);
}

static void *admin_main(void *arg)
{
    struct agw_admin *a = arg;
    agw_rcu_register();
    agw_loop_run(&a->loop);
    agw_rcu_unregister();
    return NULL;
}

static int open_ports(struct agw_admin *a, const struct agw_admin_port *ports, unsigned count,
                      struct agw_error *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct port *p = &a->ports[i];
        p->admin = a;
        agw_check(ports[i].count <= AGW_ADMIN_PAGES);
        p->conf = ports[i];
        memcpy(p->pages, ports[i].pages, ports[i].count * sizeof(p->pages[0]));
        p->conf.pages = p->pages;
        int fd = agw_listen_socket_alone(&ports[i].addr, err);
        if (fd < 0)
            return agw_error_prefix(err, "%s port", ports[i].name);
        int rc = agw_listen_start(&p->listen, &a->loop, fd, on_accept);
        if (rc)
            return agw_error_set(err, rc, "%s port: cannot watch the socket", ports[i].name);
        a->port_count++;
    }
    return 0;
}

static int start_thread(struct agw_admin *a, struct agw_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&a->thread, NULL, admin_main, a);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? agw_error_set(err, AGW_EIO, "admin thread: %s", strerror(rc)) : 0;
}

struct agw_admin *agw_admin_new(const struct agw_admin_port *ports, unsigned count, struct agw_error *err)
{
    struct agw_admin *a = calloc(1, sizeof(*a) + count * sizeof(a->ports[0]));
    if (!a || agw_loop_init(&a->loop, 0)) {
        free(a);
        agw_error_set(err, AGW_ENOMEM, "admin: out of memory");
        return NULL;
    }
    agw_list_init(&a->conns);
    a->loop.before_wait = before_wait;
    a->loop.after_wait = after_wait;
    a->stop.run = run_stop;
    if (open_ports(a, ports, count, err) || start_thread(a, err)) {
        close_all(a);
        agw_loop_free(&a->loop);
        free(a);
        return NULL;
    }
    return a;
}

void agw_admin_free(struct agw_admin *a)
{
    if (!a)
        return;
    agw_loop_post(&a->loop, &a->stop);
    pthread_join(a->thread, NULL);
    agw_loop_free(&a->loop);
    free(a);
}
