#include "proxy/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#include "config/rcu.h"
#include "mcp/transport/hub.h"

struct rig rig;

static struct agw_endpoint *make_endpoint(struct agw_arena *arena, const struct agw_addr *addr)
{
    struct agw_endpoint *e = agw_arena_zalloc(arena, sizeof(*e));
    e->addr = *addr;
    e->http = AGW_UPSTREAM_HTTP1;
    assert_int_equal(agw_endpoint_key(e, AGW_STR(""), arena), 0);
    return e;
}

static void never_freed(struct agw_shared *shared)
{
    fail_msg("it lives in the snapshot's arena");
}

/* Gives |b| the next number. */
static void add_backend(struct agw_snapshot *s, struct agw_backend *b)
{
    agw_shared_init(&b->shared, never_freed);
    b->id = s->backends.count;
    assert_int_equal(agw_pmap_put(&s->backends, b->id, b, NULL), 0);
}

static void make_route(struct agw_snapshot *s, struct agw_arena *a, const struct agw_addr *backend_addr)
{
    struct agw_backend *b = agw_arena_zalloc(a, sizeof(*b));
    const struct agw_endpoint **list = agw_arena_zalloc(a, sizeof(*list));
    struct agw_backend_ref *ref = agw_arena_zalloc(a, sizeof(*ref));
    struct agw_route *r = agw_arena_zalloc(a, sizeof(*r));
    list[0] = make_endpoint(a, backend_addr);
    b->key = b->name = AGW_STR("ns/backend");
    b->kind = AGW_BACKEND_STATIC;
    b->endpoints = list;
    b->endpoint_count = 1;
    add_backend(s, b);
    *ref = (struct agw_backend_ref){.weight = 1, .backend = b->id};
    r->key = r->label = AGW_STR("ns/route");
    r->backends = ref;
    r->backend_count = r->weight_total = 1;
    rig.route = r;
    rig.backend = b;
}

static void free_paths(void *map)
{
    agw_pmap_free(map);
}

static const struct agw_listener *make_listener(struct agw_arena *a)
{
    struct agw_listener *l = agw_arena_zalloc(a, sizeof(*l));
    struct agw_match *m = agw_arena_zalloc(a, sizeof(*m));
    struct agw_match_group *group = agw_arena_zalloc(a, sizeof(*group) + sizeof(struct agw_match *));
    struct agw_host_bucket *any = agw_arena_zalloc(a, sizeof(*any));
    *m = (struct agw_match){.path_kind = AGW_PATH_PREFIX, .route = rig.route};
    agw_shared_init(&group->shared, never_freed);
    group->count = 1;
    group->matches[0] = m;
    agw_pmap_init(&any->prefix, offsetof(struct agw_match_group, path));
    assert_int_equal(agw_pmap_put(&any->prefix, agw_path_hash(AGW_PATH_HASH, "", 0), group, NULL), 0);
    assert_int_equal(agw_snapshot_on_free(rig.snap, free_paths, &any->prefix), 0);
    l->key = l->label = AGW_STR("ns/gw/http");
    l->any = any;
    return l;
}

void rig_make_mcp(void)
{
    struct agw_arena *a = &rig.snap->arena;
    struct agw_mcp_backend *mcp = agw_arena_zalloc(a, sizeof(*mcp));
    struct agw_mcp_target *target = agw_arena_zalloc(a, sizeof(*target));
    struct agw_backend *b = agw_arena_zalloc(a, sizeof(*b));
    *target =
        (struct agw_mcp_target){.name = AGW_STR("one"), .backend = rig.backend, .path = AGW_STR("/mcp")};
    *mcp = (struct agw_mcp_backend){.targets = target, .count = 1, .stateless = true};
    *b = (struct agw_backend){
        .key = AGW_STR("ns/mcp"), .name = AGW_STR("ns/mcp"), .kind = AGW_BACKEND_MCP, .mcp = mcp};
    add_backend(rig.snap, b);
    ((struct agw_backend_ref *)rig.route->backends)->backend = b->id;
}

