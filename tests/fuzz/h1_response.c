/* A response head for a request method picked by the first byte, whole and cut in two; what is accepted is
 * written for clients of both versions. */
#include <stdlib.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1.h"

static const enum agw_method methods[] = {AGW_METHOD_GET, AGW_METHOD_HEAD, AGW_METHOD_CONNECT,
                                          AGW_METHOD_POST};

static int parse(struct agw_h1_head *head, struct agw_msg *msg, struct agw_arena *arena, const uint8_t *p,
                 size_t cut, size_t n, enum agw_method to)
{
    int r = AGW_EAGAIN;

    agw_arena_init(arena, 256, 0);
    agw_msg_init(msg, arena);
    agw_h1_head_init(head, NULL);
    if (cut < n)
        r = agw_h1_parse_response(head, p, cut, to, msg);
    return r == AGW_EAGAIN ? agw_h1_parse_response(head, p, n, to, msg) : r;
}

static void check_write(const struct agw_msg *msg, enum agw_http_version version, enum agw_method to)
{
    struct agw_block_pool pool;
    struct agw_chain out;
    enum agw_h1_framing framing;

    agw_block_pool_init(&pool, 0);
    agw_chain_init(&out);
    agw_check(agw_h1_write_response(&out, &pool, msg, false, version, to, true, &framing) == 0);
    agw_check(out.bytes > 4 && framing <= AGW_H1_TUNNEL);
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena one, two;
    struct agw_msg whole, parts;
    struct agw_h1_head head, again;
    enum agw_method to;
    int r, s;

    if (size == 0)
        return 0;
    to = methods[data[0] % 4];
    data++;
    size--;
    r = parse(&head, &whole, &one, data, SIZE_MAX, size, to);
    s = parse(&again, &parts, &two, data, size ? data[size / 2] % (size + 1) : 0, size, to);
    agw_check((r == 0) == (s == 0));
    agw_check(r == 0 || r == AGW_EAGAIN || r == AGW_ENOMEM || (head.status == 502 && head.reason));
    if (r == 0) {
        agw_check(head.used == again.used && head.framing == again.framing && whole.length == parts.length);
        check_write(&whole, AGW_HTTP_11, to);
        check_write(&whole, AGW_HTTP_10, to);
    }
    agw_arena_free(&one);
    agw_arena_free(&two);
    return 0;
}
