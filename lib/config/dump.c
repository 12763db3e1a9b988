#include "config/dump.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "config/snapshot_build.h"
#include "json/writer.h"

/* --- messages --- */
#define DUMP_BYTES 4096 /* longer byte fields are shown by their size */

/* Fields that hold secrets, whatever message they stand in. */
static bool is_secret(const char *name)
{
    static const char *const names[] = {
        "private_key",   "secret",     "client_secret",    "secret_access_key", "session_token",
        "access_key_id", "credential", "htpasswd_content", "signing_key",       "key_hash"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Names that are harmless in most messages and secret in these. */
static bool is_secret_here(const char *type, const char *name)
{
    if (strcmp(name, "key") == 0)
        return strcmp(type, "BackendTLS") == 0 || strcmp(type, "User") == 0;
    if (strcmp(name, "env") == 0)
        return strcmp(type, "Stdio") == 0;
    return strcmp(name, "value") == 0 && strcmp(type, "BackendAuthCredential") == 0;
}

static bool redact(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *f)
{
    return is_secret(f->name) || is_secret_here(type->short_name, f->name);
}

static void dump_bytes(struct agw_json_writer *w, const ProtobufCBinaryData *b)
{
    struct agw_str text = {(const char *)b->data, b->len};
    if (b->len > DUMP_BYTES || !agw_str_is_utf8(text)) {
        agw_json_begin_object(w);
        agw_json_put_uint(w, "bytes", b->len);
        agw_json_end_object(w);
    } else {
        agw_json_string(w, text);
    }
}

static void dump_enum(struct agw_json_writer *w, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
    if (v)
        agw_json_string(w, agw_str_c(v->name));
    else
        agw_json_int(w, value);
}

static void dump_message(struct agw_json_writer *w, const ProtobufCMessage *m);

/* One value of |f| at |p|. */
static void dump_value(struct agw_json_writer *w, const ProtobufCFieldDescriptor *f, const void *p)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        agw_json_int(w, *(const int32_t *)p);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        agw_json_uint(w, *(const uint32_t *)p);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        agw_json_int(w, *(const int64_t *)p);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        agw_json_uint(w, *(const uint64_t *)p);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        agw_json_double(w, (double)*(const float *)p);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        agw_json_double(w, *(const double *)p);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        agw_json_bool(w, *(const protobuf_c_boolean *)p);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        dump_enum(w, f->descriptor, *(const int *)p);
        break;
    case PROTOBUF_C_TYPE_STRING:
        agw_json_string(w, agw_str_c(*(char *const *)p));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        dump_bytes(w, p);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        dump_message(w, *(ProtobufCMessage *const *)p);
        break;
    }
}

static size_t value_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

/* proto3 leaves default values out; a field in a oneof is there when its case says so. */
static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const void *p)
{
    static const char zero[16];
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const unsigned *)((const char *)m + f->quantifier_offset) == f->id;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)((const char *)m + f->quantifier_offset) > 0;
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return **(char *const *)p != 0;
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)p)->len > 0;
    return memcmp(p, zero, value_size(f)) != 0;
}

static void dump_field(struct agw_json_writer *w, const ProtobufCMessage *m,
                       const ProtobufCFieldDescriptor *f)
{
    const char *p = (const char *)m + f->offset;
    if (!is_set(m, f, p))
        return;
    agw_json_key(w, agw_str_c(f->name));
    if (redact(m->descriptor, f)) {
        agw_json_string(w, AGW_STR("<redacted>"));
    } else if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        dump_value(w, f, p);
    } else {
        size_t n = *(const size_t *)((const char *)m + f->quantifier_offset), size = value_size(f);
        agw_json_begin_array(w);
        for (size_t i = 0; i < n; i++)
            dump_value(w, f, *(const char *const *)p + i * size);
        agw_json_end_array(w);
    }
}

/* Any message as an object: fields that are set, in the order of their numbers; secrets redacted. */
static void dump_message(struct agw_json_writer *w, const ProtobufCMessage *m)
{
    if (!m) {
        agw_json_null(w);
        return;
    }
    agw_json_begin_object(w);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        dump_field(w, m, &m->descriptor->fields[i]);
    agw_json_end_object(w);
}

/* --- the snapshot --- */
/* The list's name for each kind of resource. */
static const char *const list_names[] = {
    [AGW_RESOURCE_BIND] = "binds",
    [AGW_RESOURCE_LISTENER] = "listeners",
    [AGW_RESOURCE_ROUTE] = "routes",
    [AGW_RESOURCE_BACKEND] = "backends",
    [AGW_RESOURCE_POLICY] = "policies",
    [AGW_RESOURCE_TCP_ROUTE] = "tcpRoutes",
    [AGW_RESOURCE_WORKLOAD] = "workloads",
    [AGW_RESOURCE_SERVICE] = "services",
    [AGW_RESOURCE_ROUTE_GROUP] = "routeGroups",
    [AGW_RESOURCE_MODEL_ROUTE] = "modelRoutes",
};

static const char *const backend_kinds[] = {
    [AGW_BACKEND_STATIC] = "static", [AGW_BACKEND_SERVICE] = "service", [AGW_BACKEND_DYNAMIC] = "dynamic",
    [AGW_BACKEND_MCP] = "mcp",       [AGW_BACKEND_INVALID] = "invalid",
};

/* What is dumped of one kind, sorted: the maps have no order. */
struct list {
    const void **v;
    uint32_t count, cap;
    enum agw_resource_kind kind;
    bool failed;
};

