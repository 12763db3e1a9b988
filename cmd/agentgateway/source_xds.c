/* The config thread of a gateway that a control plane feeds: takes responses, applies what is good in them
 * and answers with what is not. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "cmd/agentgateway/apply.h"
#include "cmd/agentgateway/source.h"
#include "cmd/agentgateway/state.h"
#include "xds/client.h"

/* A route whose backends have not come yet is kept back this long: Address and Resource are separate streams
 * of responses, and a busy controller may be seconds apart with them. */
#define HOLD_MS 5000

static const char *const waiting[] = {
    [0] = "xds: addresses, resources",
    [1 << AGW_DELTA_ADDRESS] = "xds: resources",
    [1 << AGW_DELTA_RESOURCE] = "xds: addresses",
    [1 << AGW_DELTA_ADDRESS | 1 << AGW_DELTA_RESOURCE] = NULL,
};
static const char *const type_names[] = {[AGW_DELTA_ADDRESS] = "address", [AGW_DELTA_RESOURCE] = "resource"};

struct xds {
    struct source source;
    struct apply apply;
    struct agw_xds_client *client;
    struct state *state;                     /* on disk; NULL: not kept */
    struct agw_map aliases[AGW_DELTA_TYPES]; /* names on the wire that are not the id -> struct alias */
    unsigned seen;                           /* types that were answered, as bits */
    pthread_t thread;
    bool started;
};

struct alias {
    struct agw_str name, id; /* behind the struct */
};

static const char kept_note[] = "serving the configuration kept on disk: no control plane has confirmed it\n";

static struct xds *xds_of(struct source *s)
{
    return agw_container_of(s, struct xds, source);
}

/* --- names --- */
/* The id that a name stands for: names of type Resource are ids; those of type Address are keys. */
static struct agw_str id_of(struct xds *x, enum agw_delta_type type, struct agw_str name, bool service,
                            char buf[AGW_RESOURCE_MAX_KEY + 32])
{
    const struct alias *a = agw_map_get(&x->aliases[type], name);
    if (a)
        return a->id;
    if (type == AGW_DELTA_RESOURCE)
        return name;
    if (name.n > AGW_RESOURCE_MAX_KEY)
        return AGW_STR("");
    int n =
        snprintf(buf, AGW_RESOURCE_MAX_KEY + 32, "%s/%.*s", service ? "service" : "workload", AGW_STRF(name));
    return agw_str(buf, (size_t)n);
}

/* A control plane may name things as it likes: what differs from the id is remembered for the removal. */
static int remember_alias(struct xds *x, enum agw_delta_type type, struct agw_str name, struct agw_str id)
{
    struct alias *a = malloc(sizeof(*a) + name.n + id.n);
    void *old = NULL;
    if (!a)
        return AGW_ENOMEM;
    char *text = memcpy((char *)(a + 1), name.p, name.n);
    memcpy(text + name.n, id.p, id.n);
    *a = (struct alias){agw_str(text, name.n), agw_str(text + name.n, id.n)};
    int code = agw_map_put(&x->aliases[type], a->name, a, &old);
    free(code ? (void *)a : old);
    return code;
}

static void forget_aliases(struct xds *x, const struct agw_delta_update *u)
{
    for (size_t i = 0; i < u->removed_count; i++)
        free(agw_map_take(&x->aliases[u->type], u->removed[i]));
}

/* The name on the wire for an id that is no alias. */
static struct agw_str name_of(struct agw_str id)
{
    if (agw_str_starts(id, AGW_STR("workload/")))
        return agw_str_from(id, 9);
    return agw_str_starts(id, AGW_STR("service/")) ? agw_str_from(id, 8) : id;
}

/* --- one response --- */
struct change {
    struct xds *xds;
    const struct agw_delta_update *update;
    struct agw_delta_answer *answer;
    struct agw_store *next;
    struct agw_map names; /* id -> struct agw_delta_item, of what this response brought */
    int code;
};

/* The entry in |names| goes first: the resource that holds its key may go with this. */
static int remove_id(struct change *c, struct agw_str id)
{
    struct agw_store_change sum = {0};
    agw_map_take(&c->names, id);
    return agw_store_remove(c->next, AGW_SOURCE_XDS, id, &sum);
}

