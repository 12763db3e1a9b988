/* A request head, whole and cut in two: never a crash, and the same verdict. What is accepted is written and
 * parsed again with the same framing. */
#include <stdlib.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1.h"

static const struct agw_h1_limits limits = {.head = 4096, .target = 512, .headers = 16};

struct result {
    struct agw_arena arena;
    struct agw_msg msg;
    struct agw_h1_head head;
    int r;
};

static void parse(struct result *x, const uint8_t *p, size_t cut, size_t n)
{
    agw_arena_init(&x->arena, 256, 0);
    agw_msg_init(&x->msg, &x->arena);
    agw_h1_head_init(&x->head, &limits);
    x->r = cut < n ? agw_h1_parse_request(&x->head, p, cut, &x->msg) : AGW_EAGAIN;
    if (x->r == AGW_EAGAIN)
        x->r = agw_h1_parse_request(&x->head, p, n, &x->msg);
}

/* Written out and read back: the next hop must see one request with the same framing. */
static void check_again(const struct agw_msg *msg, enum agw_h1_framing framing)
{
    struct agw_block_pool pool;
    struct agw_chain out;
    struct result again;
    enum agw_h1_framing written;

    agw_block_pool_init(&pool, 0);
    agw_chain_init(&out);
    agw_check(agw_h1_write_request(&out, &pool, msg, false, true, &written) == 0);
    agw_check(out.count == 1 && (written == framing || msg->method == AGW_METHOD_CONNECT));
    if (msg->authority.n) { /* else there is no Host to send, which 1.1 wants */
        parse(&again, agw_chain_at(&out, 0)->p, SIZE_MAX, out.bytes);
        agw_check(again.r == 0 || again.r == AGW_ELIMIT);
        agw_check(again.r || (again.head.used == out.bytes && again.msg.length == msg->length &&
                              again.msg.headers.n == msg->headers.n));
        agw_arena_free(&again.arena);
    }
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, parts;
    size_t cut = size ? data[size / 2] % (size + 1) : 0;

    parse(&whole, data, SIZE_MAX, size);
    parse(&parts, data, cut, size);
    agw_check((whole.r == 0) == (parts.r == 0));
    agw_check(whole.r || whole.head.used == parts.head.used);
    agw_check(whole.r == 0 || whole.r == AGW_EAGAIN || (whole.head.status >= 400 && whole.head.reason));
    if (whole.r == 0) {
        agw_check(whole.head.used <= size && whole.msg.headers.n == parts.msg.headers.n);
        check_again(&whole.msg, whole.head.framing);
    }
    agw_arena_free(&whole.arena);
    agw_arena_free(&parts.arena);
    return 0;
}
