/* Mail between the workers of a process: how a request reaches a session that another worker keeps.
 *
 * A session over HTTP+SSE or with a process of its own has one long-lived stream, which is read on one
 * worker: its owner. A client's next request may come in on any other; it goes to the owner as a letter and
 * its answer comes back as another. Nobody shares memory: a mail belongs to whoever holds it. Ownership: the
 * hub outlives the loops of all who have joined it; a mail is its receiver's. Threads: made and freed where
 * no worker runs; agw_mcp_hub_send on any worker. */
#ifndef AGW_MCP_HUB_H
#define AGW_MCP_HUB_H

#include "event/loop.h"

struct agw_mcp_hub;
struct agw_mcp_transports;
struct agw_mcp_supervisor;

struct agw_mcp_mail {
    struct agw_post post; /* first */
    /* On the receiver's thread; |t| is NULL if its transports are gone, also from the thread that frees its
     * loop. Takes the mail. */
    void (*deliver)(struct agw_mcp_transports *t, struct agw_mcp_mail *m);
    struct agw_mcp_hub *hub;
    unsigned to;
};

/* For |workers| loops of index 0 and up. NULL: no memory. */
struct agw_mcp_hub *agw_mcp_hub_new(unsigned workers);
/* For one loop, whatever its index: it may be freed while mail is under way. */
struct agw_mcp_hub *agw_mcp_hub_new_alone(const struct agw_loop *loop);
void agw_mcp_hub_free(struct agw_mcp_hub *h); /* NULL is fine */
/* From now on mail for loop->index comes to |t| (NULL: to nobody, and is dropped). The loop's own thread, or
 * before it runs. */
void agw_mcp_hub_seat(struct agw_mcp_hub *h, struct agw_loop *loop, struct agw_mcp_transports *t);
/* Mail to oneself comes too, later in the turn or in the next. */
void agw_mcp_hub_send(struct agw_mcp_hub *h, unsigned to, struct agw_mcp_mail *m);
/* Who starts processes (mcp/transport/supervisor.h); not owned, NULL: nobody. Set before workers run. */
void agw_mcp_hub_supervise(struct agw_mcp_hub *h, struct agw_mcp_supervisor *s);
struct agw_mcp_supervisor *agw_mcp_hub_supervisor(const struct agw_mcp_hub *h);
/* Whether there is such a worker. */
bool agw_mcp_hub_has(const struct agw_mcp_hub *h, unsigned worker);
/* Random, another for each process: tells our sessions from those of other replicas, and of the time before a
 * restart. */
uint32_t agw_mcp_hub_mark(const struct agw_mcp_hub *h);

/* News that every worker must know at its next look, counted by subject; subjects may share a count, which
 * then says "news" once too often. Mail would not do: it is read after the requests that came with it, and
 * one of them may have been caused by the news. Memory that workers share and write, in breach of the rule,
 * but by one store when something changes and one load to see it. Any thread; what was told is seen by
 * whoever looks after the teller has gone on. */
#define AGW_MCP_HUB_COUNTS 65536 /* 256 KiB, for some thousand sessions */
void agw_mcp_hub_tell(struct agw_mcp_hub *h, uint64_t subject);
uint32_t agw_mcp_hub_told(const struct agw_mcp_hub *h, uint64_t subject);

#endif
