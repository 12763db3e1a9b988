/* One call to an agent as it passes: what it asks (call.h) and what the bodies of both sides say (scan.h),
 * summed up for the access log and the metrics. Pure. Ownership: the caller's memory, as long as the
 * request's head. Threads: one at a time. Errors: none. */
#ifndef AGW_A2A_WATCH_H
#define AGW_A2A_WATCH_H

#include "a2a/scan.h"
#include "base/buf.h"

struct agw_a2a_watch {
    struct agw_a2a_call call;
    struct agw_a2a_scan request, answer;
};

struct agw_a2a_summary {
    struct agw_str method;        /* static: as the specification spells it, "other", or empty: no call */
    struct agw_str task, context; /* views into the watch and the request's head */
    enum agw_a2a_state state;     /* the last one that the agent told */
    int32_t error;                /* JSON-RPC error code of the agent; 0: none */
};

/* |req| as it goes to the agent. */
void agw_a2a_watch_init(struct agw_a2a_watch *w, const struct agw_msg *req);
void agw_a2a_watch_request(struct agw_a2a_watch *w, const struct agw_chain *data);
/* The agent's final head: its body follows. */
void agw_a2a_watch_head(struct agw_a2a_watch *w, const struct agw_msg *resp);
void agw_a2a_watch_answer(struct agw_a2a_watch *w, const struct agw_chain *data);
/* The call with its method, as far as it is known by now. */
struct agw_a2a_call agw_a2a_watch_call(const struct agw_a2a_watch *w);
/* True if the call is JSON-RPC's for the extended card: the result is a card. */
bool agw_a2a_watch_asks_card(const struct agw_a2a_watch *w);
struct agw_a2a_summary agw_a2a_watch_summary(const struct agw_a2a_watch *w);

#endif
