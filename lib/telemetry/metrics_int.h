/* Inside of the metrics, shared by metrics.c and metrics_text.c. */
#ifndef AGW_TELEMETRY_METRICS_INT_H
#define AGW_TELEMETRY_METRICS_INT_H

#include <stdatomic.h>
#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "telemetry/metrics.h"

/* X(nanoseconds, text in seconds): upper bounds of the histogram's buckets. */
#define AGW_METRIC_BUCKETS(X)                                                                                \
    X(500000, "0.0005")                                                                                      \
    X(1000000, "0.001")                                                                                      \
    X(2500000, "0.0025")                                                                                     \
    X(5000000, "0.005")                                                                                      \
    X(10000000, "0.01")                                                                                      \
    X(25000000, "0.025")                                                                                     \
    X(50000000, "0.05")                                                                                      \
    X(100000000, "0.1")                                                                                      \
    X(250000000, "0.25")                                                                                     \
    X(500000000, "0.5")                                                                                      \
    X(1000000000, "1")                                                                                       \
    X(2500000000, "2.5")                                                                                     \
    X(5000000000, "5")                                                                                       \
    X(10000000000, "10")                                                                                     \
    X(30000000000, "30")                                                                                     \
    X(60000000000, "60")                                                                                     \
    X(UINT64_MAX, "+Inf")

enum {
#define X(...) +1
    AGW_METRIC_BUCKET_COUNT = 0 AGW_METRIC_BUCKETS(X),
#undef X
    AGW_METRIC_SUM = AGW_METRIC_BUCKET_COUNT, /* cell of a histogram's sum, nanoseconds */
    AGW_METRIC_CELLS_MAX,
};

struct agw_metric {
    struct agw_metric *next;     /* older one of the family; does not change once the series is published */
    struct agw_metric *duration; /* REQUESTS: the histogram that belongs to it, NULL: look it up */
    struct agw_str labels[AGW_METRIC_LABELS_MAX];
    unsigned code;            /* REQUESTS: the label as a number */
    _Atomic uint64_t cells[]; /* one; histograms: a count for each bucket, then the sum */
};

struct agw_metric_desc {
    enum agw_metric_type type;
    const char *name, *help;
    const char *labels[AGW_METRIC_LABELS_MAX];
};

#define AGW_METRICS_CACHE 128 /* slots of the direct-mapped cache in front of the map, a power of two */

struct agw_metrics {
    _Alignas(
        AGW_CACHE_LINE) _Atomic(struct agw_metric *) families[AGW_METRIC_FAMILY_COUNT]; /* newest first */
    struct agw_metric *cache[AGW_METRICS_CACHE];                                        /* REQUESTS */
    struct agw_map maps[AGW_METRIC_FAMILY_COUNT];         /* labels -> struct agw_metric */
    struct agw_metric *overflow[AGW_METRIC_FAMILY_COUNT]; /* published when used first */
    bool overflowed[AGW_METRIC_FAMILY_COUNT];
    struct agw_arena arena;
};

struct agw_metrics_source {
    uint64_t (*read)(void *ctx);
    void *ctx;
};

struct agw_metrics_registry {
    unsigned count; /* workers + 1: the last part is the config thread's */
    struct agw_metrics_source sources[AGW_METRIC_FAMILY_COUNT];
    struct agw_metrics *parts;
};

extern const struct agw_metric_desc agw_metric_descs[AGW_METRIC_FAMILY_COUNT];

static inline unsigned agw_metric_label_count(enum agw_metric_family family)
{
    unsigned n = 0;
    while (n < AGW_METRIC_LABELS_MAX && agw_metric_descs[family].labels[n])
        n++;
    return n;
}

static inline unsigned agw_metric_cells(enum agw_metric_family family)
{
    return agw_metric_descs[family].type == AGW_METRIC_HISTOGRAM ? AGW_METRIC_CELLS_MAX : 1;
}

#endif
