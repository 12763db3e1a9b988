#include "xds/delta/client.h"

#include <stdlib.h>
#include "base/map.h"
#include "json/writer.h"
#include "proto/message.h"
#include "proto/xds.pb-c.h"

struct kept {
    struct agw_str name, version; /* behind the struct */
};

struct agw_delta_client {
    struct agw_arena arena; /* the node */
    Xds__Node *node;
    struct agw_map kept[AGW_DELTA_TYPES]; /* name -> struct kept */
};

struct finding {
    struct finding *next;
    struct agw_str name, text;
    bool error;
};

struct agw_delta_answer {
    struct agw_arena *arena;
    struct finding *first, *last; /* at most AGW_DELTA_MAX_FINDINGS */
    struct agw_map errors;        /* all names with an error */
    size_t count;
};

/* --- the node --- */
static bool set_field(struct agw_arena *a, Google__Protobuf__Struct *s, const char *key, const char *value)
{
    Google__Protobuf__Struct__FieldsEntry *e =
        agw_proto_new(a, &google__protobuf__struct__fields_entry__descriptor);
    Google__Protobuf__Value *v = agw_proto_new(a, &google__protobuf__value__descriptor);
    if (!e || !v)
        return false;
    v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    v->string_value = (char *)value;
    e->key = (char *)key;
    e->value = v;
    s->fields[s->n_fields++] = e;
    return true;
}

static const char *or_text(const char *s, const char *otherwise)
{
    return s && *s ? s : otherwise;
}

/* The texts as the public controller expects them; it looks at |role| alone. */
static bool make_node(struct agw_delta_client *c, const struct agw_delta_node *n)
{
    struct agw_arena *a = &c->arena;
    const char *ns = or_text(n->ns, ""), *gateway = or_text(n->gateway, ""), *pod = or_text(n->pod, "");
    struct agw_str role = agw_arena_printf(a, "%s~%s", ns, gateway);
    struct agw_str id = agw_arena_printf(a, "agentgateway~%s~%s.%s~%s.svc.cluster.local",
                                         or_text(n->ip, "1.1.1.1"), pod, ns, ns);
    const char *fields[][2] = {
        {"NAME", pod},
        {"NAMESPACE", ns},
        {"INSTANCE_IPS", or_text(n->ip, "1.1.1.1")},
        {"NODE_NAME", or_text(n->node_name, "")},
        {"role", role.p},
        {"GATEWAY_NAME", gateway},
    };
    enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };
    Google__Protobuf__Struct *s = agw_proto_new(a, &google__protobuf__struct__descriptor);
    c->node = agw_proto_new(a, &xds__node__descriptor);
    if (!role.p || !id.p || !s || !c->node || !(s->fields = agw_arena_alloc(a, sizeof(void *) * FIELDS)))
        return false;
    for (size_t i = 0; i < FIELDS; i++) {
        struct agw_str value = agw_arena_str(a, agw_str_c(fields[i][1]));
        if (!value.p || !set_field(a, s, fields[i][0], value.p))
            return false;
    }
    c->node->id = (char *)id.p;
    c->node->metadata = s;
    return true;
}

struct agw_delta_client *agw_delta_client_new(const struct agw_delta_node *node)
{
    struct agw_delta_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    agw_arena_init(&c->arena, 1024, 0);
    if (make_node(c, node))
        return c;
    agw_delta_client_free(c);
    return NULL;
}

void agw_delta_client_forget(struct agw_delta_client *c)
{
    for (unsigned type = 0; type < AGW_DELTA_TYPES; type++) {
        struct agw_map_slot *slot;
        for (uint32_t cursor = 0; (slot = agw_map_next(&c->kept[type], &cursor));)
            free(slot->value);
        agw_map_free(&c->kept[type]);
    }
}

void agw_delta_client_free(struct agw_delta_client *c)
{
    if (!c)
        return;
    agw_delta_client_forget(c);
    agw_arena_free(&c->arena);
    free(c);
}

/* --- what is kept --- */
static int keep(struct agw_map *map, struct agw_str name, struct agw_str version)
{
    struct kept *k = malloc(sizeof(*k) + name.n + version.n);
    void *old = NULL;
    if (!k)
        return AGW_ENOMEM;
    char *text = (char *)(k + 1);
    memcpy(text, name.p, name.n);
    if (version.n)
        memcpy(text + name.n, version.p, version.n);
    *k = (struct kept){agw_str(text, name.n), agw_str(text + name.n, version.n)};
    int code = agw_map_put(map, k->name, k, &old);
    free(code ? (void *)k : old);
    return code;
}

static void drop(struct agw_map *map, struct agw_str name)
{
    free(agw_map_take(map, name));
}

bool agw_delta_client_version(const struct agw_delta_client *c, enum agw_delta_type type, struct agw_str name,
                              struct agw_str *ret_version)
{
    const struct kept *k = agw_map_get(&c->kept[type], name);
    if (k)
        *ret_version = k->version;
    return k != NULL;
}