static void list_add(struct list *l, const void *item)
{
    if (l->count == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 64;
        const void **v = reallocarray(l->v, cap, sizeof(*v));
        if (!v) {
            l->failed = true;
            return;
        }
        l->v = v;
        l->cap = cap;
    }
    l->v[l->count++] = item;
}

static int collect_resource(void *ctx, struct agw_resource *r)
{
    struct list *l = ctx;
    if (r->kind == l->kind)
        list_add(l, r);
    return 0;
}

static int resource_order(const void *a, const void *b)
{
    return agw_str_cmp((*(const struct agw_resource *const *)a)->key,
                       (*(const struct agw_resource *const *)b)->key);
}

/* True: out of memory. */
static bool dump_resource(struct agw_json_writer *w, const struct agw_resource *r, struct agw_arena *scratch)
{
    const ProtobufCMessage *message = agw_resource_message(r, scratch);
    if (message)
        dump_message(w, message);
    agw_arena_reset(scratch);
    return !message;
}

static int dump_resources(struct agw_json_writer *w, const struct agw_snapshot *s)
{
    struct list l = {0};
    struct agw_arena arena;
    agw_arena_init(&arena, 4096, 0);
    for (l.kind = 0; s->private->store && !l.failed && l.kind < AGW_RESOURCE_KINDS; l.kind++) {
        l.count = 0;
        agw_store_each(s->private->store, collect_resource, &l);
        if (l.count)
            qsort(l.v, l.count, sizeof(*l.v), resource_order);
        agw_json_key(w, agw_str_c(list_names[l.kind]));
        agw_json_begin_array(w);
        for (uint32_t i = 0; i < l.count; i++)
            l.failed |= dump_resource(w, l.v[i], &arena);
        agw_json_end_array(w);
    }
    agw_arena_free(&arena);
    free(l.v);
    return l.failed ? AGW_ENOMEM : 0;
}

static void dump_endpoints(struct agw_json_writer *w, const struct agw_backend *b)
{
    agw_json_key(w, AGW_STR("endpoints"));
    agw_json_begin_array(w);
    for (uint32_t i = 0; i < b->endpoint_count; i++) {
        const struct agw_endpoint *e = b->endpoints[i];
        char text[AGW_ADDR_TEXT];
        agw_json_begin_object(w);
        if (e->addr.n)
            agw_json_put_string(w, "address", agw_str(text, agw_addr_format(&e->addr, text)));
        agw_json_put_string(w, "host", e->host);
        agw_json_put_uint(w, "port", e->port);
        agw_json_put_bool(w, "tls", e->tls != NULL);
        agw_json_put_bool(w, "http2", e->http == AGW_UPSTREAM_HTTP2);
        agw_json_end_object(w);
    }
    agw_json_end_array(w);
}

/* What references became: endpoints after health and ports, or why there are none. */
static void dump_backend(struct agw_json_writer *w, const struct agw_backend *b)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "key", b->key);
    agw_json_put_string(w, "kind", agw_str_c(backend_kinds[b->kind]));
    if (b->reason)
        agw_json_put_string(w, "reason", agw_str_c(b->reason));
    if (b->is_a2a)
        agw_json_put_bool(w, "a2a", true);
    if (b->kind == AGW_BACKEND_STATIC || b->kind == AGW_BACKEND_SERVICE)
        dump_endpoints(w, b);
    agw_json_end_object(w);
}

static void dump_binds(struct agw_json_writer *w, const struct agw_snapshot *s)
{
    agw_json_key(w, AGW_STR("addresses"));
    agw_json_begin_array(w);
    for (uint32_t i = 0; i < s->bind_count; i++) {
        for (uint32_t k = 0; k < s->binds[i]->addr_count; k++) {
            char text[AGW_ADDR_TEXT];
            agw_json_begin_object(w);
            agw_json_put_string(w, "bind", s->binds[i]->key);
            agw_json_put_string(w, "address", agw_str(text, agw_addr_format(&s->binds[i]->addrs[k], text)));
            agw_json_end_object(w);
        }
    }
    agw_json_end_array(w);
}

static int collect_backend(void *ctx, void *value)
{
    list_add(ctx, value);
    return 0;
}

static int backend_order(const void *a, const void *b)
{
    const struct agw_backend *x = *(const struct agw_backend *const *)a;
    const struct agw_backend *y = *(const struct agw_backend *const *)b;
    int order = agw_str_cmp(x->key, y->key);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static int dump_backends(struct agw_json_writer *w, const struct agw_snapshot *s)
{
    struct list l = {0};
    agw_pmap_each(&s->backends, collect_backend, &l);
    if (l.count)
        qsort(l.v, l.count, sizeof(*l.v), backend_order);
    agw_json_key(w, AGW_STR("resolvedBackends"));
    agw_json_begin_array(w);
    for (uint32_t i = 0; i < l.count; i++)
        dump_backend(w, l.v[i]);
    agw_json_end_array(w);
    free(l.v);
    return l.failed ? AGW_ENOMEM : 0;
}

int agw_snapshot_dump(const struct agw_snapshot *s, struct agw_chain *out, struct agw_block_pool *pool)
{
    struct agw_json_writer w;
    char made[25];
    agw_clock_rfc3339(s->made_wall_ns, made);
    agw_json_writer_init_chain(&w, out, pool);
    agw_json_begin_object(&w);
    agw_json_put_uint(&w, "generation", s->generation);
    agw_json_put_string(&w, "made", agw_str_c(made));
    int code = dump_resources(&w, s);
    dump_binds(&w, s);
    if (!code)
        code = dump_backends(&w, s);
    agw_json_end_object(&w);
    int end = agw_json_writer_end(&w);
    agw_json_writer_free(&w);
    return code ? code : end;
}
