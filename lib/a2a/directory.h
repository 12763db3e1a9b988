/* The cards of agents, fetched and kept for a while: what routes with several agents know of each.
 *
 * One directory a worker. A card is asked for the first time that somebody needs it, and again, in the
 * background, when it is too old: as the agent's Cache-Control says, else after AGW_A2A_CARD_MS. The old one
 * serves until a new one is here. Ownership: entries are the directory's; a document is valid until the next
 * turn of the loop. Threads: the loop's own. Errors: what cannot be fetched is unknown. */
#ifndef AGW_A2A_DIRECTORY_H
#define AGW_A2A_DIRECTORY_H

#include "base/list.h"
#include "client/client.h"
#include "json/tape.h"

#define AGW_A2A_CARD_MS 60000         /* a card is fresh for, if the agent does not say */
#define AGW_A2A_CARD_MS_MIN 5000      /* also before a failure is tried again */
#define AGW_A2A_CARD_MS_MAX 3600000   /* whatever the agent says */
#define AGW_A2A_CARD_FETCH_MS 2000    /* for one fetch: a call waits for the first */
#define AGW_A2A_CARD_MAX (256u << 10) /* bytes: hundreds of skills */
#define AGW_A2A_CARDS_MAX 1024        /* kept by a worker; the one not used for longest gives way */

struct agw_a2a_directory;

enum agw_a2a_known { AGW_A2A_CARD_UNKNOWN, AGW_A2A_CARD_COMING, AGW_A2A_CARD_HERE };

/* Who waits for cards that are coming: told when a fetch, anybody's, has ended. */
struct agw_a2a_waiter {
    struct agw_list node;
    void (*ready)(struct agw_a2a_waiter *w); /* it waits no longer */
};

struct agw_a2a_directory *agw_a2a_directory_new(struct agw_loop *loop,
                                                struct agw_client *client); /* NULL: no memory */
/* Before the client is freed. NULL is fine. */
void agw_a2a_directory_free(struct agw_a2a_directory *d);
/* The card of the agent |key| (a backend's), which is asked at |endpoint|. *ret_card is set if it is HERE. */
enum agw_a2a_known agw_a2a_directory_get(struct agw_a2a_directory *d, struct agw_str key,
                                         const struct agw_endpoint *endpoint,
                                         const struct agw_json_doc **ret_card);
void agw_a2a_directory_wait(struct agw_a2a_directory *d, struct agw_a2a_waiter *w);
/* Harmless when it does not wait; |w| is zeroed memory or has waited. */
void agw_a2a_directory_leave(struct agw_a2a_waiter *w);

#endif