static int take_removed(struct change *c, struct agw_str name)
{
    char buf[AGW_RESOURCE_MAX_KEY + 32];
    enum agw_delta_type type = c->update->type;
    int code = remove_id(c, id_of(c->xds, type, name, false, buf));
    if (!code && type == AGW_DELTA_ADDRESS)
        code = remove_id(c, id_of(c->xds, type, name, true, buf));
    return code;
}

static int put_item(struct change *c, const struct agw_delta_item *item, struct agw_resource *r)
{
    char buf[AGW_RESOURCE_MAX_KEY + 32];
    struct agw_store_change sum = {0};
    bool service = r->kind == AGW_RESOURCE_SERVICE;
    struct agw_str before = id_of(c->xds, c->update->type, item->name, service, buf);
    int code = 0;
    if (!agw_str_eq(before, r->id)) { /* another name than usual, or another thing by this name now */
        code = remove_id(c, before);
        if (!code)
            code = remember_alias(c->xds, c->update->type, item->name, r->id);
    }
    agw_map_take(&c->names, r->id);
    if (!code)
        code = agw_store_put(c->next, AGW_SOURCE_XDS, r, &sum);
    return code ? code : agw_map_put(&c->names, agw_store_get(c->next, r->id)->id, (void *)item, NULL);
}

