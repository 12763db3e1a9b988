/* Responses of a control plane that may send anything: any bytes, one response after the other. Each is
 * preceded by two bytes of length, so that the fuzzer can make a stream of them. */
#include <stdlib.h>
#include "base/check.h"
#include "xds/delta/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Refuses what has an odd length: both roads of an answer. */
static int apply(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *a)
{
    for (size_t i = 0; i < u->item_count; i++)
        if (u->items[i].body.n % 2)
            agw_delta_answer_error(a, u->items[i].name, u->items[i].body);
    (void)ctx;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agw_delta_node node = {.ns = "ns", .gateway = "gw"};
    struct agw_delta_client *c = agw_delta_client_new(&node);
    agw_check(c);
    while (size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        struct agw_arena arena;
        struct agw_error err = {0};
        struct agw_str request = {0};
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        agw_arena_init(&arena, 256, 16u << 20);
        int code =
            agw_delta_client_receive(c, agw_str((const char *)data, n), apply, NULL, &arena, &request, &err);
        agw_check(code <= 0 && (code != 0 || request.n > 0));
        if (!code)
            agw_check(agw_delta_client_subscribe(c, AGW_DELTA_RESOURCE, &arena, &request) <= 0);
        agw_arena_free(&arena);
        data += n;
        size -= n;
    }
    agw_delta_client_free(c);
    return 0;
}
