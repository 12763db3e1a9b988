#include "config/resource.h"

#include <stdlib.h>
#include "base/check.h"
#include "proto/message.h"

/* For the id, a block's header and rounding: an ordinary name fits. */
#define ID_ROOM 112

static const char *const kind_names[] = {
#define X(name, text) text,
    AGW_RESOURCE_LIST(X)
#undef X
};

const char *agw_resource_kind_name(enum agw_resource_kind kind)
{
    return kind_names[kind];
}

/* The kinds' numbers in the oneof stand in this order too. */
static_assert(PB__RESOURCE__KIND_BIND == AGW_RESOURCE_BIND + 1, "order of kinds");
static_assert(PB__RESOURCE__KIND_MODEL_ROUTE == AGW_RESOURCE_MODEL_ROUTE + 1, "order of kinds");

static const ProtobufCMessageDescriptor *kind_type(enum agw_resource_kind kind)
{
    return pb__resource__descriptor.fields[kind].descriptor;
}

/* The key inside the message; services are keyed by "ns/hostname". */
static struct agw_str message_key(const struct agw_resource *r, struct agw_arena *arena)
{
    switch (r->kind) {
    case AGW_RESOURCE_WORKLOAD:
        return agw_str_c(r->workload->uid);
    case AGW_RESOURCE_SERVICE:
        return agw_arena_printf(arena, "%s/%s", r->service->namespace_, r->service->hostname);
    default: /* the others begin with their key */
        return agw_str_c(((const Pb__Bind *)r->message)->key);
    }
}

#define CHECK_KEY_FIRST(type)                                                                                \
    static_assert(offsetof(type, key) == offsetof(Pb__Bind, key), "key is the first field")
CHECK_KEY_FIRST(Pb__Listener);
CHECK_KEY_FIRST(Pb__Route);
CHECK_KEY_FIRST(Pb__Backend);
CHECK_KEY_FIRST(Pb__Policy);
CHECK_KEY_FIRST(Pb__TCPRoute);
CHECK_KEY_FIRST(Pb__RouteGroup);
CHECK_KEY_FIRST(Pb__ModelRoute);

static int set_id(struct agw_resource *r, struct agw_error *err)
{
    const char *kind = kind_names[r->kind];
    struct agw_str key = message_key(r, &r->arena);
    if (!key.p)
        return agw_error_set(err, AGW_ENOMEM, "%s: out of memory", kind);
    if (key.n == 0 || agw_str_eq(key, AGW_STR("/")))
        return agw_error_set(err, AGW_EINVAL, "%s: key is empty", kind);
    if (key.n > AGW_RESOURCE_MAX_KEY)
        return agw_error_set(err, AGW_ELIMIT, "%s: key is longer than %d bytes", kind, AGW_RESOURCE_MAX_KEY);
    r->id = agw_arena_printf(&r->arena, "%s/%.*s", kind, AGW_STRF(key));
    if (!r->id.p)
        return agw_error_set(err, AGW_ENOMEM, "%s: out of memory", kind);
    r->key = agw_str_from(r->id, strlen(kind) + 1);
    return 0;
}

static void resource_free(struct agw_shared *shared)
{
    struct agw_arena arena = agw_container_of(shared, struct agw_resource, shared)->arena; /* it holds all */
    agw_arena_free(&arena);
}

/* |bytes|: packed size; |memory|: what the message takes unpacked. In one block: there are many resources. */
static struct agw_resource *resource_new(size_t bytes, size_t memory)
{
    struct agw_arena arena;
    agw_arena_init(&arena, memory + sizeof(struct agw_resource) + ID_ROOM,
                   0); /* |memory| is within the limit */
    struct agw_resource *r = agw_arena_zalloc(&arena, sizeof(*r));
    if (!r) {
        agw_arena_free(&arena);
        return NULL;
    }
    agw_shared_init(&r->shared, resource_free);
    r->arena = arena;
    r->bytes = (uint32_t)bytes;
    return r;
}

/* What |n| bytes of |type| take unpacked, and whether they are good. */
static int probe(const ProtobufCMessageDescriptor *type, const void *data, size_t n, size_t *ret_memory,
                 struct agw_error *err)
{
    struct agw_arena arena;
    void *message;
    agw_arena_init(&arena, 4096, AGW_RESOURCE_MAX_MEMORY);
    int code = agw_proto_unpack(type, data, n, &arena, &message, err);
    *ret_memory = arena.used;
    agw_arena_free(&arena);
    return code;
}

static int check_size(size_t n, struct agw_error *err)
{
    if (n <= AGW_RESOURCE_MAX_BYTES)
        return 0;
    return agw_error_set(err, AGW_ELIMIT, "resource of %zu bytes is larger than %u", n,
                         AGW_RESOURCE_MAX_BYTES);
}

static int set_side(struct agw_resource *r, const struct agw_side *side)
{
    if (!side)
        return 0;
    r->side = *side;
    if (side->addr_count) {
        r->side.addrs = agw_arena_copy(&r->arena, side->addrs, side->addr_count * sizeof(*side->addrs));
        if (!r->side.addrs)
            return AGW_ENOMEM;
    }
    r->hash ^= side->created_ns * 0x9e3779b97f4a7c15ull;
    for (uint32_t i = 0; i < side->addr_count; i++) {
        const struct agw_addr *addr = &r->side.addrs[i];
        r->hash = r->hash * 31 + agw_hash(agw_str((const char *)&addr->u, addr->n));
    }
    return 0;
}

