#include "mcp/bridge/level.h"

#include "json/pointer.h"

static const struct agw_str levels[] = {{"debug", 5}, {"info", 4},     {"notice", 6}, {"warning", 7},
                                        {"error", 5}, {"critical", 8}, {"alert", 5},  {"emergency", 9}};
#define LEVELS (sizeof levels / sizeof levels[0])

struct agw_str agw_mcp_level_text(agw_mcp_level level)
{
    return levels[level - 1];
}

agw_mcp_level agw_mcp_level_of(const struct agw_json_doc *doc, uint32_t object, const char *name)
{
    uint32_t token = object ? agw_json_get(doc, object, agw_str_c(name)) : 0;
    for (size_t i = 0; token != 0 && agw_json_type(doc, token) == AGW_JSON_STRING && i < LEVELS; i++)
        if (agw_json_is(doc, token, levels[i]))
            return (agw_mcp_level)(i + 1);
    return 0;
}