void rig_publish(bool with_bind)
{
    struct agw_snapshot *s = agw_snapshot_new();
    struct agw_bind *b = agw_arena_zalloc(&s->arena, sizeof(*b));
    const struct agw_listener **listeners = agw_arena_zalloc(&s->arena, sizeof(*listeners));
    struct agw_addr *addr = agw_arena_zalloc(&s->arena, sizeof(*addr)), backend;
    assert_non_null(s);
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    getsockname(rig.listener, (struct sockaddr *)&sa, &n);
    agw_addr_from(&sa, n, &backend);
    rig.snap = s;
    make_route(s, &s->arena, &backend);
    listeners[0] = make_listener(&s->arena);
    agw_addr_ip(AGW_STR("127.0.0.1"), 0, addr);
    *b = (struct agw_bind){.key = AGW_STR("bind"), .addrs = addr, .addr_count = 1, .listeners = listeners};
    b->listener_count = 1;
    s->binds = agw_arena_copy(&s->arena, &b, sizeof(struct agw_bind *));
    s->bind_count = with_bind;
    agw_snapshot_publish(s);
    agw_acceptors_sync(&rig.worker, s);
    agw_snapshot_reclaim();
}

int rig_set_up(void **state)
{
    static unsigned char key[32];
    struct agw_error err = {0};
    struct agw_addr backend;
    memset(&rig, 0, sizeof(rig));
    rig.listener = peer_listen(&backend);
    rig.gateway.options.max_conns = AGW_GATEWAY_MAX_CONNS;
    rig.gateway.options.metrics = agw_metrics_registry_new(1);
    memcpy(rig.gateway.options.session_key, key, sizeof(key));
    rig.gateway.options.client = agw_client_default_limits;
    rig.gateway.mcp_hub = agw_mcp_hub_new(1);
    assert_non_null(rig.gateway.mcp_hub);
    if (agw_worker_init(&rig.worker, &rig.gateway, 0, &err))
        fail_msg("%s", err.text);
    agw_rcu_register();
    rig_publish(true);
    rig.addr = agw_list_entry(rig.worker.acceptors.next, struct agw_acceptor, node)->listen.addr;
    return 0;
}

int rig_tear_down(void **state)
{
    agw_worker_stop(&rig.worker);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(rig.worker.conn_count, 0);
    assert_int_equal(rig.snap->private->pins[0].count, 0);
    agw_worker_free(&rig.worker);
    agw_snapshot_shutdown();
    agw_rcu_unregister();
    agw_metrics_registry_free(rig.gateway.options.metrics);
    agw_mcp_hub_free(rig.gateway.mcp_hub);
    close(rig.listener);
    return 0;
}

void rig_connect(struct peer *client)
{
    peer_connect(client, &rig.worker.loop, &rig.addr);
}

void rig_accept(struct peer *backend)
{
    peer_accept(backend, &rig.worker.loop, rig.listener);
}

unsigned rig_conns(void)
{
    peer_turns(&rig.worker.loop, 5);
    return rig.worker.conn_count;
}

static void exchange(struct peer *client, struct peer *backend, bool accept)
{
    peer_say(client, "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n");
    if (accept)
        rig_accept(backend);
    peer_expect(backend, "GET /warm HTTP/1.1\r\n");
    peer_expect(backend, "\r\n\r\n");
    peer_say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(client, "HTTP/1.1 200 OK\r\n");
    peer_expect(client, "\r\n\r\nok");
}

void rig_warm_up(struct peer *client, struct peer *backend)
{
    exchange(client, backend, true);
    peer_turns(&rig.worker.loop, 3);
}

void rig_check_serves(void)
{
    struct peer client, backend;
    rig_connect(&client);
    exchange(&client, &backend, true);
    peer_close(&client);
    peer_close(&backend);
    peer_turns(&rig.worker.loop, 5);
}
