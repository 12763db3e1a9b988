#include "mcp/message/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "failmalloc.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct agw_mcp_target targets[] = {
    {.name = {"a", 1}}, {.name = {"b", 1}}, {.name = {"c", 1}}, {.name = {"d", 1}}};
static const struct agw_mcp_backend mcp = {.targets = targets, .count = 4};
static const struct agw_backend backend = {.key = {"ns/tools", 8}, .mcp = &mcp};
static struct agw_seal *key;
static struct agw_arena arena;

static struct agw_mcp_peer peers[] = {
    {true, AGW_MCP_CAP_TOOLS, AGW_MCP_2025_11_25, {"123e4567-e89b-12d3-a456-426614174000", 36}, 0},
    {true,
     AGW_MCP_CAP_PROMPTS | AGW_MCP_CAP_SUBSCRIBE,
     AGW_MCP_2025_03_26,
     {"token~!", 7},
     0x1122334455667788u},
    {false, 0, AGW_MCP_VERSION_NONE, {NULL, 0}, 0},
    {true, 0, AGW_MCP_2024_11_05, {"", 0}, 0},
};
static struct agw_mcp_session session = {AGW_MCP_2025_03_26, 1763950000, peers, 4};

static int setup(void **state)
{
    key = agw_seal_new(AGW_STR(KEY), NULL);
    agw_arena_init(&arena, 4096, 0);
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    agw_seal_free(key);
    agw_arena_free(&arena);
    return 0;
}

static struct agw_str sealed(void)
{
    struct agw_str id = {0};
    assert_int_equal(agw_mcp_session_seal(key, &backend, &session, &arena, &id), 0);
    return id;
}

static void round_trip(void **state)
{
    struct agw_mcp_session got;
    struct agw_str id = sealed();
    assert_true(id.n < 200);
    for (size_t i = 0; i < id.n; i++)
        assert_true(id.p[i] > 0x20 && id.p[i] < 0x7f);
    assert_int_equal(agw_mcp_session_open(key, &backend, id, &arena, &got), 0);
    assert_int_equal(got.version, session.version);
    assert_true(got.issued_s == session.issued_s);
    assert_int_equal(got.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(got.peers[i].present, peers[i].present);
        assert_int_equal(got.peers[i].caps, peers[i].caps);
        assert_int_equal(got.peers[i].version, peers[i].version);
        assert_true(agw_str_eq(got.peers[i].sid, peers[i].sid));
        assert_true(got.peers[i].pin == peers[i].pin);
    }
}

static void the_id_shows_nothing(void **state)
{
    struct agw_str id = sealed(), again = sealed();
    assert_int_equal(agw_str_search(id, AGW_STR("token")), -1);
    assert_int_equal(agw_str_search(id, AGW_STR("123e4567")), -1);
    assert_false(agw_str_eq(id, again));
}

static void another_process_with_the_key_serves_it(void **state)
{
    struct agw_mcp_session got;
    struct agw_seal *same = agw_seal_new(AGW_STR(KEY), NULL), *other = agw_seal_new(agw_str(NULL, 0), NULL);
    struct agw_str id = sealed();
    assert_int_equal(agw_mcp_session_open(same, &backend, id, &arena, &got), 0);
    assert_int_equal(agw_mcp_session_open(other, &backend, id, &arena, &got), AGW_ENOTFOUND);
    agw_seal_free(same);
    agw_seal_free(other);
}

static void it_is_bound_to_the_backend_and_its_targets(void **state)
{
    struct agw_mcp_target renamed[] = {targets[0], targets[1], {.name = {"x", 1}}, targets[3]};
    struct agw_mcp_target swapped[] = {targets[1], targets[0], targets[2], targets[3]};
    const struct agw_mcp_backend sets[] = {
        {.targets = renamed, .count = 4}, {.targets = swapped, .count = 4}, {.targets = targets, .count = 3}};
    struct agw_mcp_session got;
    struct agw_str id = sealed();
    for (size_t i = 0; i < 3; i++) {
        struct agw_backend b = {.key = backend.key, .mcp = &sets[i]};
        assert_int_equal(agw_mcp_session_open(key, &b, id, &arena, &got), AGW_ENOTFOUND);
    }
    struct agw_backend elsewhere = {.key = {"ns/other", 8}, .mcp = &mcp};
    assert_int_equal(agw_mcp_session_open(key, &elsewhere, id, &arena, &got), AGW_ENOTFOUND);
}

