#include "eras.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct agw_endpoint endpoints[] = {{.key = {"old", 3}, .host = {"h1", 2}, .port = 81},
                                          {.key = {"new", 3}, .host = {"h2", 2}, .port = 82}};
static const struct agw_endpoint *first[] = {&endpoints[0]}, *second[] = {&endpoints[1]};
static struct agw_backend places[] = {
    {.key = {"ns/old", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = first, .endpoint_count = 1},
    {.key = {"ns/new", 6}, .kind = AGW_BACKEND_STATIC, .endpoints = second, .endpoint_count = 1}};
struct agw_mcp_target targets[] = {{{"old", 3}, &places[0], {"/mcp", 4}, AGW_MCP_STREAMABLE_HTTP},
                                   {{"new", 3}, &places[1], {"/mcp", 4}, AGW_MCP_STREAMABLE_HTTP}};
struct agw_mcp_backend conf;
const struct agw_backend backend = {
    .key = {"ns/tools", 8}, .name = {"ns/tools", 8}, .kind = AGW_BACKEND_MCP, .mcp = &conf};
const unsigned char eras_key[32] = {1, 2, 3};

struct agw_mcp *mcp;
struct fake_down down;
char session[1024];

int eras_group_setup(void **state)
{
    return agw_loop_init(&fake_loop, 0);
}

int eras_group_teardown(void **state)
{
    agw_loop_free(&fake_loop);
    return 0;
}

bool begin_endpoint(void)
{
    mcp = agw_mcp_new(&fake_loop, NULL, NULL, eras_key);
    if (mcp)
        agw_mcp_bridge_eras(mcp);
    return mcp != NULL;
}

int eras_setup(void **state)
{
    fake_reset();
    conf = (struct agw_mcp_backend){.targets = targets, .count = 1};
    session[0] = 0;
    return begin_endpoint() ? 0 : -1;
}

int eras_teardown(void **state)
{
    fake_turn();
    assert_int_equal(agw_mcp_active(mcp), 0);
    agw_mcp_free(mcp);
    assert_int_equal(fake_loop.blocks.live, 0);
    return 0;
}

/* A client of 2026-07-28. */
void ask(const char *method, const char *name, const char *body)
{
    fake_reset();
    fake_down_init(&down);
    fake_header(&down, "mcp-protocol-version", "2026-07-28");
    fake_header(&down, "mcp-method", method);
    if (name)
        fake_header(&down, "mcp-name", name);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, NULL, body);
}

/* A client of old. */
void post(const char *body)
{
    fake_reset();
    fake_down_init(&down);
    fake_request(mcp, &down, &backend, AGW_METHOD_POST, session, body);
}

void finish(void)
{
    fake_turn();
    fake_close(&down, 0);
    fake_turn();
    assert_true(down.done);
    fake_down_free(&down);
}

void assert_has(const char *text)
{
    if (!strstr(down.body, text))
        fail_msg("%s is not in %s", text, down.body);
}

void pass_time(uint64_t ms)
{
    fake_loop.now_ms += ms;
    agw_timer_wheel_advance(&fake_loop.timers, fake_loop.now_ms);
}

/* The session begins: the |n|-th request is the probe unless the era is known. */
void open_session(unsigned n, const char *sid, const char *caps)
{
    char initialized[512];
    snprintf(initialized, sizeof initialized, INITIALIZED("%s"), caps);
    assert_int_equal(fake_up_count, n + 1);
    assert_non_null(strstr(fake_ups[n].body, "\"method\":\"initialize\""));
    assert_string_equal(fake_ups[n].rpc_method, "");
    assert_string_equal(fake_ups[n].version, "");
    fake_answer(&fake_ups[n], 200, JSON, sid, initialized, true);
    assert_int_equal(fake_up_count, n + 2);
    assert_non_null(strstr(fake_ups[n + 1].body, "notifications/initialized"));
    assert_string_equal(fake_ups[n + 1].session, sid);
    assert_string_equal(fake_ups[n + 1].version, "2025-11-25");
    fake_answer(&fake_ups[n + 1], 202, NULL, NULL, NULL, true);
}

void begin_call(void)
{
    fake_era(mcp, &backend, false);
    ask("tools/call", "t", CALL);
    open_session(0, "s1", "\"tools\":{}");
    assert_int_equal(fake_up_count, 3);
}

void fake_era(struct agw_mcp *m, const struct agw_backend *b, bool modern)
{
    struct agw_mcp_exchange *x = agw_mcp_exchange_new(m, b, NULL);
    assert_non_null(x);
    for (uint32_t i = 0; i < b->mcp->count; i++)
        agw_mcp_era_learn(x, i, true, modern ? AGW_MCP_YES : AGW_MCP_NO);
    agw_mcp_exchange_close(x, 0);
    fake_turn();
}
