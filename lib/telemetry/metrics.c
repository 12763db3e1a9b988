#include "telemetry/metrics.h"

#include <stdlib.h>
#include "telemetry/metrics_int.h"

#define ARENA_FIRST 16384

const struct agw_metric_desc agw_metric_descs[AGW_METRIC_FAMILY_COUNT] = {
#define X(id, kind, metric_name, help_text, ...)                                                             \
    [AGW_METRIC_##                                                                                           \
        id] = {.type = AGW_METRIC_##kind, .name = metric_name, .help = help_text, .labels = {__VA_ARGS__}},
    AGW_METRIC_FAMILIES(X)
#undef X
};

static const uint64_t bounds_ns[AGW_METRIC_BUCKET_COUNT] = {
#define X(ns, text) ns,
    AGW_METRIC_BUCKETS(X)
#undef X
};

/* Only the part's own thread writes a cell: load and store are enough, and compile to plain ones. */
static inline void cell_add(_Atomic uint64_t *cell, uint64_t n)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, old + n, memory_order_relaxed);
}

void agw_metric_add(struct agw_metric *metric, int64_t n)
{
    cell_add(&metric->cells[0], (uint64_t)n);
}

void agw_metric_set(struct agw_metric *metric, uint64_t value)
{
    atomic_store_explicit(&metric->cells[0], value, memory_order_relaxed);
}

void agw_metric_observe(struct agw_metric *metric, uint64_t ns)
{
    unsigned i = 0;
    while (ns > bounds_ns[i])
        i++;
    cell_add(&metric->cells[i], 1);
    cell_add(&metric->cells[AGW_METRIC_SUM], ns);
}

/* --- making series --- */

static struct agw_metric *metric_new(struct agw_metrics *m, enum agw_metric_family family)
{
    size_t cells = agw_metric_cells(family) * sizeof(_Atomic uint64_t);
    return agw_arena_zalloc(&m->arena, sizeof(struct agw_metric) + cells);
}

/* From here on the reader sees it: all but the cells must be in place. */
static void publish(struct agw_metrics *m, enum agw_metric_family family, struct agw_metric *metric)
{
    metric->next = atomic_load_explicit(&m->families[family], memory_order_relaxed);
    atomic_store_explicit(&m->families[family], metric, memory_order_release);
}

static struct agw_metric *use_overflow(struct agw_metrics *m, enum agw_metric_family family)
{
    if (!m->overflowed[family]) {
        m->overflowed[family] = true;
        publish(m, family, m->overflow[family]);
    }
    return m->overflow[family];
}

struct key {
    size_t n;
    char bytes[AGW_METRIC_LABELS_MAX * (sizeof(uint16_t) + AGW_METRIC_LABEL_BYTES)];
};

static struct agw_str cut(struct agw_str label)
{
    return agw_str(label.p, label.n < AGW_METRIC_LABEL_BYTES ? label.n : AGW_METRIC_LABEL_BYTES);
}

/* Each label with its length before it, so that no two sets of labels look the same. */
static void key_of(struct key *key, const struct agw_str *labels, unsigned count)
{
    key->n = 0;
    for (unsigned i = 0; i < count; i++) {
        struct agw_str label = cut(labels[i]);
        uint16_t length = (uint16_t)label.n;
        memcpy(key->bytes + key->n, &length, sizeof(length));
        key->n += sizeof(length);
        if (label.n)
            memcpy(key->bytes + key->n, label.p, label.n);
        key->n += label.n;
    }
}

static void point_labels(struct agw_metric *metric, const char *key, const struct agw_str *labels,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        metric->labels[i] = agw_str(key + sizeof(uint16_t), cut(labels[i]).n);
        key += sizeof(uint16_t) + metric->labels[i].n;
    }
}

static struct agw_metric *make(struct agw_metrics *m, enum agw_metric_family family,
                               const struct agw_str *labels, const struct key *key)
{
    if (m->maps[family].count >= AGW_METRIC_SERIES_MAX)
        return NULL;
    struct agw_metric *metric = metric_new(m, family);
    char *copy = metric ? agw_arena_copy(&m->arena, key->bytes, key->n) : NULL;
    if (!copy || agw_map_put(&m->maps[family], agw_str(copy, key->n), metric, NULL))
        return NULL;
    point_labels(metric, copy, labels, agw_metric_label_count(family));
    publish(m, family, metric);
    return metric;
}

struct agw_metric *agw_metrics_get(struct agw_metrics *m, enum agw_metric_family family,
                                   const struct agw_str *labels)
{
    struct key key;
    unsigned count = agw_metric_label_count(family);
    if (count == 0)
        return use_overflow(m, family); /* it is the only series */
    key_of(&key, labels, count);
    struct agw_metric *metric = agw_map_get(&m->maps[family], agw_str(key.bytes, key.n));
    if (!metric)
        metric = make(m, family, labels, &key);
    return metric ? metric : use_overflow(m, family);
}

/* --- requests --- */

_Static_assert(AGW_METRICS_CACHE == 128, "cache_slot gives 7 bits");

