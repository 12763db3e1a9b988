/* What a translation finds: texts for people, and conditions as an object's status would have them.
 *
 * Ownership: all of it lives in the report's arena. Threads: one at a time. */
#ifndef AGW_GWAPI_BASE_REPORT_H
#define AGW_GWAPI_BASE_REPORT_H

#include "gwapi/schema/report.h"

/* One condition as status reports it (Accepted, ResolvedRefs, Programmed, Conflicted). */
struct agw_gwapi_condition {
    struct agw_gwapi_condition *next;
    struct agw_str kind, ns, name; /* of the object */
    struct agw_str part;           /* a listener of a Gateway or a ListenerSet, else empty */
    int parent;                    /* a route's parentRef by index, else -1 */
    const char *type;
    bool status;
    const char *reason;     /* Gateway API's word */
    struct agw_str message; /* empty when all is well */
};

/* Routes attached to a listener of a Gateway or a ListenerSet; of a Gateway as a whole (|listener| is empty),
 * the ListenerSets, if there are any. */
struct agw_gwapi_attached {
    struct agw_gwapi_attached *next;
    struct agw_str kind, ns, name, listener;
    uint32_t count;
};

struct agw_gwapi_report {
    struct agw_report texts; /* for people; also the arena of all that follows */
    struct agw_gwapi_condition *first_condition, *last_condition;
    struct agw_gwapi_attached *attached;
    bool for_others; /* set it before: what comes out goes to gateways on other machines */
};

void agw_gwapi_report_init(struct agw_gwapi_report *report);
void agw_gwapi_report_free(struct agw_gwapi_report *report);

#endif
