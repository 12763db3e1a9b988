/* Copies of requests to other backends, whose answers nobody hears.
 *
 * A mirror has its own copy of the head and shares the body's blocks. It never makes the exchange wait: one
 * that cannot keep up, or that is one too many, is dropped and counted. Ownership: a mirror is the worker's
 * struct agw_mirrors'; whoever started it may feed it until agw_mirror_end or agw_mirror_drop, and hears by
 * its node that it is gone. Threads: the loop's own. Errors: none that anybody needs to handle. */
#ifndef AGW_PROXY_FORWARD_MIRROR_H
#define AGW_PROXY_FORWARD_MIRROR_H

#include "base/list.h"
#include "client/client.h"

/* Body bytes that wait to be sent: a few round trips' worth. A mirror that has more is dropped. */
#define AGW_MIRROR_PENDING (256u << 10)
/* From its start to the end of its answer; it is dropped then. */
#define AGW_MIRROR_MS 30000
/* At once in a worker: a backend that takes requests and does not answer must not fill the memory. */
#define AGW_MIRRORS_MAX 1024

struct agw_mirrors {
    struct agw_loop *loop;
    struct agw_client *client;
    struct agw_list all;
    uint32_t count;
    uint64_t started, dropped;
};

struct agw_mirror;

void agw_mirrors_init(struct agw_mirrors *m, struct agw_loop *loop, struct agw_client *client);
/* Before the client is freed. */
void agw_mirrors_free(struct agw_mirrors *m);

/* A copy of |head| that may be changed before it is sent, in the mirror's own arena. NULL: no memory, or too
 * many. */
struct agw_mirror *agw_mirror_new(struct agw_mirrors *m, const struct agw_msg *head);
struct agw_msg *agw_mirror_head(struct agw_mirror *m);
/* Sends the head to |to|. Unless |end|, body follows and the mirror is on |feeders|. */
void agw_mirror_send(struct agw_mirror *m, const struct agw_endpoint *to, bool end, struct agw_list *feeders);
/* To all of |feeders|. |data| is unchanged. */
void agw_mirrors_body(struct agw_list *feeders, const struct agw_chain *data);
void agw_mirrors_end(struct agw_list *feeders);
/* The request broke off. */
void agw_mirrors_abandon(struct agw_list *feeders);
/* Instead of agw_mirror_send. */
void agw_mirror_drop(struct agw_mirror *m);

#endif
