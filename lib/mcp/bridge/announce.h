/* What servers announce, and how clients say what they want to hear: of old by a session's GET stream and
 * resources/subscribe, in 2026-07-28 by the filter of subscriptions/listen.
 *
 * Pure: documents in, messages out. Threads: one at a time. */
#ifndef AGW_MCP_BRIDGE_ANNOUNCE_H
#define AGW_MCP_BRIDGE_ANNOUNCE_H

#include "json/tape.h"
#include "json/writer.h"

/* Lists as AGW_MCP_CAP_* has them, and single resources. */
enum {
    AGW_MCP_HEARS_TOOLS = 1,
    AGW_MCP_HEARS_PROMPTS = 2,
    AGW_MCP_HEARS_RESOURCES = 4,
    AGW_MCP_HEARS_UPDATES = 8
};
#define AGW_MCP_HEARS_LISTS 7

struct agw_mcp_uri {
    struct agw_str text;
    bool accepted; /* the server has agreed to tell of it */
};

/* Which of them |method| announces; 0: none. */
uint8_t agw_mcp_hears_of(struct agw_str method);
/* The lists that a filter (a token; 0: there is none) wants; those and UPDATES that |capabilities| promise.
 */
uint8_t agw_mcp_hears_filter(const struct agw_json_doc *doc, uint32_t filter);
uint8_t agw_mcp_hears_promised(const struct agw_json_doc *doc, uint32_t capabilities);

/* Whether who hears of |lists| and |uris| (those accepted) hears of |bit|, about |uri| if it is UPDATES:
 * sub-resources of what was subscribed to are announced as well. */
bool agw_mcp_hears_about(uint8_t lists, const struct agw_mcp_uri *uris, uint32_t count, uint8_t bit,
                         struct agw_str uri);

/* Each writes one message. |id| and |uri| are JSON; |id| empty: to a client of old. |bit|: one of the above.
 * The writer's error. */
int agw_mcp_write_announcement(uint8_t bit, struct agw_str id, struct agw_str uri, struct agw_json_writer *w);
/* Of |uris| those that are accepted. */
int agw_mcp_write_acknowledged(struct agw_str id, uint8_t lists, const struct agw_mcp_uri *uris,
                               uint32_t count, struct agw_json_writer *w);
/* The end in good order of a subscriptions/listen. */
int agw_mcp_write_listened(struct agw_str id, struct agw_json_writer *w);
/* subscriptions/listen with id 0 for |client|, as agw_mcp_client_read gives it. */
int agw_mcp_write_listen(struct agw_str client, uint8_t lists, const struct agw_mcp_uri *uris, uint32_t count,
                         struct agw_json_writer *w);

#endif
