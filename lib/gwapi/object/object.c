#include "gwapi/object/object.h"
#include <stdio.h>
#include "base/check.h"
#include "base/clock.h"
#include "gwapi/kind/kind.h"

struct kind_info {
    const char *name, *group, *versions;
    bool namespaced;
    const struct agw_field *fields;
    bool (*rules)(struct agw_report *r, const struct agw_object *o);
};

static const struct kind_info kinds[] = {
#define X(id, kind, grp, vers, has_ns, table, rule)                                                          \
    [AGW_KIND_##id] = {                                                                                      \
        .name = kind, .group = grp, .versions = vers, .namespaced = has_ns, .fields = table, .rules = rule},
    AGW_KIND_LIST(X)
#undef X
};

void agw_objects_init(struct agw_objects *set, struct agw_arena *arena)
{
    *set = (struct agw_objects){.arena = arena};
    agw_map_init(&set->by_key);
}

void agw_objects_free(struct agw_objects *set)
{
    agw_map_free(&set->by_key);
}

/* --- kinds --- */

static bool has_version(const char *versions, struct agw_str version)
{
    struct agw_str rest = agw_str_c(versions), part;

    while (agw_str_split(&rest, ' ', &part)) {
        if (agw_str_eq(part, version))
            return true;
    }
    return false;
}

static void split_version(struct agw_str api_version, struct agw_str *group, struct agw_str *version)
{
    ptrdiff_t slash = agw_str_find(api_version, '/');

    *group = slash < 0 ? AGW_STR("") : agw_str(api_version.p, (size_t)slash);
    *version = slash < 0 ? api_version : agw_str_from(api_version, (size_t)slash + 1);
}

static int find_kind(struct agw_str group, struct agw_str name)
{
    int i;

    for (i = 0; i < AGW_KIND_COUNT; i++) {
        if (agw_str_eq(name, agw_str_c(kinds[i].name)) && agw_str_eq(group, agw_str_c(kinds[i].group)))
            return i;
    }
    return -1;
}

/* Kinds of our groups are configuration: leaving one out in silence could drop a policy. The rest
 * (Deployments, ServiceAccounts, ...) has no meaning here. */
static void unknown_kind(const struct agw_object *o, struct agw_str group, struct agw_report *report)
{
    bool ours =
        agw_str_eq(group, AGW_STR(AGW_GROUP_GATEWAY)) || agw_str_eq(group, AGW_STR(AGW_GROUP_AGENTGATEWAY));
    bool deployment = agw_str_eq(o->kind_name, AGW_STR("AgentgatewayParameters"));

    if (ours && !deployment)
        agw_report_error(report, o, agw_node_get(o->node, "kind"), NULL,
                         "is not a kind that this version serves");
    else
        agw_report_add(report, AGW_REPORT_NOTE, o, agw_node_get(o->node, "kind"), NULL,
                       "left out: it configures no traffic");
}

/* --- reading one object --- */

/* What errors need to name the object; may be incomplete. */
static void identify(struct agw_object *o)
{
    const struct agw_node *meta = agw_field(o->node, "metadata");

    o->kind_name = agw_field_text(o->node, "kind", AGW_STR("object"));
    o->name = agw_field_text(meta, "name", AGW_STR("?"));
    o->ns = agw_field_text(meta, "namespace", AGW_STR(""));
}

static bool check_meta(const struct agw_object *o, const struct kind_info *info, struct agw_report *report)
{
    const struct agw_node *meta = agw_field(o->node, "metadata");

    if (!info->namespaced && agw_field(meta, "namespace")) {
        agw_report_error(report, o, agw_field(meta, "namespace"), NULL, "a %s has no namespace", info->name);
        return false;
    }
    return true;
}

