#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "telemetry/metrics_int.h"

/* Series with the same labels from different parts become one line. */
struct sum {
    struct agw_str labels; /* as they are written: name="value",... */
    struct sum *next;
    uint64_t cells[AGW_METRIC_CELLS_MAX];
};

struct writer {
    struct agw_chain *out;
    struct agw_block_pool *pool;
    struct agw_arena arena; /* of one family */
    int error;              /* the first one; later calls do nothing */
};

static void put(struct writer *w, struct agw_str s)
{
    if (!w->error)
        w->error = agw_chain_copy(w->out, w->pool, s.p, s.n);
}

static void put_c(struct writer *w, const char *s)
{
    put(w, agw_str_c(s));
}

static void put_u64(struct writer *w, uint64_t value)
{
    char digits[20], *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(w, agw_str(at, (size_t)(digits + sizeof(digits) - at)));
}

static void put_i64(struct writer *w, int64_t value)
{
    if (value < 0)
        put_c(w, "-");
    put_u64(w, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void put_seconds(struct writer *w, uint64_t ns)
{
    char fraction[10] = ".";
    uint64_t rest = ns % AGW_NS_PER_S;
    for (int i = 9; i > 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    put_u64(w, ns / AGW_NS_PER_S);
    put(w, agw_str(fraction, sizeof(fraction)));
}

/* --- labels --- */

/* |out| has room for twice the label. Bytes that would spoil the page become '?'. */
static char *escape(char *out, struct agw_str label)
{
    bool utf8 = agw_str_is_utf8(label);
    for (size_t i = 0; i < label.n; i++) {
        unsigned char c = (unsigned char)label.p[i];
        if (c == '\\' || c == '"' || c == '\n') {
            *out++ = '\\';
            *out++ = c == '\n' ? 'n' : (char)c;
        } else {
            *out++ = c < 0x20 || (c >= 0x80 && !utf8) ? '?' : (char)c;
        }
    }
    return out;
}

static struct agw_str render(struct writer *w, const struct agw_metric *metric, enum agw_metric_family family)
{
    const char *const *names = agw_metric_descs[family].labels;
    unsigned count = agw_metric_label_count(family);
    size_t size = 1;
    for (unsigned i = 0; i < count; i++)
        size += strlen(names[i]) + 4 + 2 * metric->labels[i].n;
    char *p = agw_arena_alloc(&w->arena, size), *at = p;
    if (!p) {
        w->error = AGW_ENOMEM;
        return (struct agw_str){NULL, 0};
    }
    for (unsigned i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        if (i)
            *at++ = ',';
        memcpy(at, names[i], n);
        at += n;
        *at++ = '=';
        *at++ = '"';
        at = escape(at, metric->labels[i]);
        *at++ = '"';
    }
    return agw_str(p, (size_t)(at - p));
}

/* --- adding up --- */

static struct sum *sum_for(struct writer *w, struct agw_map *sums, struct sum **list, struct agw_str labels)
{
    struct sum *s = agw_map_get(sums, labels);
    if (s)
        return s;
    s = agw_arena_zalloc(&w->arena, sizeof(*s));
    if (!s || agw_map_put(sums, labels, s, NULL)) {
        w->error = AGW_ENOMEM;
        return NULL;
    }
    s->labels = labels;
    s->next = *list;
    *list = s;
    return s;
}

static void add_metric(struct writer *w, struct agw_map *sums, struct sum **list, struct agw_metric *metric,
                       enum agw_metric_family family)
{
    struct agw_str labels = render(w, metric, family);
    struct sum *s = w->error ? NULL : sum_for(w, sums, list, labels);
    if (!s)
        return;
    for (unsigned i = 0; i < agw_metric_cells(family); i++)
        s->cells[i] += atomic_load_explicit(&metric->cells[i], memory_order_relaxed);
}

/* All sums of the family; |sums| holds them too, and what has no labels is there even before it is used. */
static struct sum *add_up(struct writer *w, struct agw_metrics_registry *r, enum agw_metric_family family,
                          struct agw_map *sums)
{
    struct sum *list = NULL;
    for (unsigned i = 0; i < r->count; i++) {
        struct agw_metric *metric = atomic_load_explicit(&r->parts[i].families[family], memory_order_acquire);
        for (; metric && !w->error; metric = metric->next)
            add_metric(w, sums, &list, metric, family);
    }
    if (agw_metric_label_count(family) == 0 && !w->error) {
        struct sum *s = sum_for(w, sums, &list, AGW_STR(""));
        const struct agw_metrics_source *source = &r->sources[family];
        if (s && source->read)
            s->cells[0] += source->read(source->ctx);
    }
    return list;
}

static int by_labels(const void *a, const void *b)
{
    return agw_str_cmp((*(struct sum *const *)a)->labels, (*(struct sum *const *)b)->labels);
}

static struct sum **sorted(struct writer *w, struct sum *list, uint32_t count)
{
    struct sum **array = agw_arena_alloc(&w->arena, count * sizeof(struct sum *));
    if (!array) {
        w->error = AGW_ENOMEM;
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++, list = list->next)
        array[i] = list;
    if (count)
        qsort(array, count, sizeof(struct sum *), by_labels);
    return array;
}

/* --- lines --- */

static const char *const bucket_texts[AGW_METRIC_BUCKET_COUNT] = {
#define X(ns, text) text,
    AGW_METRIC_BUCKETS(X)
#undef X
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* name<suffix>{labels,le="..."} and a space. */
static void put_name(struct writer *w, const char *name, const char *suffix, struct agw_str labels,
                     const char *le)
{
    put_c(w, name);
    put_c(w, suffix);
    if (labels.n || le) {
        put_c(w, "{");
        put(w, labels);
        if (le) {
            put_c(w, labels.n ? ",le=\"" : "le=\"");
            put_c(w, le);
            put_c(w, "\"");
        }
        put_c(w, "}");
    }
    put_c(w, " ");
}

/* The count is the sum of the buckets, so the lines agree even when an observation comes in between. */
static void put_histogram(struct writer *w, const char *name, const struct sum *s)
{
    uint64_t total = 0;
    for (int i = 0; i < AGW_METRIC_BUCKET_COUNT; i++) {
        total += s->cells[i];
        put_name(w, name, "_bucket", s->labels, bucket_texts[i]);
        put_u64(w, total);
        put_c(w, "\n");
    }
    put_name(w, name, "_sum", s->labels, NULL);
    put_seconds(w, s->cells[AGW_METRIC_SUM]);
    put_c(w, "\n");
    put_name(w, name, "_count", s->labels, NULL);
    put_u64(w, total);
    put_c(w, "\n");
}

static void put_sum(struct writer *w, const struct agw_metric_desc *desc, const struct sum *s)
{
    if (desc->type == AGW_METRIC_HISTOGRAM) {
        put_histogram(w, desc->name, s);
        return;
    }
    put_name(w, desc->name, "", s->labels, NULL);
    if (desc->type == AGW_METRIC_GAUGE)
        put_i64(w, (int64_t)s->cells[0]);
    else
        put_u64(w, s->cells[0]);
    put_c(w, "\n");
}

static void put_head(struct writer *w, const struct agw_metric_desc *desc)
{
    const char *const parts[] = {
        "# HELP ", desc->name, " ", desc->help, "\n# TYPE ", desc->name, " ", type_names[desc->type], "\n"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(parts); i++)
        put_c(w, parts[i]);
}

static void put_family(struct writer *w, struct agw_metrics_registry *r, enum agw_metric_family family)
{
    struct agw_map sums;
    agw_map_init(&sums);
    struct sum *list = add_up(w, r, family, &sums);
    struct sum **array = w->error ? NULL : sorted(w, list, sums.count);
    if (array && sums.count) {
        put_head(w, &agw_metric_descs[family]);
        for (uint32_t i = 0; i < sums.count; i++)
            put_sum(w, &agw_metric_descs[family], array[i]);
    }
    agw_map_free(&sums);
    agw_arena_reset(&w->arena);
}

int agw_metrics_write(struct agw_metrics_registry *r, struct agw_chain *out, struct agw_block_pool *pool)
{
    struct writer w = {.out = out, .pool = pool};
    agw_arena_init(&w.arena, AGW_BLOCK_SIZE, 0);
    for (enum agw_metric_family f = 0; f < AGW_METRIC_FAMILY_COUNT && !w.error; f++)
        put_family(&w, r, f);
    agw_arena_free(&w.arena);
    return w.error;
}