static int take_item(struct change *c, const struct agw_delta_item *item)
{
    struct agw_error err = {0};
    struct agw_resource *r;
    int code = c->update->type == AGW_DELTA_ADDRESS
                   ? agw_resource_decode_address(item->body.p, item->body.n, &r, &err)
                   : agw_resource_decode(item->body.p, item->body.n, &r, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        return agw_delta_answer_error(c->answer, item->name, agw_str_c(err.text));
    code = put_item(c, item, r);
    agw_resource_unref(r);
    return code;
}

static int take_all(struct change *c)
{
    const struct agw_delta_update *u = c->update;
    int code = 0;
    for (size_t i = 0; !code && i < u->removed_count; i++)
        code = take_removed(c, u->removed[i]);
    for (size_t i = 0; !code && i < u->item_count; i++)
        code = take_item(c, &u->items[i]);
    return code;
}

/* --- what is wrong with it --- */
static int answer_note(struct change *c, const struct agw_note *n)
{
    const struct agw_delta_item *item = agw_map_get(&c->names, n->id);
    struct agw_str name = item ? item->name : name_of(n->id);
    agw_log(n->level == AGW_NOTE_ERROR ? AGW_LOG_ERROR : AGW_LOG_WARN, "config", "%.*s: %.*s",
            AGW_STRF(n->id), AGW_STRF(n->text));
    return n->level == AGW_NOTE_ERROR ? agw_delta_answer_error(c->answer, name, n->text)
                                      : agw_delta_answer_warn(c->answer, name, n->text);
}

/* Puts back what served before in place of each resource of this response that has an error. */
static int take_back(struct change *c, const struct agw_notes *notes, uint32_t *ret_count)
{
    struct agw_store_change sum = {0};
    *ret_count = 0;
    for (const struct agw_note *n = notes->first; n; n = n->next) {
        /* The name goes before the resource that holds its key. */
        if (n->level != AGW_NOTE_ERROR || !agw_map_take(&c->names, n->id))
            continue;
        struct agw_resource *before = agw_store_get(c->xds->apply.store, n->id);
        int code = before ? agw_store_put(c->next, AGW_SOURCE_XDS, before, &sum)
                          : agw_store_remove(c->next, AGW_SOURCE_XDS, n->id, &sum);
        if (code)
            return code;
        ++*ret_count;
    }
    return 0;
}

/* Compiles until nothing of this response is an error any more. A later round says again what the first one
 * said; new in it are errors that showed only when others were taken back. */
static int compile(struct change *c, struct agw_snapshot **ret_snapshot)
{
    struct agw_snapshot *snap = NULL;
    uint32_t back = 1;
    int code = 0;
    for (int round = 0; !code && back; round++) { /* each but the last takes names away: it ends */
        struct agw_notes notes;
        agw_notes_init(&notes);
        agw_snapshot_free(snap);
        snap = NULL;
        code = apply_compile(&c->xds->apply, c->next, &snap, &notes);
        for (const struct agw_note *n = notes.first; !code && n; n = n->next)
            if (round == 0 || (n->level == AGW_NOTE_ERROR && agw_map_get(&c->names, n->id)))
                code = answer_note(c, n);
        if (!code)
            code = take_back(c, &notes, &back);
        if (back)
            agw_compiler_go_back(c->xds->apply.compiler);
        agw_notes_free(&notes);
    }
    if (code)
        agw_snapshot_free(snap);
    else
        *ret_snapshot = snap;
    return code;
}

/* --- the thread --- */
static void set_from_disk(struct xds *x, bool from_disk)
{
    struct agw_metrics *m = agw_metrics_config_shard(x->apply.metrics);
    agw_metric_set(agw_metrics_get(m, AGW_METRIC_CONFIG_FROM_DISK, NULL), from_disk);
    atomic_store(&x->source.note, from_disk ? kept_note : NULL);
}

static void say_synced(struct xds *x, enum agw_delta_type type)
{
    x->seen |= 1u << type;
    if (waiting[x->seen])
        return;
    if (source_note(&x->source))
        agw_info("xds", "a control plane has confirmed the configuration");
    set_from_disk(x, false);
}

/* The first configuration is published when both types are known: a half of it would answer 404. */
static void publish(struct change *c, struct agw_snapshot *snap)
{
    struct xds *x = c->xds;
    if (waiting[x->seen] && !x->apply.live) {
        agw_snapshot_free(snap);
        agw_store_free(x->apply.store);
        x->apply.store = c->next;
        return;
    }
    bool first = !x->apply.live;
    apply_publish(&x->apply, c->next, snap);
    agw_log(first ? AGW_LOG_INFO : AGW_LOG_DEBUG, "config",
            "generation %llu is live: %u listeners, %u routes, %u held back",
            (unsigned long long)snap->generation, snap->listener_count, snap->route_count,
            agw_compiler_held(x->apply.compiler));
    if (!waiting[x->seen])
        atomic_store(&x->source.pending, NULL);
    if (x->state)
        state_changed(x->state, agw_clock_ns());
}

static void count(struct xds *x, const struct agw_delta_update *u, const struct agw_delta_answer *a,
                  uint64_t begin)
{
    struct agw_metrics *m = agw_metrics_config_shard(x->apply.metrics);
    struct agw_str labels[] = {agw_str_c(type_names[u->type]),
                               agw_delta_answer_count(a) ? AGW_STR("nack") : AGW_STR("ack")};
    agw_metric_add(agw_metrics_get(m, AGW_METRIC_XDS_RESPONSES, labels), 1);
    agw_metric_observe(agw_metrics_get(m, AGW_METRIC_XDS_APPLY, NULL), agw_clock_ns() - begin);
}

static int on_update(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *answer)
{
    struct xds *x = ctx;
    uint64_t begin = agw_clock_ns();
    bool empty = u->item_count + u->removed_count == 0;
    struct change c = {.xds = x, .update = u, .answer = answer, .next = agw_store_clone(x->apply.store)};
    struct agw_snapshot *snap = NULL;
    int code = c.next ? take_all(&c) : AGW_ENOMEM;
    if (!code && !(empty && x->apply.live)) /* as after each reconnect: nothing to do */
        code = compile(&c, &snap);
    agw_map_free(&c.names);
    if (code) {
        agw_error_log("xds", "a response of %zu resources is not applied: out of memory", u->item_count);
        apply_discard(&x->apply, c.next, NULL);
        return code;
    }
    forget_aliases(x, u);
    say_synced(x, u->type);
    if (snap)
        publish(&c, snap);
    else
        agw_store_free(c.next);
    if (!x->apply.live || waiting[x->seen])
        atomic_store(&x->source.pending, source_note(&x->source) ? NULL : waiting[x->seen]);
    else
        atomic_store(&x->source.pending, NULL);
    count(x, u, answer, begin);
    return 0;
}

static void on_stream(void *ctx, bool connected, const char *why)
{
    struct xds *x = ctx;
    struct agw_metrics *m = agw_metrics_config_shard(x->apply.metrics);
    agw_metric_set(agw_metrics_get(m, AGW_METRIC_XDS_CONNECTED, NULL), connected);
    if (connected)
        agw_metric_add(agw_metrics_get(m, AGW_METRIC_XDS_STREAMS, NULL), 1);
    agw_log(connected ? AGW_LOG_INFO : AGW_LOG_WARN, "xds", "%s%s%s",
            connected ? "connected to the control plane" : "no control plane", why ? ": " : "",
            why ? why : "");
}

static uint64_t on_tick(void *ctx, uint64_t now_ns)
{
    struct xds *x = ctx;
    uint64_t due = apply_tick(&x->apply, now_ns);
    uint64_t save =
        x->state ? state_tick(x->state, x->apply.store, agw_xds_client_state(x->client), now_ns) : UINT64_MAX;
    return save < due ? save : due;
}

static const struct agw_xds_client_events events = {
    .on_update = on_update, .on_stream = on_stream, .on_tick = on_tick};

static void *xds_main(void *arg)
{
    struct xds *x = arg;
    apply_give_way();
    agw_xds_client_run(x->client);
    return NULL;
}

/* What was kept serves until a control plane says more. */
static void start_from_disk(struct xds *x)
{
    struct agw_store *next = agw_store_clone(x->apply.store);
    struct agw_snapshot *snap;
    struct agw_notes notes;
    if (!next || state_load(x->state, next, agw_xds_client_state(x->client))) {
        agw_store_free(next);
        return;
    }
    agw_notes_init(&notes);
    if (apply_compile(&x->apply, next, &snap, &notes)) {
        agw_store_free(next);
        agw_delta_client_forget(agw_xds_client_state(x->client)); /* else it would never be sent again */
    } else {
        apply_publish(&x->apply, next, snap);
        set_from_disk(x, true);
        atomic_store(&x->source.pending, NULL);
        agw_info("config", "generation %llu is live, kept from before: %u listeners, %u routes",
                 (unsigned long long)snap->generation, snap->listener_count, snap->route_count);
    }
    agw_notes_free(&notes);
}

static int xds_start(struct source *s, struct agw_error *err)
{
    struct xds *x = xds_of(s);
    if (!x->client)
        return agw_error_set(err, AGW_ENOMEM, "xds: out of memory");
    if (x->state)
        start_from_disk(x);
    int rc = pthread_create(&x->thread, NULL, xds_main, x);
    if (rc)
        return agw_error_set(err, AGW_EIO, "config thread: %s", strerror(rc));
    x->started = true;
    return 0;
}

/* The control plane tells what changes; there is nothing to read again. */
static void xds_reload(struct source *s)
{
    (void)s;
}

static void xds_free(struct source *s)
{
    struct xds *x = xds_of(s);
    struct agw_map_slot *slot;
    if (x->started) {
        agw_xds_client_stop(x->client);
        pthread_join(x->thread, NULL);
        if (x->state)
            state_tick(x->state, x->apply.store, agw_xds_client_state(x->client), UINT64_MAX);
    }
    agw_xds_client_free(x->client);
    state_free(x->state);
    for (unsigned type = 0; type < AGW_DELTA_TYPES; type++) {
        for (uint32_t cursor = 0; (slot = agw_map_next(&x->aliases[type], &cursor));)
            free(slot->value);
        agw_map_free(&x->aliases[type]);
    }
    apply_free(&x->apply);
    free(x);
}

static const struct source_ops ops = {.start = xds_start, .reload = xds_reload, .free = xds_free};

struct source *source_xds_new(const struct options *o, struct agw_gateway *gateway,
                              struct agw_metrics_registry *metrics)
{
    struct agw_error err = {0};
    struct xds *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->source.ops = &ops;
    x->source.pending = waiting[0];
    int rc = apply_init(&x->apply, gateway, metrics, HOLD_MS, &o->self, false);
    if (rc == 0)
        x->client = agw_xds_client_new(&o->xds, &events, x, &err);
    if (rc == 0 && o->xds_state && !(x->state = state_new(o->xds_state)))
        rc = AGW_ENOMEM;
    if (rc || !x->client) {
        if (err.text[0])
            agw_error_log("xds", "%s", err.text);
        xds_free(&x->source);
        return NULL;
    }
    return &x->source;
}
