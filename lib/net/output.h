/* Bytes to send on a connection: a chain that is written once at the end of the loop's turn, however many
 * pieces were added meanwhile, and again whenever the socket takes more. Ownership: the connection embeds
 * one; agw_output_free at its end. Threads: the loop's own. */
#ifndef AGW_NET_OUTPUT_H
#define AGW_NET_OUTPUT_H

#include "base/buf.h"
#include "net/conn.h"

struct agw_output {
    struct agw_chain chain;
    struct agw_conn *conn;
    struct agw_task flush;
    uint64_t sent; /* bytes given to the kernel so far */
    /* After a flush that sent something or failed (code negative). May close the connection and free this. */
    void (*on_flush)(struct agw_output *out, int code);
};

void agw_output_init(struct agw_output *out, struct agw_conn *conn,
                     void (*on_flush)(struct agw_output *out, int code));
void agw_output_free(struct agw_output *out);
/* Something was added to |chain|: flush at the end of the turn. */
static inline void agw_output_kick(struct agw_output *out)
{
    agw_loop_defer(out->conn->loop, &out->flush);
}
/* Writes as much as the socket takes. 0 when all is out, AGW_EAGAIN, or an error. Does not call on_flush. */
int agw_output_write(struct agw_output *out);

#endif
