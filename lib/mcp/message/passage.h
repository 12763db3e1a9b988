/* A target's answer to tools/call or resources/read on its way to the client, as its bytes come: URIs get
 * their target's name, as in agw_mcp_edit_down, and nothing is kept of what is not in doubt. For answers that
 * are too large to be held; they are not checked to be JSON, and ids of tasks stay as they are: what makes a
 * task is small.
 *
 * In doubt is a URI until it is whole, and an item of `content` until its `type` is known: servers put that
 * first. Ownership: the passage owns what it holds. Threads: one. Errors: AGW_ENOMEM; AGW_ELIMIT when more
 * than AGW_MCP_HELD_MAX bytes are in doubt. */
#ifndef AGW_MCP_PASSAGE_H
#define AGW_MCP_PASSAGE_H

#include "base/buf.h"
#include "config/snapshot.h"

#define AGW_MCP_HELD_MAX (16u << 20) /* of an item whose type comes last: what a whole message may have */
#define AGW_MCP_PATH 5               /* depth of the deepest URI: {result {content [ {resource {uri */

enum agw_mcp_item { AGW_MCP_ITEM_UNKNOWN, AGW_MCP_ITEM_LINK, AGW_MCP_ITEM_EMBEDDED, AGW_MCP_ITEM_OTHER };

struct agw_mcp_passage {
    const struct agw_mcp_backend *backend;
    uint32_t target;
    bool reading; /* resources/read: every item has its URI */
    /* private: where in the text we are */
    unsigned depth;
    bool object[AGW_MCP_PATH + 1], path[AGW_MCP_PATH + 1]; /* by depth; path: on the way to a URI */
    unsigned char key[AGW_MCP_PATH + 1];
    bool key_next, in_string, escaped, is_key;
    int error;     /* memory ran out for a key */
    char text[96]; /* of a key or a type, escapes and all */
    unsigned text_n;
    /* private: the item in hand */
    enum agw_mcp_item kind;
    unsigned seen; /* keys of which the first one counts */
    bool done, holding, in_uri;
    size_t uri_at[2], uri_end[2]; /* in |held|: the item's own, its resource's; end 0: not seen */
    char *held;
    size_t held_n, held_cap;
};

/* |read|: of resources/read, else of tools/call. */
void agw_mcp_passage_init(struct agw_mcp_passage *p, const struct agw_mcp_backend *b, uint32_t target,
                          bool read);
void agw_mcp_passage_free(struct agw_mcp_passage *p);
/* Takes all of |in|; what is not in doubt goes to the end of |out|. */
int agw_mcp_passage_feed(struct agw_mcp_passage *p, struct agw_chain *in, struct agw_chain *out);
/* There is no more: the rest goes as it is. */
int agw_mcp_passage_end(struct agw_mcp_passage *p, struct agw_chain *out);

#endif