static void what_was_changed_is_unknown(void **state)
{
    struct agw_mcp_session got;
    char text[512];
    struct agw_str id = sealed();
    for (size_t i = 0; i < id.n; i++) {
        memcpy(text, id.p, id.n);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(agw_mcp_session_open(key, &backend, agw_str(text, id.n), &arena, &got),
                         AGW_ENOTFOUND);
        assert_int_equal(agw_mcp_session_open(key, &backend, agw_str(id.p, i), &arena, &got), AGW_ENOTFOUND);
    }
    static char huge[AGW_MCP_SESSION_MAX + 1];
    memset(huge, 'A', sizeof huge);
    assert_int_equal(agw_mcp_session_open(key, &backend, agw_str(huge, sizeof huge), &arena, &got),
                     AGW_ENOTFOUND);
}

static void the_id_stays_within_its_limit(void **state)
{
    static struct agw_mcp_target many_targets[128];
    static struct agw_mcp_peer many[128];
    static char sid[AGW_MCP_SID_MAX + 1];
    struct agw_str id;
    struct agw_mcp_backend set = {.targets = many_targets, .count = 128};
    struct agw_backend b = {.key = {"ns/many", 7}, .mcp = &set};
    struct agw_mcp_session s = {AGW_MCP_2025_06_18, 1, many, 128};
    memset(sid, 's', sizeof sid);
    for (int i = 0; i < 128; i++) {
        many_targets[i].name = AGW_STR("a-target");
        many[i] = peers[0];
        many[i].pin = 1;
    }
    assert_int_equal(agw_mcp_session_seal(key, &b, &s, &arena, &id), 0);
    for (int i = 0; i < 128; i++)
        many[i].sid = agw_str(sid, 40);
    assert_int_equal(agw_mcp_session_seal(key, &b, &s, &arena, &id), AGW_ELIMIT);
    struct agw_mcp_peer long_sid[4] = {{.present = true, .sid = {sid, sizeof sid}}};
    struct agw_mcp_session t = {AGW_MCP_2025_06_18, 1, long_sid, 4};
    assert_int_equal(agw_mcp_session_seal(key, &backend, &t, &arena, &id), AGW_ELIMIT);
}

/* Only what uuid text stands for exactly may be packed. */
static void odd_uuids_stay_as_they_are(void **state)
{
    static const char *const sids[] = {
        "123E4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400g",
        "123e4567ae89b-12d3-a456-4266141740000", "------------------------------------"};
    for (size_t i = 0; i < 4; i++) {
        struct agw_mcp_peer p[4] = {
            {.present = true, .version = AGW_MCP_2025_06_18, .sid = agw_str_c(sids[i])}};
        struct agw_mcp_session s = {AGW_MCP_2025_06_18, 1, p, 4}, got;
        struct agw_str id;
        assert_int_equal(agw_mcp_session_seal(key, &backend, &s, &arena, &id), 0);
        assert_int_equal(agw_mcp_session_open(key, &backend, id, &arena, &got), 0);
        assert_true(agw_str_eq(got.peers[0].sid, p[0].sid));
    }
}

static void versions(void **state)
{
    assert_int_equal(agw_mcp_version_parse(AGW_STR("2025-06-18")), AGW_MCP_2025_06_18);
    assert_int_equal(agw_mcp_version_parse(AGW_STR("2025-06-19")), AGW_MCP_VERSION_NONE);
    assert_int_equal(agw_mcp_version_parse(AGW_STR("")), AGW_MCP_VERSION_NONE);
    for (int v = AGW_MCP_2024_11_05; v <= AGW_MCP_MODERN; v++)
        assert_int_equal(agw_mcp_version_parse(agw_mcp_version_text((enum agw_mcp_version)v)), v);
    assert_true(AGW_MCP_2024_11_05 < AGW_MCP_LEGACY_NEWEST && AGW_MCP_LEGACY_NEWEST < AGW_MCP_MODERN);
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena a;
        struct agw_str id = {0};
        struct agw_mcp_session got;
        agw_arena_init(&a, 256, 0);
        failmalloc_at(n);
        int rc = agw_mcp_session_seal(key, &backend, &session, &a, &id);
        if (rc == 0)
            rc = agw_mcp_session_open(key, &backend, id, &a, &got);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&a);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(the_id_shows_nothing),
        cmocka_unit_test(another_process_with_the_key_serves_it),
        cmocka_unit_test(it_is_bound_to_the_backend_and_its_targets),
        cmocka_unit_test(what_was_changed_is_unknown),
        cmocka_unit_test(the_id_stays_within_its_limit),
        cmocka_unit_test(odd_uuids_stay_as_they_are),
        cmocka_unit_test(versions),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
