#include "config/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "proto/message.h"

/* For a block's own header and rounding. */
#define ARENA_ROOM 64
/* An unpacked message takes about so many times its bytes. */
#define MESSAGE_GROWTH 8

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

/* A message and what it says of itself, before it is a resource. */
struct content {
    enum agw_resource_kind kind;
    const void *message;
    struct agw_str key;
};

static bool is_address(enum agw_resource_kind kind)
{
    return kind == AGW_RESOURCE_WORKLOAD || kind == AGW_RESOURCE_SERVICE;
}

static bool is_many(enum agw_resource_kind kind)
{
    return kind == AGW_RESOURCE_ROUTE || kind == AGW_RESOURCE_BACKEND;
}

/* The key inside the message; services are keyed by "ns/hostname". */
static struct agw_str message_key(const struct content *c, struct agw_arena *arena)
{
    const Istio__Service *service = c->message;
    switch (c->kind) {
    case AGW_RESOURCE_WORKLOAD:
        return agw_str_c(((const Istio__Workload *)c->message)->uid);
    case AGW_RESOURCE_SERVICE:
        return agw_arena_printf(arena, "%s/%s", service->namespace_, service->hostname);
    default: /* the others begin with their key */
        return agw_str_c(((const Pb__Bind *)c->message)->key);
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

static int check_key(struct content *c, struct agw_arena *arena, struct agw_error *err)
{
    const char *kind = kind_names[c->kind];
    c->key = message_key(c, arena);
    if (!c->key.p)
        return agw_error_set(err, AGW_ENOMEM, "%s: out of memory", kind);
    if (c->key.n == 0 || agw_str_eq(c->key, AGW_STR("/")))
        return agw_error_set(err, AGW_EINVAL, "%s: key is empty", kind);
    if (c->key.n > AGW_RESOURCE_MAX_KEY)
        return agw_error_set(err, AGW_ELIMIT, "%s: key is longer than %d bytes", kind, AGW_RESOURCE_MAX_KEY);
    return 0;
}

/* --- wire form --- */
/* Picks the message out of the oneof of an unpacked Resource. */
static int pick_resource(const Pb__Resource *wire, struct content *out, struct agw_error *err)
{
    if (wire->kind_case == PB__RESOURCE__KIND__NOT_SET || !wire->bind)
        return agw_error_set(err, AGW_EINVAL, "resource of no known kind");
    out->kind = (enum agw_resource_kind)(wire->kind_case - 1);
    out->message = wire->bind;
    return 0;
}

static int pick_address(const Istio__Address *wire, struct content *out, struct agw_error *err)
{
    if (wire->type_case == ISTIO__ADDRESS__TYPE__NOT_SET || !wire->workload)
        return agw_error_set(err, AGW_EINVAL, "address of no known type");
    out->kind =
        wire->type_case == ISTIO__ADDRESS__TYPE_WORKLOAD ? AGW_RESOURCE_WORKLOAD : AGW_RESOURCE_SERVICE;
    out->message = wire->workload;
    return 0;
}

static int unpack(bool address, const void *data, size_t n, struct agw_arena *arena, struct content *out,
                  struct agw_error *err)
{
    const ProtobufCMessageDescriptor *type =
        address ? &istio__address__descriptor : &pb__resource__descriptor;
    void *wire;
    int code = agw_proto_unpack(type, data, n, arena, &wire, err);
    if (code)
        return code;
    return address ? pick_address(wire, out, err) : pick_resource(wire, out, err);
}

/* What was unpacked before: only memory can be missing. NULL: it is. */
static const void *unpack_again(bool address, const void *data, size_t n, struct agw_arena *arena)
{
    const ProtobufCMessageDescriptor *type =
        address ? &istio__address__descriptor : &pb__resource__descriptor;
    struct content content = {0};
    void *wire;
    if (agw_proto_unpack_checked(type, data, n, arena, &wire, NULL))
        return NULL;
    int code = address ? pick_address(wire, &content, NULL) : pick_resource(wire, &content, NULL);
    return code ? NULL : content.message;
}

static struct agw_str pack(enum agw_resource_kind kind, const void *message, struct agw_arena *arena)
{
    Pb__Resource resource = PB__RESOURCE__INIT;
    Istio__Address address = ISTIO__ADDRESS__INIT;
    if (is_address(kind)) {
        address.type_case =
            kind == AGW_RESOURCE_WORKLOAD ? ISTIO__ADDRESS__TYPE_WORKLOAD : ISTIO__ADDRESS__TYPE_SERVICE;
        address.workload = (Istio__Workload *)message;
        return agw_proto_pack(&address, arena);
    }
    resource.kind_case = (Pb__Resource__KindCase)(kind + 1);
    resource.bind = (Pb__Bind *)message;
    return agw_proto_pack(&resource, arena);
}

/* --- one resource --- */
static void arena_free(struct agw_arena *stored)
{
    if (!stored)
        return;
    struct agw_arena arena = *stored; /* it holds itself */
    agw_arena_free(&arena);
}

static void resource_free(struct agw_shared *shared)
{
    struct agw_resource *r = agw_container_of(shared, struct agw_resource, shared);
    arena_free(r->arena);
    free(r);
}

/* |room|: what the message will take. */
static int open_message(struct agw_resource *r, const void *data, size_t room)
{
    struct agw_arena arena;
    agw_arena_init(&arena, sizeof(arena) + room + ARENA_ROOM, 0);
    struct agw_arena *own = agw_arena_alloc(&arena, sizeof(*own));
    const void *message = own ? unpack_again(is_address(r->kind), data, r->bytes, &arena) : NULL;
    if (!message) {
        agw_arena_free(&arena);
        return AGW_ENOMEM;
    }
    *own = arena;
    r->arena = own;
    r->message = message;
    return 0;
}

int agw_resource_open(struct agw_resource *r)
{
    int code = r->message ? 0 : open_message(r, r->packed, (size_t)r->bytes * MESSAGE_GROWTH);
    r->opens += code == 0;
    return code;
}

void agw_resource_close(struct agw_resource *r)
{
    if (--r->opens || !r->packed)
        return;
    arena_free(r->arena);
    r->arena = NULL;
    r->message = NULL;
}

int agw_resource_keep_open(struct agw_resource *r)
{
    int code = agw_resource_open(r);
    if (!code)
        agw_resource_ref(r);
    return code;
}

void agw_resource_release(void *r)
{
    agw_resource_close(r);
    agw_resource_unref(r);
}

const ProtobufCMessage *agw_resource_message(const struct agw_resource *r, struct agw_arena *arena)
{
    return r->packed ? unpack_again(false, r->packed, r->bytes, arena) : r->message;
}

struct agw_str agw_resource_pack(const struct agw_resource *r, struct agw_arena *arena)
{
    return r->packed ? agw_str(r->packed, r->bytes) : pack(r->kind, r->message, arena);
}

static void note_backend(struct agw_resource *r, const Pb__Backend *b)
{
    r->arm = (uint32_t)b->kind_case;
    if (!b->name)
        return;
    size_t ns = strlen(b->name->namespace_);
    struct agw_str name = agw_str_c(b->name->name);
    r->is_named_key = r->key.n == ns + 1 + name.n && memcmp(r->key.p, b->name->namespace_, ns) == 0 &&
                      r->key.p[ns] == '/' && agw_str_eq(agw_str_from(r->key, ns + 1), name);
}

static void set_side(struct agw_resource *r, const struct agw_side *side, struct agw_addr *addrs)
{
    r->side = *side;
    r->side.addrs = addrs;
    if (side->addr_count)
        memcpy(addrs, side->addrs, side->addr_count * sizeof(*addrs));
    r->hash ^= side->created_ns * 0x9e3779b97f4a7c15ull;
    for (uint32_t i = 0; i < side->addr_count; i++)
        r->hash = r->hash * 31 + agw_hash(agw_str((const char *)&addrs[i].u, addrs[i].n));
}

/* In one block: the struct, the addresses, the packed form of those that are closed, the id. */
static struct agw_resource *resource_new(const struct content *c, const void *data, size_t n,
                                         const struct agw_side *side)
{
    size_t addrs = side->addr_count * sizeof(*side->addrs), kind = strlen(kind_names[c->kind]);
    size_t packed = is_many(c->kind) ? n : 0;
    struct agw_resource *r = malloc(sizeof(*r) + addrs + packed + kind + 1 + c->key.n + 1);
    if (!r)
        return NULL;
    *r = (struct agw_resource){.kind = c->kind, .bytes = (uint32_t)n};
    agw_shared_init(&r->shared, resource_free);
    char *at = (char *)(r + 1) + addrs;
    if (packed)
        r->packed = memcpy(at, data, n);
    at += packed;
    r->id = agw_str(at, kind + 1 + c->key.n);
    r->key = agw_str_from(r->id, kind + 1);
    snprintf(at, r->id.n + 1, "%s/%s", kind_names[c->kind], c->key.p);
    r->hash = agw_hash(agw_str(data, n));
    set_side(r, side, (struct agw_addr *)(r + 1));
    if (c->kind == AGW_RESOURCE_BACKEND)
        note_backend(r, c->message);
    return r;
}

static int check_size(size_t n, struct agw_error *err)
{
    if (n <= AGW_RESOURCE_MAX_BYTES)
        return 0;
    return agw_error_set(err, AGW_ELIMIT, "resource of %zu bytes is larger than %u", n,
                         AGW_RESOURCE_MAX_BYTES);
}

static int decode(bool address, const void *data, size_t n, const struct agw_side *side,
                  struct agw_resource **ret_resource, struct agw_error *err)
{
    static const struct agw_side nothing;
    struct agw_arena scratch;
    struct content content = {0};
    int code = check_size(n, err);
    if (code)
        return code;
    agw_arena_init(&scratch, 4096, AGW_RESOURCE_MAX_MEMORY);
    code = unpack(address, data, n, &scratch, &content, err);
    size_t memory = scratch.used;
    if (!code)
        code = check_key(&content, &scratch, err);
    if (code)
        goto out;
    struct agw_resource *r = resource_new(&content, data, n, side ? side : &nothing);
    if (r && !r->packed && open_message(r, data, memory)) {
        free(r);
        r = NULL;
    }
    if (r)
        *ret_resource = r;
    else
        code = agw_error_set(err, AGW_ENOMEM, "%s: out of memory", kind_names[content.kind]);
out:
    agw_arena_free(&scratch);
    return code;
}

int agw_resource_decode(const void *data, size_t n, struct agw_resource **ret_resource, struct agw_error *err)
{
    return decode(false, data, n, NULL, ret_resource, err);
}

int agw_resource_decode_address(const void *data, size_t n, struct agw_resource **ret_resource,
                                struct agw_error *err)
{
    return decode(true, data, n, NULL, ret_resource, err);
}

/* Goes through the packed form: a deep copy, and the same checks as for what comes from the network. */
int agw_resource_make(enum agw_resource_kind kind, const void *message, const struct agw_side *side,
                      struct agw_resource **ret_resource, struct agw_error *err)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    struct agw_arena scratch;
    int code = check_size(n, err);
    if (code)
        return code;
    agw_arena_init(&scratch, n + ARENA_ROOM, 0);
    struct agw_str packed = pack(kind, message, &scratch);
    if (packed.p)
        code = decode(is_address(kind), packed.p, packed.n, side, ret_resource, err);
    else
        code = agw_error_set(err, AGW_ENOMEM, "%s: out of memory", kind_names[kind]);
    agw_arena_free(&scratch);
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
