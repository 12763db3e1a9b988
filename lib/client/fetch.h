/* A small document from an endpoint: one GET, its body collected. Redirects are not followed.
 *
 * Ownership: the caller's memory, zeroed before agw_fetch_init; what came is in it until the next start.
 * Threads: the loop's own. Errors: by |done|, called exactly once for each start that succeeded, unless it is
 * canceled, and never from inside agw_fetch_start. */
#ifndef AGW_CLIENT_FETCH_H
#define AGW_CLIENT_FETCH_H

#include "client/client.h"
#include "http/msg.h"

struct agw_fetch {
    struct agw_loop *loop;
    struct agw_client *client;
    size_t max;  /* bytes of a body */
    uint32_t ms; /* for all of it */
    /* 0: |head| and |body| are the answer, of any status. AGW_ELIMIT: it is too large. AGW_ETIMEOUT, and what
     * the client says. The fetch may be started again, or freed. */
    void (*done)(struct agw_fetch *f, int code);

    const struct agw_msg *head;
    struct agw_chain body;
    struct agw_stream *stream; /* NULL: none under way */
    struct agw_timer deadline;
    struct agw_arena arena;
};

void agw_fetch_init(struct agw_fetch *f, struct agw_loop *loop, struct agw_client *client, size_t max,
                    uint32_t ms, void (*done)(struct agw_fetch *f, int code));
/* Without |done|. Harmless when none is under way. */
void agw_fetch_cancel(struct agw_fetch *f);
void agw_fetch_free(struct agw_fetch *f);
/* Asks |to| for |path| as JSON. None is under way. |authority|: empty: the endpoint's name or address, and
 * its port. Both texts are copied. AGW_ENOMEM. */
int agw_fetch_start(struct agw_fetch *f, const struct agw_endpoint *to, struct agw_str authority,
                    struct agw_str path);

static inline bool agw_fetch_running(const struct agw_fetch *f)
{
    return f->stream != NULL;
}

#endif