static bool check_object(struct agw_object *o, struct agw_report *report)
{
    struct agw_str group, version;
    const struct kind_info *info;
    int kind;

    split_version(agw_node_text(o->node, "apiVersion"), &group, &version);
    kind = find_kind(group, o->kind_name);
    if (kind < 0) {
        unknown_kind(o, group, report);
        return false;
    }
    info = &kinds[kind];
    o->kind = (enum agw_kind)kind;
    if (!has_version(info->versions, version)) {
        agw_report_error(report, o, agw_node_get(o->node, "apiVersion"), NULL,
                         "version %.*s is not served (only %s)", AGW_STRF(version), info->versions);
        return false;
    }
    if (info->namespaced && o->ns.n == 0)
        o->ns = AGW_STR(AGW_DEFAULT_NAMESPACE);
    if (!agw_schema_check(report, o, o->node, info->fields) || !check_meta(o, info, report))
        return false;
    o->spec = agw_field(o->node, "spec");
    return !info->rules || info->rules(report, o);
}

/* --- the set --- */

static struct agw_str object_key(struct agw_arena *arena, enum agw_kind kind, struct agw_str ns,
                                 struct agw_str name)
{
    return agw_arena_printf(arena, "%s/%.*s/%.*s", kinds[kind].name, AGW_STRF(ns), AGW_STRF(name));
}

bool agw_object_before(const struct agw_object *a, const struct agw_object *b)
{
    int order;

    if (a->created_ns != b->created_ns)
        return a->created_ns < b->created_ns;
    order = agw_str_cmp(a->ns, b->ns);
    return (order ? order : agw_str_cmp(a->name, b->name)) < 0;
}

static int insert(struct agw_objects *set, struct agw_object *o, struct agw_report *report)
{
    struct agw_str key = object_key(set->arena, o->kind, o->ns, o->name);
    const struct agw_object *old;
    int rc;

    if (!key.p)
        return AGW_ENOMEM;
    old = agw_map_get(&set->by_key, key);
    if (old) {
        agw_report_error(report, o, NULL, NULL, "is already in %s:%u", old->file, old->node->line);
        return 0;
    }
    rc = agw_map_put(&set->by_key, key, o, NULL);
    if (rc)
        return rc;
    o->next = set->first[o->kind];
    set->first[o->kind] = o;
    set->count++;
    return 0;
}

static int add_one(struct agw_objects *set, const char *file, const struct agw_node *doc,
                   struct agw_report *report)
{
    struct agw_object *o = agw_arena_zalloc(set->arena, sizeof(*o));
    const struct agw_node *meta;

    if (!o)
        return AGW_ENOMEM;
    o->file = file;
    o->node = doc;
    identify(o);
    if (agw_node_text(doc, "apiVersion").n == 0 || agw_node_text(doc, "kind").n == 0) {
        agw_report_error(report, o, NULL, NULL, "not a Kubernetes object: it needs apiVersion and kind");
        return 0;
    }
    if (!check_object(o, report))
        return 0;
    meta = agw_field(doc, "metadata");
    o->created_ns = AGW_CREATED_UNKNOWN;
    agw_clock_parse_rfc3339(agw_node_text(meta, "creationTimestamp"), &o->created_ns);
    o->generation = agw_field_int(meta, "generation", 0);
    return insert(set, o, report);
}

static bool is_list(const struct agw_node *doc)
{
    return agw_field_is(doc, "apiVersion", "v1") && agw_field_is(doc, "kind", "List");
}

int agw_objects_add(struct agw_objects *set, const char *file, const struct agw_node *doc,
                    struct agw_report *report)
{
    const struct agw_node *item;
    int rc;

    if (!is_list(doc))
        return add_one(set, file, doc, report);
    agw_node_each (item, agw_field(doc, "items")) {
        rc = add_one(set, file, item, report);
        if (rc)
            return rc;
    }
    return 0;
}

static struct agw_object *merge(struct agw_object *a, struct agw_object *b)
{
    struct agw_object *head = NULL, **at = &head;

    while (a && b) {
        struct agw_object **take = agw_object_before(b, a) ? &b : &a;

        *at = *take;
        *take = (*take)->next;
        at = &(*at)->next;
    }
    *at = a ? a : b;
    return head;
}

/* Merge sort; the depth of the recursion is the logarithm of |count|. */
static struct agw_object *sort(struct agw_object *head, uint32_t count)
{
    struct agw_object *middle = head, *rest;
    uint32_t i;