/* Picks the message out of the oneof of an unpacked Resource. */
static int open_resource(struct agw_resource *r, const Pb__Resource *wire, struct agw_error *err)
{
    if (wire->kind_case == PB__RESOURCE__KIND__NOT_SET || !wire->bind)
        return agw_error_set(err, AGW_EINVAL, "resource of no known kind");
    r->kind = (enum agw_resource_kind)(wire->kind_case - 1);
    r->message = (const ProtobufCMessage *)wire->bind;
    return 0;
}

static int open_address(struct agw_resource *r, const Istio__Address *wire, struct agw_error *err)
{
    if (wire->type_case == ISTIO__ADDRESS__TYPE__NOT_SET || !wire->workload)
        return agw_error_set(err, AGW_EINVAL, "address of no known type");
    r->kind = wire->type_case == ISTIO__ADDRESS__TYPE_WORKLOAD ? AGW_RESOURCE_WORKLOAD : AGW_RESOURCE_SERVICE;
    r->message = (const ProtobufCMessage *)wire->workload;
    return 0;
}

static int decode(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                  struct agw_resource **ret_resource, struct agw_error *err)
{
    size_t memory;
    void *wire = NULL;
    int code = check_size(n, err);
    if (!code)
        code = probe(type, data, n, &memory, err);
    if (code)
        return code;
    struct agw_resource *r = resource_new(n, memory);
    if (!r)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    code = agw_proto_unpack(type, data, n, &r->arena, &wire, err);
    if (!code)
        code = type == &pb__resource__descriptor ? open_resource(r, wire, err) : open_address(r, wire, err);
    if (!code)
        code = set_id(r, err);
    if (code) {
        agw_resource_unref(r);
        return code;
    }
    r->hash = agw_hash(agw_str(data, n));
    *ret_resource = r;
    return 0;
}

int agw_resource_decode(const void *data, size_t n, struct agw_resource **ret_resource, struct agw_error *err)
{
    return decode(&pb__resource__descriptor, data, n, ret_resource, err);
}

int agw_resource_decode_address(const void *data, size_t n, struct agw_resource **ret_resource,
                                struct agw_error *err)
{
    return decode(&istio__address__descriptor, data, n, ret_resource, err);
}

/* Goes through the packed form: a deep copy, and the same checks as for what comes from the network. */
int agw_resource_make(enum agw_resource_kind kind, const void *message, const struct agw_side *side,
                      struct agw_resource **ret_resource, struct agw_error *err)
{
    size_t n = protobuf_c_message_get_packed_size(message), memory;
    struct agw_resource *r = NULL;
    struct agw_arena scratch;
    void *copy = NULL;
    int code = check_size(n, err);
    if (code)
        return code;
    agw_arena_init(&scratch, n + 64, 0);
    struct agw_str packed = agw_proto_pack(message, &scratch);
    code = packed.p ? probe(kind_type(kind), packed.p, packed.n, &memory, err) : AGW_ENOMEM;
    if (!code && !(r = resource_new(n, memory)))
        code = AGW_ENOMEM;
    if (code)
        goto out;
    r->kind = kind;
    code = agw_proto_unpack(kind_type(kind), packed.p, packed.n, &r->arena, &copy, err);
    if (code)
        goto out;
    r->message = copy;
    r->hash = agw_hash(packed);
    code = set_id(r, err);
    if (!code)
        code = set_side(r, side);
out:
    agw_arena_free(&scratch);
    if (code == AGW_ENOMEM)
        agw_error_set(err, code, "%s: out of memory", kind_names[kind]);
    if (code)
        agw_resource_unref(r);
    else
        *ret_resource = r;
    return code;
}

struct agw_resource *agw_resource_ref(struct agw_resource *r)
{
    return agw_shared_ref(r);
}

void agw_resource_unref(struct agw_resource *r)
{
    agw_shared_unref(r);
}

bool agw_resource_same(const struct agw_resource *a, const struct agw_resource *b)
{
    return a->kind == b->kind && a->hash == b->hash && a->bytes == b->bytes;
}

void agw_resource_set_init(struct agw_resource_set *set)
{
    agw_map_init(&set->by_id);
}

void agw_resource_set_free(struct agw_resource_set *set)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&set->by_id, &cursor));)
        agw_resource_unref(slot->value);
    agw_map_free(&set->by_id);
}

int agw_resource_set_put(struct agw_resource_set *set, struct agw_resource *r, struct agw_error *err)
{
    int code;
    if (agw_map_get(&set->by_id, r->id))
        code = agw_error_set(err, AGW_EEXISTS, "%s: given twice", r->id.p);
    else if ((code = agw_map_put(&set->by_id, r->id, r, NULL)))
        agw_error_set(err, code, "%s: out of memory", r->id.p);
    if (code)
        agw_resource_unref(r);
    return code;
}

int agw_resource_set_add(struct agw_resource_set *set, enum agw_resource_kind kind, const void *message,
                         const struct agw_side *side, struct agw_error *err)
{
    struct agw_resource *r;
    int code = agw_resource_make(kind, message, side, &r, err);
    return code ? code : agw_resource_set_put(set, r, err);
}

struct agw_resource *agw_resource_set_get(const struct agw_resource_set *set, enum agw_resource_kind kind,
                                          struct agw_str key)
{
    char id[AGW_RESOURCE_MAX_KEY + 32];
    size_t prefix = strlen(kind_names[kind]);
    if (key.n > AGW_RESOURCE_MAX_KEY)
        return NULL;
    memcpy(id, kind_names[kind], prefix);
    id[prefix] = '/';
    memcpy(id + prefix + 1, key.p, key.n);
    return agw_map_get(&set->by_id, agw_str(id, prefix + 1 + key.n));
}
