#include "proto/message.h"

#include "proto/resource.pb-c.h"

/* Wire types (Protocol Buffers encoding). */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define VARINT_MAX 10 /* bytes of a 64-bit varint */

struct reader {
    const unsigned char *p, *end;
};

static bool read_varint(struct reader *r, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX && r->p < r->end; i++) {
        unsigned char byte = *r->p++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n)
        return false;
    r->p += n;
    return true;
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader r, unsigned depth,
                         struct agw_error *err);

/* One length-delimited value of |field| (NULL: unknown). */
static int check_bytes(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
                       struct reader value, unsigned depth, struct agw_error *err)
{
    if (!field)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_message(field->descriptor, value, depth + 1, err);
    if (field->type != PROTOBUF_C_TYPE_STRING)
        return 0;
    struct agw_str text = {(const char *)value.p, (size_t)(value.end - value.p)};
    if (agw_str_find(text, '\0') >= 0)
        return agw_error_set(err, AGW_EPROTO, "%s.%s: text with a NUL byte", type->short_name, field->name);
    if (!agw_str_is_utf8(text))
        return agw_error_set(err, AGW_EPROTO, "%s.%s: text is not UTF-8", type->short_name, field->name);
    return 0;
}

static int check_field(const ProtobufCMessageDescriptor *type, struct reader *r, unsigned depth,
                       struct agw_error *err)
{
    uint64_t tag, n;
    bool ok = read_varint(r, &tag) && tag >> 3 != 0 && tag >> 3 <= 0x1fffffff;
    if (!ok)
        return agw_error_set(err, AGW_EPROTO, "%s: malformed field tag", type->short_name);
    switch (tag & 7) {
    case WIRE_VARINT:
        ok = read_varint(r, &n);
        break;
    case WIRE_FIXED64:
        ok = skip(r, 8);
        break;
    case WIRE_FIXED32:
        ok = skip(r, 4);
        break;
    case WIRE_BYTES: {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        ok = read_varint(r, &n) && n <= (size_t)(r->end - r->p);
        if (ok) {
            struct reader value = {r->p, r->p + n};
            r->p += n;
            return check_bytes(type, field, value, depth, err);
        }
        break;
    }
    default: /* groups are not in proto3 */
        ok = false;
    }
    return ok ? 0
              : agw_error_set(err, AGW_EPROTO, "%s: field %u is malformed", type->short_name,
                              (unsigned)(tag >> 3));
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader r, unsigned depth,
                         struct agw_error *err)
{
    if (depth > AGW_PROTO_DEPTH)
        return agw_error_set(err, AGW_ELIMIT, "%s: nested deeper than %d", type->short_name, AGW_PROTO_DEPTH);
    while (r.p < r.end) {
        int code = check_field(type, &r, depth, err);
        if (code)
            return code;
    }
    return 0;
}

int agw_proto_check(const ProtobufCMessageDescriptor *type, const void *data, size_t n, struct agw_error *err)
{
    const unsigned char *p = data;
    return check_message(type, (struct reader){p, p + n}, 0, err);
}

struct unpack_memory {
    struct agw_arena *arena;
    bool failed, too_much; /* without memory; because of the arena's limit */
};

static void *unpack_alloc(void *data, size_t n)
{
    struct unpack_memory *m = data;
    size_t limit = m->arena->limit;
    void *p = agw_arena_alloc(m->arena, n);
    if (!p) {
        m->failed = true;
        m->too_much = limit && (n > limit || m->arena->used > limit - n);
    }
    return p;
}

static void unpack_free(void *data, void *p) {}

void *agw_proto_new(struct agw_arena *arena, const ProtobufCMessageDescriptor *type)
{
    void *message = agw_arena_alloc(arena, type->sizeof_message);
    if (message)
        protobuf_c_message_init(type, message);
    return message;
}

int agw_proto_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                     struct agw_arena *arena, void **ret_message, struct agw_error *err)
{
    int code = agw_proto_check(type, data, n, err);
    return code ? code : agw_proto_unpack_checked(type, data, n, arena, ret_message, err);
}

int agw_proto_unpack_checked(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                             struct agw_arena *arena, void **ret_message, struct agw_error *err)
{
    struct unpack_memory memory = {.arena = arena};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &memory};
    void *message = protobuf_c_message_unpack(type, &allocator, n, data);
    if (message) {
        *ret_message = message;
        return 0;
    }
    if (memory.too_much)
        return agw_error_set(err, AGW_ELIMIT, "%s: takes more than %zu bytes of memory", type->short_name,
                             arena->limit);
    if (memory.failed)
        return agw_error_set(err, AGW_ENOMEM, "%s: out of memory", type->short_name);
    return agw_error_set(err, AGW_EPROTO, "%s: a field has the wrong wire type", type->short_name);
}

struct agw_str agw_proto_pack(const void *message, struct agw_arena *arena)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *p = agw_arena_alloc(arena, n);
    return p ? agw_str((char *)p, protobuf_c_message_pack(message, p)) : (struct agw_str){NULL, 0};
}

uint32_t agw_proto_ms(const Google__Protobuf__Duration *d)
{
    if (!d || d->seconds < 0 || d->nanos < 0)
        return 0;
    if (d->seconds > UINT32_MAX / 1000 - 1)
        return UINT32_MAX;
    return (uint32_t)d->seconds * 1000 + ((uint32_t)d->nanos + 999999) / 1000000;
}