int agw_delta_client_seed(struct agw_delta_client *c, enum agw_delta_type type, struct agw_str name,
                          struct agw_str version)
{
    return keep(&c->kept[type], name, version);
}

/* --- requests --- */
static int pack(const Xds__DeltaDiscoveryRequest *r, struct agw_arena *arena, struct agw_str *ret_request)
{
    struct agw_str text = agw_proto_pack(r, arena);
    if (!text.p)
        return AGW_ENOMEM;
    *ret_request = text;
    return 0;
}

/* NUL-terminated, as protobuf-c wants it. */
static char *text_of(struct agw_arena *arena, struct agw_str s)
{
    return (char *)agw_arena_str(arena, s).p;
}

int agw_delta_client_subscribe(struct agw_delta_client *c, enum agw_delta_type type, struct agw_arena *arena,
                               struct agw_str *ret_request)
{
    Xds__DeltaDiscoveryRequest r = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    struct agw_map_slot *slot;
    size_t n = 0;
    r.node = c->node;
    r.type_url = (char *)agw_delta_type_url(type).p;
    r.initial_resource_versions = agw_arena_alloc(arena, sizeof(void *) * c->kept[type].count);
    if (!r.initial_resource_versions)
        return AGW_ENOMEM;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->kept[type], &cursor));) {
        const struct kept *k = slot->value;
        Xds__DeltaDiscoveryRequest__InitialResourceVersionsEntry *e =
            agw_proto_new(arena, &xds__delta_discovery_request__initial_resource_versions_entry__descriptor);
        if (!e || !(e->key = text_of(arena, k->name)) || !(e->value = text_of(arena, k->version)))
            return AGW_ENOMEM;
        r.initial_resource_versions[n++] = e;
    }
    r.n_initial_resource_versions = n;
    return pack(&r, arena, ret_request);
}

static int answer(const char *type_url, const char *nonce, const char *message, struct agw_arena *arena,
                  struct agw_str *ret_request)
{
    Xds__DeltaDiscoveryRequest r = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    Envoy__Status status = ENVOY__STATUS__INIT;
    r.type_url = (char *)type_url;
    r.response_nonce = (char *)nonce;
    if (message) {
        status.message = (char *)message;
        r.error_detail = &status;
    }
    return pack(&r, arena, ret_request);
}

/* --- answers --- */
static int add_finding(struct agw_delta_answer *a, struct agw_str name, struct agw_str text, bool error)
{
    if (a->count++ >= AGW_DELTA_MAX_FINDINGS)
        return 0;
    struct finding *f = agw_arena_zalloc(a->arena, sizeof(*f));
    if (!f)
        return AGW_ENOMEM;
    f->name = agw_arena_str(a->arena, name);
    f->text = agw_arena_str(
        a->arena, agw_str(text.p, text.n < AGW_DELTA_MAX_FINDING_TEXT ? text.n : AGW_DELTA_MAX_FINDING_TEXT));
    f->error = error;
    if (!f->name.p || !f->text.p)
        return AGW_ENOMEM;
    *(a->last ? &a->last->next : &a->first) = f;
    a->last = f;
    return 0;
}

int agw_delta_answer_error(struct agw_delta_answer *a, struct agw_str name, struct agw_str text)
{
    struct agw_str copy = agw_arena_str(a->arena, name);
    int code = copy.p ? agw_map_put(&a->errors, copy, a, NULL) : AGW_ENOMEM;
    return code ? code : add_finding(a, name, text, true);
}

int agw_delta_answer_warn(struct agw_delta_answer *a, struct agw_str name, struct agw_str text)
{
    return add_finding(a, name, text, false);
}

size_t agw_delta_answer_count(const struct agw_delta_answer *a)
{
    return a->count;
}

/* The JSON list that controllers read. NULL in *ret_message: nothing is wrong. */
static int write_message(const struct agw_delta_answer *a, char **ret_message)
{
    struct agw_json_writer w;
    if (a->count == 0) {
        *ret_message = NULL;
        return 0;
    }
    agw_json_writer_init(&w);
    agw_json_begin_array(&w);
    for (const struct finding *f = a->first; f; f = f->next) {
        agw_json_begin_object(&w);
        agw_json_put_string(&w, "key", f->name);
        agw_json_put_string(&w, f->error ? "error" : "warn", f->text);
        agw_json_end_object(&w);
    }
    if (a->count > AGW_DELTA_MAX_FINDINGS) {
        struct agw_str more =
            agw_arena_printf(a->arena, "%zu more findings are left out", a->count - AGW_DELTA_MAX_FINDINGS);
        agw_json_begin_object(&w);
        agw_json_put_string(&w, "key", AGW_STR(""));
        agw_json_put_string(&w, "warn", more);
        agw_json_end_object(&w);
    }
    agw_json_end_array(&w);
    int code = agw_json_writer_end(&w);
    if (!code && !(*ret_message = text_of(a->arena, agw_json_writer_text(&w))))
        code = AGW_ENOMEM;
    agw_json_writer_free(&w);
    return code;
}

