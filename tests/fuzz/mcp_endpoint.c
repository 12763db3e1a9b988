/* Any bytes as an `endpoint` event: what is accepted is a path on the same origin, whatever stood there. */
#include "base/check.h"
#include "mcp/transport/sse_endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool holds(struct agw_str s, char c)
{
    return agw_str_find(s, c) >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_str path = {0}, again = {0};
    struct agw_str in = agw_str((const char *)data, size), http = AGW_STR("http"), host = AGW_STR("h:81");
    agw_arena_init(&arena, 1024, 0);
    if (agw_mcp_sse_endpoint(in, http, host, AGW_STR("/a/sse?q"), &arena, &path, NULL) == 0) {
        agw_check(path.n > 0 && path.p[0] == '/');
        for (size_t i = 0; i < path.n; i++)
            agw_check((unsigned char)path.p[i] > 0x20 && (unsigned char)path.p[i] < 0x7f);
        agw_check(!holds(path, '#') && !holds(path, '\\'));
        /* Resolving what came out changes nothing, unless it reads as another authority. */
        if (!agw_str_starts(path, AGW_STR("//")) && path.n <= AGW_MCP_SSE_ENDPOINT_MAX) {
            agw_check(agw_mcp_sse_endpoint(path, http, host, AGW_STR("/x"), &arena, &again, NULL) == 0);
            agw_check(agw_str_eq(path, again));
        }
    }
    agw_arena_free(&arena);
    return 0;
}
