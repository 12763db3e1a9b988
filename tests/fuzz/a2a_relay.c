/* Any bytes as a client's request, as an agent's JSON answer and as its event stream: nothing is read past
 * the end, and a stream brings the same events however it is cut. */
#include "a2a/relay.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agw_siv *key;
static struct agw_block_pool pool;
static const struct agw_a2a_owner owner = {7, 9};

static void check_request(struct agw_str text, enum agw_a2a_method method)
{
    struct agw_a2a_call call = {.binding = AGW_A2A_JSONRPC, .method = method};
    struct agw_a2a_claim claim = {.by = AGW_A2A_CLAIM_NONE};
    struct agw_a2a_need need = {0};
    struct agw_a2a_relay r;
    struct agw_arena arena;
    struct agw_chain body;

    agw_chain_init(&body);
    agw_arena_init(&arena, 1024, 0);
    agw_a2a_relay_init(&r, key, &pool);
    agw_check(agw_chain_copy(&body, &pool, text.p, text.n) == 0);
    agw_check(agw_a2a_relay_request(&r, &call, &body, &arena, &claim, &need) == 0);
    agw_check(need.mode_count <= AGW_A2A_MODES_MAX);
    agw_check(claim.by >= AGW_A2A_CLAIM_NONE && claim.by <= AGW_A2A_CLAIM_TASK);
    agw_chain_clear(&body);
    agw_a2a_relay_free(&r);
    agw_arena_free(&arena);
}

static void check_answer(struct agw_str text, bool jsonrpc)
{
    struct agw_a2a_relay r;
    struct agw_chain body;

    agw_chain_init(&body);
    agw_a2a_relay_init(&r, key, &pool);
    agw_a2a_relay_answer(&r, &owner, jsonrpc);
    agw_check(agw_chain_copy(&body, &pool, text.p, text.n) == 0);
    agw_check(agw_a2a_relay_json(&r, &body) == 0);
    agw_check(body.bytes >= text.n || text.n == 0); /* ids only grow on their way down */
    agw_chain_clear(&body);
    agw_a2a_relay_free(&r);
}

/* The events that come out when |text| comes in pieces of |step| bytes: a hash of them, and their number. */
static uint64_t stream(struct agw_str text, size_t step, unsigned *ret_count)
{
    uint64_t hash = 14695981039346656037u;
    struct agw_a2a_relay r;
    struct agw_sse out;
    struct agw_sse_event e;

    *ret_count = 0;
    agw_sse_init(&out, NULL);
    agw_a2a_relay_init(&r, key, &pool);
    agw_a2a_relay_answer(&r, &owner, true);
    for (size_t at = 0; at < text.n; at += step) {
        struct agw_chain data;
        size_t n = text.n - at < step ? text.n - at : step, used;
        agw_chain_init(&data);
        agw_check(agw_chain_copy(&data, &pool, text.p + at, n) == 0);
        agw_check(agw_a2a_relay_events(&r, &data) == 0);
        for (uint32_t i = 0; i < data.count; i++) {
            const struct agw_slice *s = agw_chain_at(&data, i);
            for (size_t done = 0; agw_sse_next(&out, s->p + done, s->n - done, &used, &e) == AGW_SSE_EVENT;
                 done += used) {
                ++*ret_count;
                for (size_t k = 0; k < e.data.n; k++)
                    hash = (hash ^ (unsigned char)e.data.p[k]) * 1099511628211u;
            }
        }
        agw_chain_clear(&data);
    }
    agw_a2a_relay_free(&r);
    agw_sse_free(&out);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char secret[32] = "a key of the fuzzer's: 32 bytes";
    unsigned whole, pieces;

    if (!key) {
        agw_block_pool_init(&pool, 4);
        key = agw_siv_new(secret, AGW_STR(AGW_A2A_PURPOSE));
    }
    if (!key || size < 1)
        return 0;
    struct agw_str text = agw_str((const char *)data + 1, size - 1);
    check_request(text, (enum agw_a2a_method)(data[0] % (AGW_A2A_GET_EXTENDED_CARD + 1)));
    check_answer(text, data[0] & 1);
    uint64_t hash = stream(text, size, &whole);
    agw_check(stream(text, 1 + data[0] % 9u, &pieces) == hash && whole == pieces);
    return 0;
}