/* --- responses --- */
/* NULL: it can be applied. */
static const char *fault_of(const Xds__Resource *r, const char *type_url)
{
    if (strlen(r->name) > AGW_DELTA_MAX_CLIENT_NAME)
        return "the name is too long";
    if (strlen(r->version) > AGW_DELTA_MAX_VERSION)
        return "the version is too long";
    if (!*r->name)
        return "the resource has no name";
    if (!r->resource)
        return "the resource is empty";
    if (strcmp(r->resource->type_url, type_url) != 0)
        return "the resource is of another type than the response";
    return NULL;
}

/* One item a name: the last. */
static int add_item(struct agw_delta_item *items, size_t *count, struct agw_map *by_name,
                    const Xds__Resource *r)
{
    struct agw_delta_item item = {agw_str_c(r->name), agw_str_c(r->version),
                                  agw_str((const char *)r->resource->value.data, r->resource->value.len)};
    struct agw_delta_item *before = agw_map_get(by_name, item.name);
    if (before) {
        *before = item;
        return agw_map_put(by_name, item.name, before, NULL);
    }
    items[*count] = item;
    return agw_map_put(by_name, item.name, &items[(*count)++], NULL);
}

static int refuse_item(struct agw_delta_answer *a, struct agw_str name, const char *fault)
{
    if (name.n > AGW_DELTA_MAX_FINDING_TEXT)
        name.n = AGW_DELTA_MAX_FINDING_TEXT;
    return agw_delta_answer_error(a, name, agw_str_c(fault));
}

static int read_items(const Xds__DeltaDiscoveryResponse *in, struct agw_delta_item *items,
                      struct agw_delta_answer *a, size_t *ret_count)
{
    struct agw_map by_name = {0};
    size_t count = 0;
    int code = 0;
    for (size_t i = 0; !code && i < in->n_resources; i++) {
        const Xds__Resource *r = in->resources[i];
        const char *fault = fault_of(r, in->type_url);
        code = fault ? refuse_item(a, agw_str_c(r->name), fault) : add_item(items, &count, &by_name, r);
    }
    agw_map_free(&by_name);
    *ret_count = count;
    return code;
}

static int remember(struct agw_delta_client *c, const struct agw_delta_update *u,
                    const struct agw_delta_answer *a)
{
    struct agw_map *map = &c->kept[u->type];
    for (size_t i = 0; i < u->removed_count; i++)
        drop(map, u->removed[i]);
    for (size_t i = 0; i < u->item_count; i++) {
        const struct agw_delta_item *item = &u->items[i];
        bool refused = a->errors.count && agw_map_get(&a->errors, item->name);
        if (refused && !agw_map_get(map, item->name))
            continue;
        if (keep(map, item->name, refused ? AGW_STR("") : item->version))
            return AGW_ENOMEM;
    }
    return 0;
}

static int read_update(const Xds__DeltaDiscoveryResponse *in, struct agw_arena *arena,
                       struct agw_delta_answer *a, struct agw_delta_update *u)
{
    struct agw_delta_item *items = agw_arena_alloc(arena, in->n_resources * sizeof(*items));
    struct agw_str *removed = agw_arena_alloc(arena, in->n_removed_resources * sizeof(*removed));
    if (!items || !removed)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_removed_resources; i++)
        removed[i] = agw_str_c(in->removed_resources[i]);
    u->items = items;
    u->removed = removed;
    u->removed_count = in->n_removed_resources;
    return read_items(in, items, a, &u->item_count);
}

int agw_delta_client_receive(struct agw_delta_client *c, struct agw_str response,
                             int (*apply)(void *ctx, const struct agw_delta_update *u,
                                          struct agw_delta_answer *a),
                             void *ctx, struct agw_arena *arena, struct agw_str *ret_request,
                             struct agw_error *err)
{
    void *message;
    if (response.n > AGW_DELTA_MAX_RESPONSE)
        return agw_error_set(err, AGW_ELIMIT, "response of %zu bytes is larger than %u", response.n,
                             AGW_DELTA_MAX_RESPONSE);
    int code = agw_proto_unpack(&xds__delta_discovery_response__descriptor, response.p, response.n, arena,
                                &message, err);
    if (code)
        return code;
    const Xds__DeltaDiscoveryResponse *in = message;
    struct agw_delta_update u = {.type = agw_delta_type_of(agw_str_c(in->type_url))};
    if (u.type == AGW_DELTA_TYPES)
        return answer(in->type_url, in->nonce, "[{\"key\":\"\",\"error\":\"this type was not asked for\"}]",
                      arena, ret_request);
    struct agw_delta_answer a = {.arena = arena};
    char *text = NULL;
    code = read_update(in, arena, &a, &u);
    if (!code)
        code = apply(ctx, &u, &a);
    if (!code)
        code = remember(c, &u, &a);
    if (!code)
        code = write_message(&a, &text);
    if (!code)
        code = answer(in->type_url, in->nonce, text, arena, ret_request);
    agw_map_free(&a.errors);
    return code ? agw_error_set(err, code, "out of memory") : 0;
}
