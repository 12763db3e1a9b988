/* An event stream in pieces whose sizes the first byte picks: the same events as in one piece; what was read
 * is written and reads back the same. */
#include "base/check.h"
#include "base/err.h"
#include "http/sse.h"

static const struct agw_sse_limits limits = {.event = 256, .field = 32};

/* A hash of all that came, so that two ways can be compared. */
struct result {
    uint64_t sum;
    unsigned events;
    int r;
};

static void mix(struct result *x, struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++)
        x->sum = (x->sum ^ (unsigned char)s.p[i]) * 1099511628211u;
    x->sum = (x->sum ^ 256) * 1099511628211u;
}

static void check_again(const struct agw_sse_event *event)
{
    struct agw_block_pool pool;
    struct agw_chain out;
    struct agw_sse sse;
    struct agw_sse_event again;
    unsigned char text[2048];
    size_t n, used;

    agw_block_pool_init(&pool, 0);
    agw_chain_init(&out);
    agw_check(agw_sse_write(&out, &pool, event) == 0);
    n = agw_chain_peek(&out, text, sizeof(text));
    agw_sse_init(&sse, NULL);
    agw_check(agw_sse_next(&sse, text, n, &used, &again) == AGW_SSE_EVENT && used == n);
    agw_check(agw_str_eq(again.type, event->type) && agw_str_eq(again.data, event->data));
    agw_check(again.has_id == event->has_id && again.has_retry == event->has_retry);
    agw_sse_free(&sse);
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
}

static struct result read_stream(const uint8_t *p, size_t n, size_t step)
{
    struct result x = {0};
    struct agw_sse sse;
    struct agw_sse_event event;
    size_t done = 0, used;

    agw_sse_init(&sse, &limits);
    while (done < n && x.r >= 0) {
        size_t piece = n - done < step ? n - done : step;
        x.r = agw_sse_next(&sse, p + done, piece, &used, &event);
        if (x.r < 0)
            break;
        agw_check(used <= piece && (x.r == AGW_SSE_EVENT || used == piece));
        done += used;
        if (x.r != AGW_SSE_EVENT)
            continue;
        x.events++;
        mix(&x, event.type);
        mix(&x, event.data);
        mix(&x, event.id);
        x.sum += event.has_id + 2u * event.has_retry + 4u * event.retry_ms;
        check_again(&event);
    }
    agw_sse_free(&sse);
    return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, parts;

    if (size == 0)
        return 0;
    whole = read_stream(data + 1, size - 1, SIZE_MAX);
    parts = read_stream(data + 1, size - 1, 1 + data[0] % 32);
    agw_check(whole.events == parts.events && whole.sum == parts.sum);
    agw_check((whole.r < 0) == (parts.r < 0));
    return 0;
}
