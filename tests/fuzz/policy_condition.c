/* Conditions with anything in them: they are refused, or they have an answer for any caller. */
#include "base/check.h"
#include "json/tape.h"
#include "policy/auth/condition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agw_mcp_access access = {AGW_MCP_TOOL, {"read", 4}, {"files", 5}, {"tools/call", 10}};
    const struct agw_condition *c;
    struct agw_error err = {0};
    struct agw_json_doc claims;
    struct agw_msg req;
    struct agw_arena arena;

    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&claims, 0);
    agw_msg_init(&req, &arena);
    agw_check(!agw_headers_add(&req.headers, AGW_HDR_OTHER, AGW_STR("x"), AGW_STR("y")));
    agw_check(!agw_json_parse(&claims, AGW_STR("{\"sub\":\"a\\u0062\",\"groups\":[\"c\",1]}"), NULL));
    int rc = agw_condition_parse(agw_str((const char *)data, size), &arena, &c, &err);
    agw_check(rc == 0 || ((rc == AGW_EINVAL || rc == AGW_ELIMIT) && *err.text));
    if (rc == 0) {
        const struct agw_caller known = {&req, &claims}, unknown = {&req, NULL};
        agw_check(agw_condition_holds(c, &known, &access) != AGW_RULE_FAILED);
        agw_check(agw_condition_holds(c, &unknown, &access) != AGW_RULE_FAILED);
    }
    agw_json_doc_free(&claims);
    agw_arena_free(&arena);
    return 0;
}
