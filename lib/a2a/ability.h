/* What a message asks of an agent, and whether an agent, by its card, can do it: for routes that lead to
 * several agents.
 *
 * Asked for: a skill ("skillId" or "skill" in the metadata of the request or its message), a tag ("tag"
 * there), a tenant, the media types of the parts, a stream, push notifications. Both versions of A2A. Pure.
 * Threads: one at a time. */
#ifndef AGW_A2A_ABILITY_H
#define AGW_A2A_ABILITY_H

#include "a2a/call.h"
#include "base/arena.h"
#include "json/tape.h"

#define AGW_A2A_MODES_MAX 8 /* media types of one message that are looked at */

struct agw_a2a_need {
    struct agw_str skill, tag, tenant; /* empty: any */
    struct agw_str modes[AGW_A2A_MODES_MAX];
    uint32_t mode_count;
    bool streaming, push;
};

enum agw_a2a_fit {
    AGW_A2A_FITS_NOT,    /* it has no such skill, tag or tenant */
    AGW_A2A_FITS_PARTLY, /* but would be sent what its card does not speak of */
    AGW_A2A_FITS,
};

/* Reads a request that sends a message, |doc|, a body of |call|; of others the tenant alone counts. Texts
 * live in |arena|. AGW_ENOMEM. */
int agw_a2a_need_read(const struct agw_a2a_call *call, const struct agw_json_doc *doc,
                      struct agw_arena *arena, struct agw_a2a_need *ret_need);
/* |card|: a parsed agent card, any object. */
enum agw_a2a_fit agw_a2a_fits(const struct agw_json_doc *card, const struct agw_a2a_need *need);

#endif