static inline size_t cache_slot(const struct agw_metrics_request *r)
{
    uint64_t mix =
        (uintptr_t)r->route.p + 3 * (uintptr_t)r->backend.p + 5 * (uintptr_t)r->listener.p + r->code;
    mix *= 0x9e3779b97f4a7c15u;
    mix ^= mix >> 32; /* once is not enough: names stand at even distances */
    mix *= 0xc2b2ae3d27d4eb4fu;
    return mix >> 57; /* 7 bits */
}

/* Names move when config changes, so the bytes decide; a label that was cut never matches, which is only
 * slower. */
static inline bool matches(const struct agw_metric *metric, const struct agw_metrics_request *r)
{
    return metric && metric->code == r->code && agw_str_eq(metric->labels[1], r->route) &&
           agw_str_eq(metric->labels[2], r->backend) && agw_str_eq(metric->labels[0], r->listener);
}

static struct agw_metric *make_request(struct agw_metrics *m, const struct agw_metrics_request *r)
{
    unsigned code = r->code < 1000 ? r->code : 0;
    char text[3] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10)};
    struct agw_str labels[] = {r->listener, r->route, r->backend, agw_str(text, sizeof(text))};
    struct agw_metric *metric = agw_metrics_get(m, AGW_METRIC_REQUESTS, labels);
    if (metric != m->overflow[AGW_METRIC_REQUESTS] && !metric->duration) {
        metric->code = r->code;
        metric->duration = agw_metrics_get(m, AGW_METRIC_DURATION, labels);
    }
    return metric;
}

/* Two slots a set: two busy routes that meet in one do not push each other out. */
static inline struct agw_metric *find_request(struct agw_metrics *m, const struct agw_metrics_request *r)
{
    size_t slot = cache_slot(r);
    if (agw_likely(matches(m->cache[slot], r)))
        return m->cache[slot];
    if (matches(m->cache[slot ^ 1], r))
        return m->cache[slot ^ 1];
    struct agw_metric *metric = make_request(m, r);
    if (metric->duration) { /* not the overflow series */
        m->cache[slot ^ 1] = m->cache[slot];
        m->cache[slot] = metric;
    }
    return metric;
}

void agw_metrics_request(struct agw_metrics *m, const struct agw_metrics_request *r)
{
    struct agw_metric *metric = find_request(m, r);
    cell_add(&metric->cells[0], 1);
    struct agw_metric *duration = metric->duration;
    if (agw_unlikely(!duration)) { /* the overflow series is for many routes */
        struct agw_str labels[] = {r->listener, r->route};
        duration = agw_metrics_get(m, AGW_METRIC_DURATION, labels);
    }
    agw_metric_observe(duration, r->duration_ns);
}

void agw_metrics_tcp_closed(struct agw_metrics *m, const struct agw_metrics_tcp *t)
{
    struct agw_str labels[] = {t->listener, t->route, t->backend, t->result};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_TCP_CONNS, labels), 1);
}

void agw_metrics_mcp(struct agw_metrics *m, struct agw_str backend, struct agw_str method,
                     struct agw_str target)
{
    struct agw_str labels[] = {backend, method, target};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_MCP_REQUESTS, labels), 1);
}

void agw_metrics_a2a(struct agw_metrics *m, struct agw_str backend, struct agw_str method)
{
    struct agw_str labels[] = {backend, method};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_A2A_REQUESTS, labels), 1);
}

void agw_metrics_a2a_state(struct agw_metrics *m, struct agw_str backend, struct agw_str state)
{
    struct agw_str labels[] = {backend, state};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_A2A_STATES, labels), 1);
}

void agw_metrics_a2a_error(struct agw_metrics *m, struct agw_str backend, struct agw_str code)
{
    struct agw_str labels[] = {backend, code};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_A2A_ERRORS, labels), 1);
}

/* --- connections --- */

void agw_metrics_grpc(struct agw_metrics *m, struct agw_str route, struct agw_str backend,
                      struct agw_str status)
{
    struct agw_str labels[] = {route, backend, status};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_GRPC_REQUESTS, labels), 1);
}

void agw_metrics_conns_init(struct agw_metrics *m, struct agw_str bind, struct agw_metrics_conns *conns)
{
    conns->open = agw_metrics_get(m, AGW_METRIC_CONNS, &bind);
    conns->total = agw_metrics_get(m, AGW_METRIC_CONNS_TOTAL, &bind);
}

void agw_metrics_conn_opened(struct agw_metrics *m, struct agw_metrics_conns *conns)
{
    agw_metric_add(conns->open, 1);
    agw_metric_add(conns->total, 1);
}

void agw_metrics_conn_closed(struct agw_metrics *m, struct agw_metrics_conns *conns)
{
    agw_metric_add(conns->open, -1);
}

static void set(struct agw_metrics *m, enum agw_metric_family family, uint64_t value)
{
    agw_metric_set(agw_metrics_get(m, family, NULL), value);
}

