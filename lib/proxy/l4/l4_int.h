/* Inside of the relay. */
#ifndef AGW_PROXY_L4_L4_INT_H
#define AGW_PROXY_L4_L4_INT_H

#include "balance/balancer.h"
#include "client/dial.h"
#include "net/pipe.h"
#include "proxy/l4/l4.h"

struct agw_l4 {
    struct agw_loop *loop;
    struct agw_client *client;
    struct agw_balancer *balancer;
    struct agw_metrics *metrics;
    struct agw_access_log *log;
    const struct agw_l4_limits *limits;
    struct agw_pipe_pool pipes;
    unsigned char scratch[AGW_L4_BUFFER]; /* all directions read into it in turn */
};

/* One direction. */
struct agw_l4_way {
    struct agw_conn *from, *to;
    struct agw_pipe *pipe; /* NULL: none is needed now */
    unsigned char *left;   /* what |to| did not take yet, |at| to |n|; NULL: nothing */
    size_t at, n;
    size_t burst; /* bytes since |from| was last read dry */
    bool bulk;    /* the last burst was worth a pipe */
    bool ended;   /* |from| sends no more */
    bool over;    /* and |to| was told, or takes no more */
    uint64_t bytes;
    struct agw_metric *counter;
};

struct agw_l4_session {
    struct agw_l4 *l4;
    struct agw_server_conn *c;
    struct agw_conn *up;       /* NULL: not connected yet */
    struct agw_pick pick;      /* counts as pending as long as it lasts */
    struct agw_l4_way in, out; /* from the client, to the client */
    struct agw_timer more;     /* a direction used up its share of a turn */
    uint64_t start_ns, start_wall_ns, moved_ms;
    bool connected;
    const char *result; /* label of the metric; set at the latest when it ends */
    char error[160];
    /* until it is connected */
    struct agw_snapshot *snap; /* pinned; NULL afterwards */
    const struct agw_backend *backend;
    struct agw_dial *dial; /* NULL: none is under way */
    unsigned tries;
    struct agw_timer connect;
    struct agw_task failed;
    /* copies, for metrics and log */
    struct agw_str listener, route, name, sni;
    const char *protocol;
    char text[];
};

/* --- dial.c --- */
/* Makes |s->up|, or ends in agw_l4_end: never from inside this call. */
void agw_l4_dial(struct agw_l4_session *s);
void agw_l4_dial_stop(struct agw_l4_session *s);

/* --- relay.c --- */
/* |s->up| is ready. */
void agw_l4_relay_start(struct agw_l4_session *s);
/* Moves what can be moved. The session may be gone afterwards. */
void agw_l4_relay(struct agw_l4_session *s);
void agw_l4_relay_stop(struct agw_l4_session *s);
extern const struct agw_conn_events agw_l4_down_events, agw_l4_up_events;

/* --- l4.c --- */
/* Closes both sides, with |reset| so that they see it was cut off, and frees |s|. */
void agw_l4_end(struct agw_l4_session *s, const char *result, bool reset);
/* Something moved: the idle time begins anew. */
static inline void agw_l4_moved(struct agw_l4_session *s)
{
    s->moved_ms = s->l4->loop->now_ms;
}

#endif