    if (count < 2)
        return head;
    for (i = 1; i < count / 2; i++)
        middle = middle->next;
    rest = middle->next;
    middle->next = NULL;
    return merge(sort(head, count / 2), sort(rest, count - count / 2));
}

void agw_objects_sort(struct agw_objects *set)
{
    int kind;

    for (kind = 0; kind < AGW_KIND_COUNT; kind++) {
        const struct agw_object *o;
        uint32_t count = 0;

        agw_objects_each(o, set, kind) count++;
        set->first[kind] = sort(set->first[kind], count);
    }
}

const struct agw_object *agw_objects_get(const struct agw_objects *set, enum agw_kind kind, struct agw_str ns,
                                         struct agw_str name)
{
    char key[512]; /* a valid kind, namespace and name are shorter */
    int n;

    if (!kinds[kind].namespaced)
        ns.n = 0;
    n = snprintf(key, sizeof(key), "%s/%.*s/%.*s", kinds[kind].name, AGW_STRF(ns), AGW_STRF(name));
    if (n < 0 || (size_t)n >= sizeof(key))
        return NULL;
    return agw_map_get(&set->by_key, agw_str(key, (size_t)n));
}

/* --- labels --- */

struct agw_str agw_object_label(const struct agw_object *o, const char *name)
{
    return agw_node_text(agw_field(agw_field(o->node, "metadata"), "labels"), name);
}

struct agw_str agw_object_annotation(const struct agw_object *o, const char *name)
{
    return agw_node_text(agw_field(agw_field(o->node, "metadata"), "annotations"), name);
}

struct labels {
    const struct agw_node *map;
    struct agw_str namespace; /* a namespace's name: its label without being written; else empty */
};

/* False when there is no such label. */
static bool label_value(const struct labels *labels, struct agw_str key, struct agw_str *ret_value)
{
    const struct agw_node *n;

    if (labels->namespace.n && agw_str_eq(key, AGW_STR("kubernetes.io/metadata.name"))) {
        *ret_value = labels->namespace;
        return true;
    }
    agw_node_each (n, labels->map) {
        if (agw_str_eq(n->key, key)) {
            *ret_value = n->text;
            return true;
        }
    }
    return false;
}

/* One of matchExpressions: In, NotIn, Exists, DoesNotExist. */
static bool expression_matches(const struct labels *labels, const struct agw_node *e)
{
    struct agw_str value;
    bool found = label_value(labels, agw_node_text(e, "key"), &value), listed = false;
    const struct agw_node *v;

    if (agw_field_is(e, "operator", "Exists"))
        return found;
    if (agw_field_is(e, "operator", "DoesNotExist"))
        return !found;
    agw_node_each (v, agw_field(e, "values"))
        listed = listed || (found && agw_str_eq(value, v->text));
    return agw_field_is(e, "operator", "In") ? listed : !listed;
}

static bool selected(const struct labels *labels, const struct agw_node *selector)
{
    const struct agw_node *n;
    struct agw_str value;

    agw_node_each (n, agw_field(selector, "matchLabels")) {
        if (!label_value(labels, n->key, &value) || !agw_str_eq(value, n->text))
            return false;
    }
    agw_node_each (n, agw_field(selector, "matchExpressions")) {
        if (!expression_matches(labels, n))
            return false;
    }
    return true;
}

static const struct agw_node *labels_of(const struct agw_object *o)
{
    return o ? agw_field(agw_field(o->node, "metadata"), "labels") : NULL;
}

bool agw_object_selected(const struct agw_object *o, const struct agw_node *selector)
{
    struct labels labels = {.map = labels_of(o)};

    return selected(&labels, selector);
}

bool agw_namespace_selected(const struct agw_objects *set, struct agw_str ns, const struct agw_node *selector)
{
    const struct agw_object *o = agw_objects_get(set, AGW_KIND_NAMESPACE, AGW_STR(""), ns);
    struct labels labels = {.map = labels_of(o), .namespace = ns};

    return selected(&labels, selector);
}
