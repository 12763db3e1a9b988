/* What a client hands back and had from us: session ids, as they come and with any bytes inside an authentic
 * seal, cursors and event ids. What is accepted must come out the same once more. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "mcp/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b-c", 3}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};
static const struct agw_backend backend = {.key = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &two};
static struct agw_seal *key;
static char context[64];

static bool same(struct agw_str a, struct agw_str b)
{
    return (a.p == NULL) == (b.p == NULL) && agw_str_eq(a, b);
}

/* Seals |s|, opens it, and wants the same. */
static struct agw_str round_trip(const struct agw_mcp_session *s, struct agw_arena *arena)
{
    struct agw_mcp_session got;
    struct agw_str id = {0};
    int rc = agw_mcp_session_seal(key, &backend, s, arena, &id);
    if (rc == AGW_ELIMIT)
        return id;
    agw_check(rc == 0 && agw_mcp_session_open(key, &backend, id, arena, &got) == 0);
    agw_check(got.version == s->version && got.issued_s == s->issued_s && got.count == 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct agw_mcp_peer *want = &s->peers[i], *peer = &got.peers[i];
        agw_check(peer->present == want->present);
        agw_check(!want->present || (peer->caps == want->caps && peer->pin == want->pin &&
                                     peer->version == want->version && agw_str_eq(peer->sid, want->sid)));
    }
    return id;
}

/* The context as session.c has it: that an id of its own opens with it is checked, so it cannot go stale. */
static void begin(void)
{
    static const char names[] = "a\nb-c\n";
    struct agw_mcp_peer peers[2] = {{.present = true, .version = AGW_MCP_2025_11_25}, {.present = false}};
    struct agw_mcp_session s = {.version = AGW_MCP_2025_11_25, .peers = peers, .count = 2};
    struct agw_arena arena;
    unsigned char plain[AGW_MCP_SESSION_MAX];
    uint64_t h = 14695981039346656037u;
    size_t n;
    for (const char *p = names; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    snprintf(context, sizeof context, "mcp ns/tools 2 %016llx", (unsigned long long)h);
    agw_check((key = agw_seal_new(agw_str(NULL, 0), NULL)));
    agw_arena_init(&arena, 4096, 0);
    struct agw_str id = round_trip(&s, &arena);
    agw_check(agw_seal_open(key, id, agw_str_c(context), plain, sizeof plain, &n) == 0);
    agw_arena_free(&arena);
}

static void open_id(struct agw_str id, struct agw_arena *arena)
{
    struct agw_mcp_session s;
    if (agw_mcp_session_open(key, &backend, id, arena, &s) == 0)
        round_trip(&s, arena);
}

static void sealed(struct agw_str plain, struct agw_arena *arena)
{
    size_t n;
    if (AGW_SEAL_SIZE(plain.n) > AGW_MCP_SESSION_MAX)
        return;
    char *text = agw_arena_alloc(arena, AGW_SEAL_SIZE(plain.n));
    agw_check(text && agw_seal_close(key, plain, agw_str_c(context), text, &n) == 0);
    open_id(agw_str(text, n), arena);
}

/* A session with ids of the targets' own that are any bytes. */
static void foreign_ids(struct agw_str in, struct agw_arena *arena)
{
    size_t half = in.n / 2;
    struct agw_mcp_peer peers[2] = {
        {.present = true, .caps = 31, .version = AGW_MCP_2024_11_05, .sid = agw_str(in.p, half)},
        {.present = true, .version = AGW_MCP_2025_06_18, .sid = agw_str_from(in, half), .pin = in.n}};
    struct agw_mcp_session s = {AGW_MCP_2025_03_26, in.n, peers, 2};
    round_trip(&s, arena);
}

static void cursor(struct agw_str text, struct agw_arena *arena)
{
    struct agw_mcp_cursor c, again;
    if (agw_mcp_cursor_decode(text, &two, arena, &c) != 0)
        return;
    agw_check(c.count == 2);
    struct agw_str back;
    agw_check(agw_mcp_cursor_encode(&c, &two, arena, &back) == 0);
    if (back.n == 0)
        return;
    agw_check(agw_mcp_cursor_decode(back, &two, arena, &again) == 0);
    agw_check(same(c.at[0], again.at[0]) && same(c.at[1], again.at[1]));
}

/* Cursors of the targets' own that are any bytes. */
static void foreign_cursors(struct agw_str in, struct agw_arena *arena)
{
    struct agw_mcp_cursor c, again;
    agw_check(agw_mcp_cursor_init(&c, &two, arena) == 0);
    c.at[in.n % 2] = in;
    struct agw_str text;
    if (agw_mcp_cursor_encode(&c, &two, arena, &text) != 0 || text.n == 0)
        return;
    agw_check(agw_mcp_cursor_decode(text, &two, arena, &again) == 0);
    agw_check(same(c.at[0], again.at[0]) && same(c.at[1], again.at[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str in = agw_str((const char *)data, size), id;
    struct agw_arena arena;
    uint32_t target;
    bool get_stream;
    if (!key)
        begin();
    agw_arena_init(&arena, 4096, 0);
    open_id(in, &arena);
    sealed(in, &arena);
    foreign_ids(in, &arena);
    cursor(in, &arena);
    foreign_cursors(in, &arena);
    if (agw_mcp_event_id(in, two.count, &target, &get_stream, &id))
        agw_check(target < two.count && id.n < in.n);
    agw_arena_free(&arena);
    return 0;
}
