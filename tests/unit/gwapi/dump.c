#include "dump.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void message(FILE *out, const ProtobufCMessage *m);

static void bytes(FILE *out, const ProtobufCBinaryData *b)
{
    size_t i;
    bool text = b->len > 0;

    for (i = 0; i < b->len; i++)
        text = text && (b->data[i] == '\n' || (b->data[i] >= 0x20 && b->data[i] < 0x7f));
    for (i = 0; i < b->len; i++) {
        if (!text)
            fprintf(out, "%s%u", i ? "." : "", b->data[i]);
        else if (b->data[i] == '\n')
            fputs("\\n", out);
        else
            fputc(b->data[i], out);
    }
}

static void value(FILE *out, const ProtobufCFieldDescriptor *f, const void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        fprintf(out, "%s", *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        bytes(out, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        message(out, *(ProtobufCMessage *const *)at);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        fprintf(out, "%s", protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at)->name);
        break;
    case PROTOBUF_C_TYPE_INT64:
        fprintf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        fprintf(out, "%g", *(const double *)at);
        break;
    default: /* 32-bit numbers and booleans */
        fprintf(out, "%d", *(const int *)at);
        break;
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return sizeof(ProtobufCBinaryData);
    bool small = f->type == PROTOBUF_C_TYPE_ENUM || f->type == PROTOBUF_C_TYPE_INT32 ||
                 f->type == PROTOBUF_C_TYPE_UINT32;
    return small ? sizeof(int) : sizeof(void *);
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const void *at)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const int *)((const char *)m + f->quantifier_offset) == (int)f->id;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return **(char *const *)at != '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len > 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)at != NULL;
    case PROTOBUF_C_TYPE_INT64:
        return *(const int64_t *)at != 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *)at != 0;
    default:
        return *(const int *)at != 0;
    }
}

static void message(FILE *out, const ProtobufCMessage *m)
{
    const char *space = "";
    unsigned i;
    size_t j;

    fputc('{', out);
    for (i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const char *at = (const char *)m + f->offset;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);

            for (j = 0; j < n; j++) {
                fprintf(out, "%s%s=", space, f->name);
                value(out, f, *(char *const *)at + j * size_of(f));
                space = " ";
            }
        } else if (is_set(m, f, at)) {
            fprintf(out, "%s%s=", space, f->name);
            value(out, f, at);
            space = " ";
        }
    }
    fputc('}', out);
}

static int by_id(const void *a, const void *b)
{
    const struct agw_resource *const *x = a, *const *y = b;
    return agw_str_cmp((*x)->id, (*y)->id);
}

static void resource(FILE *out, const struct agw_resource *r)
{
    char text[AGW_ADDR_TEXT];
    struct agw_arena arena;
    uint32_t i;

    fprintf(out, "%.*s", AGW_STRF(r->id));
    for (i = 0; i < r->side.addr_count; i++) {
        agw_addr_format_ip(&r->side.addrs[i], text);
        fprintf(out, " @%s", text);
    }
    if (r->side.created_ns && r->side.created_ns != INT64_MAX)
        fprintf(out, " created=%llu", (unsigned long long)(r->side.created_ns / 1000000000u));
    fputc(' ', out);
    agw_arena_init(&arena, 4096, 0);
    message(out, agw_resource_message(r, &arena));
    agw_arena_free(&arena);
    fputc('\n', out);
}

char *dump_set(const struct agw_resource_set *set)
{
    const struct agw_resource **all = calloc(set->by_id.count + 1, sizeof(const struct agw_resource *));
    struct agw_map_slot *slot;
    uint32_t cursor = 0, n = 0, i;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    while (all && out && (slot = agw_map_next(&set->by_id, &cursor)))
        all[n++] = slot->value;
    if (all && out) {
        qsort(all, n, sizeof(const struct agw_resource *), by_id);
        for (i = 0; i < n; i++)
            resource(out, all[i]);
        fclose(out);
    }
    free(all);
    return text;
}
