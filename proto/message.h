/* What protobuf-c leaves to its users: messages in an arena, and a check of foreign bytes before they are
 * unpacked.
 *
 * protobuf-c follows nesting without a limit and takes any bytes for text; agw_proto_unpack looks first.
 * Ownership: messages live in the arena that was given and are never freed one by one.
 * Threads: any; an arena belongs to one at a time. Errors: as said at each function. */
#ifndef AGW_PROTO_MESSAGE_H
#define AGW_PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include "base/arena.h"
#include "base/err.h"

struct Google__Protobuf__Duration;

/* Messages nested deeper are refused: ours need about 12, and each level costs the unpacker stack. */
#define AGW_PROTO_DEPTH 64

/* A new message with default values: agw_proto_new(arena, &pb__route__descriptor). NULL: out of memory. */
void *agw_proto_new(struct agw_arena *arena, const ProtobufCMessageDescriptor *type);

/* Checks |n| bytes against |type|: well-formed fields, nesting within AGW_PROTO_DEPTH, text that is UTF-8
 * without NUL. 0, AGW_EPROTO or AGW_ELIMIT with the field's name. */
int agw_proto_check(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                    struct agw_error *err);

/* Checks and unpacks into |arena|, whose limit bounds the memory. Unknown fields stay in the
 * message as bytes. 0, or AGW_EPROTO, AGW_ELIMIT (too deep, or over the arena's limit), AGW_ENOMEM. */
int agw_proto_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                     struct agw_arena *arena, void **ret_message, struct agw_error *err);

/* The same for bytes that were checked before. */
int agw_proto_unpack_checked(const ProtobufCMessageDescriptor *type, const void *data, size_t n,
                             struct agw_arena *arena, void **ret_message, struct agw_error *err);

/* Packs |message| (a protobuf-c struct) into |arena|. p is NULL when memory is out. */
struct agw_str agw_proto_pack(const void *message, struct agw_arena *arena);

/* A duration in milliseconds, rounded up and at most UINT32_MAX; 0 for NULL, zero or negative. */
uint32_t agw_proto_ms(const struct Google__Protobuf__Duration *d);

#endif