void agw_metrics_upstream(struct agw_metrics *m, const struct agw_metrics_upstream *now)
{
    set(m, AGW_METRIC_UPSTREAM_CONNECTS, now->connects);
    set(m, AGW_METRIC_UPSTREAM_REUSES, now->reuses);
    set(m, AGW_METRIC_UPSTREAM_FAILURES, now->connect_failures);
    set(m, AGW_METRIC_UPSTREAM_OPEN, now->open);
    set(m, AGW_METRIC_UPSTREAM_IDLE, now->idle);
    set(m, AGW_METRIC_UPSTREAM_WAITING, now->waiting);
    set(m, AGW_METRIC_UPSTREAM_OVERFLOWS, now->overflows);
    set(m, AGW_METRIC_UPSTREAM_EVICTIONS, now->evictions);
    set(m, AGW_METRIC_UPSTREAM_EVICTED, now->evicted);
    set(m, AGW_METRIC_UPSTREAM_CHECKS, now->checks);
    set(m, AGW_METRIC_UPSTREAM_CHECK_FAILURES, now->check_failures);
    set(m, AGW_METRIC_UPSTREAM_DOWN, now->down);
}

void agw_metrics_forward(struct agw_metrics *m, const struct agw_metrics_forward *now)
{
    set(m, AGW_METRIC_RETRIES, now->retries);
    set(m, AGW_METRIC_RETRIES_DENIED, now->retries_denied);
    set(m, AGW_METRIC_MIRRORS, now->mirrors);
    set(m, AGW_METRIC_MIRRORS_DROPPED, now->mirrors_dropped);
}

void agw_metrics_keys(struct agw_metrics *m, uint64_t fetches, uint64_t failures, uint64_t stale)
{
    set(m, AGW_METRIC_KEY_FETCHES, fetches);
    set(m, AGW_METRIC_KEY_FETCH_FAILURES, failures);
    set(m, AGW_METRIC_KEYS_STALE, stale);
}

/* --- the registry --- */

struct agw_metrics *agw_metrics_config_shard(struct agw_metrics_registry *r)
{
    return &r->parts[r->count - 1];
}

void agw_metrics_config(struct agw_metrics_registry *r, uint64_t version, bool synchronized)
{
    set(agw_metrics_config_shard(r), AGW_METRIC_CONFIG_VERSION, version);
    set(agw_metrics_config_shard(r), AGW_METRIC_CONFIG_SYNCHRONIZED, synchronized);
}

void agw_metrics_config_published(struct agw_metrics_registry *r, uint64_t wall_ns, uint32_t held)
{
    set(agw_metrics_config_shard(r), AGW_METRIC_CONFIG_PUBLISHED, wall_ns / 1000000000u);
    set(agw_metrics_config_shard(r), AGW_METRIC_CONFIG_HELD, held);
}

void agw_metrics_config_reload(struct agw_metrics_registry *r, bool ok)
{
    struct agw_str result = ok ? AGW_STR("success") : AGW_STR("error");
    agw_metric_add(agw_metrics_get(agw_metrics_config_shard(r), AGW_METRIC_CONFIG_RELOADS, &result), 1);
}

void agw_metrics_source(struct agw_metrics_registry *r, enum agw_metric_family family,
                        uint64_t (*read)(void *ctx), void *ctx)
{
    agw_check(agw_metric_label_count(family) == 0);
    r->sources[family] = (struct agw_metrics_source){read, ctx};
}

static bool part_init(struct agw_metrics *m)
{
    agw_arena_init(&m->arena, ARENA_FIRST, 0);
    for (enum agw_metric_family f = 0; f < AGW_METRIC_FAMILY_COUNT; f++) {
        m->overflow[f] = metric_new(m, f);
        if (!m->overflow[f])
            return false;
        for (unsigned i = 0; i < agw_metric_label_count(f); i++)
            m->overflow[f]->labels[i] = AGW_STR("overflow");
    }
    return true;
}

struct agw_metrics_registry *agw_metrics_registry_new(unsigned workers)
{
    struct agw_metrics_registry *r = calloc(1, sizeof(*r));
    size_t size = ((size_t)workers + 1) * sizeof(*r->parts);
    if (!r || !(r->parts = aligned_alloc(AGW_CACHE_LINE, size)))
        goto out;
    memset(r->parts, 0, size);
    r->count = workers + 1;
    for (unsigned i = 0; i < r->count; i++) {
        if (!part_init(&r->parts[i]))
            goto out;
    }
    agw_metric_set(agw_metrics_get(agw_metrics_config_shard(r), AGW_METRIC_BUILD_INFO, &AGW_STR(AGW_VERSION)),
                   1);
    return r;
out:
    agw_metrics_registry_free(r);
    return NULL;
}

void agw_metrics_registry_free(struct agw_metrics_registry *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->count; i++) {
        for (enum agw_metric_family f = 0; f < AGW_METRIC_FAMILY_COUNT; f++)
            agw_map_free(&r->parts[i].maps[f]);
        agw_arena_free(&r->parts[i].arena);
    }
    free(r->parts);
    free(r);
}

struct agw_metrics *agw_metrics_shard(struct agw_metrics_registry *r, unsigned index)
{
    agw_check(index + 1 < r->count);
    return &r->parts[index];
}
