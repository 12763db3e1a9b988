/* What an answer says about the endpoint that gave it: the condition of the wire's Health policy when it
 * names none. A status from 500 on, a grpc-status other than 0 and a connection that failed are bad.
 *
 * Pure functions. Threads: any. */
#ifndef AGW_BALANCE_JUDGE_H
#define AGW_BALANCE_JUDGE_H

#include "base/err.h"
#include "http/msg.h"

enum agw_judgement {
    AGW_JUDGED_NOT, /* says nothing (yet) */
    AGW_JUDGED_GOOD,
    AGW_JUDGED_BAD
};

/* A final head; |end|: nothing follows. AGW_JUDGED_NOT: a gRPC answer, whose trailers will tell. */
enum agw_judgement agw_judge_head(const struct agw_msg *resp, bool end);
/* The end of an answer that agw_judge_head left open; |trailers| may be NULL. */
enum agw_judgement agw_judge_trailers(const struct agw_headers *trailers);
/* A stream that broke. AGW_JUDGED_NOT: for a reason of ours or the client's. */
enum agw_judgement agw_judge_close(int code);

#endif
