/* An HTTP/2 session on a connection, either side: reads feed the session, what it has to say goes out in one
 * write at the end of the loop's turn. The server's and the client's connections each embed one.
 *
 * Ownership: the session is the link's from init on; |conn| belongs to the user. Threads: the loop's own. */
#ifndef AGW_CLIENT_H2_LINK_H
#define AGW_CLIENT_H2_LINK_H

#include "h2/h2.h"
#include "net/input.h"
#include "net/output.h"

struct agw_h2_link {
    struct agw_conn *conn;
    struct agw_h2 *h2;
    struct agw_input in;
    struct agw_output out;
    struct agw_task task; /* output at the end of the turn */
    bool reading_paused;  /* the peer makes work and reads nothing */
    bool over;
    uint64_t sent_before; /* out.sent at the last check for a stall */
    /* At the start of each turn's output: the user's own deferred work. May be NULL. */
    void (*on_turn)(struct agw_h2_link *l);
    /* The connection is over with |code| (0: orderly). The last thing a link does: the user frees it here. */
    void (*on_over)(struct agw_h2_link *l, int code);
};

/* Takes |h2| over; |in| (moved from, may be NULL) holds what was read already: it is looked at from a
 * deferred task. */
void agw_h2_link_init(struct agw_h2_link *l, struct agw_conn *conn, struct agw_h2 *h2, struct agw_input *in);
/* Ends the session (open streams get on_close(code)); does not close the connection. */
void agw_h2_link_free(struct agw_h2_link *l, int code);
/* The connection is readable / writable. May call on_over. */
void agw_h2_link_readable(struct agw_h2_link *l);
void agw_h2_link_writable(struct agw_h2_link *l);
/* The session may have something to send: after each call that writes. */
static inline void agw_h2_link_kick(struct agw_h2_link *l)
{
    agw_loop_defer(l->conn->loop, &l->task);
}
/* Call at the interval after which silence is a stall: expires stuck streams; AGW_ETIMEOUT when the peer took
 * nothing of what waits since the last call, or holds a field section open. */
int agw_h2_link_check(struct agw_h2_link *l);

#endif
