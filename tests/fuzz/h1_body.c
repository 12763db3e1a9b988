/* A chunked body in pieces whose sizes the first byte picks: the same data, trailers and verdict as in one
 * piece. */
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1.h"

struct result {
    struct agw_arena arena;
    uint8_t *data;
    size_t n, used;
    uint32_t trailers;
    int r;
};

static void read_body(struct result *x, const uint8_t *p, size_t n, size_t step)
{
    struct agw_h1_head head = {.framing = AGW_H1_CHUNKED};
    struct agw_h1_body body;
    size_t used, at, length, piece;

    agw_arena_init(&x->arena, 256, 0);
    agw_h1_body_init(&body, &head, AGW_LENGTH_UNKNOWN, &x->arena);
    x->data = malloc(n + 1);
    x->n = x->used = 0;
    do {
        piece = n - x->used < step ? n - x->used : step;
        x->r = agw_h1_body_next(&body, p + x->used, piece, &used, &at, &length);
        if (x->r < 0)
            break;
        agw_check(used <= piece);
        if (x->r == AGW_H1_DATA) {
            agw_check(length && at + length == used);
            memcpy(x->data + x->n, p + x->used + at, length);
            x->n += length;
        }
        x->used += used;
    } while (x->r != AGW_H1_END && x->used < n);
    if (x->r == AGW_H1_DATA)
        x->r = AGW_H1_MORE; /* a last run: nothing behind it */
    x->trailers = body.trailers ? body.trailers->n : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, parts;

    if (size == 0)
        return 0;
    read_body(&whole, data + 1, size - 1, SIZE_MAX);
    read_body(&parts, data + 1, size - 1, 1 + data[0] % 32);
    agw_check(whole.r == parts.r);
    if (whole.r >= 0) {
        agw_check(whole.n == parts.n && whole.used == parts.used && whole.trailers == parts.trailers);
        agw_check(memcmp(whole.data, parts.data, whole.n) == 0);
    }
    free(whole.data);
    free(parts.data);
    agw_arena_free(&whole.arena);
    agw_arena_free(&parts.arena);
    return 0;
}
