/* A2A over JSON-RPC in the words of the other version: 0.3 <-> 1.0.
 *
 * One message at a time, an event of a stream being one: method names, `kind` against the member that wraps a
 * value, spellings of roles and states, parts, push configurations. What neither version names stays as the
 * bytes it came as, and so do metadata and values of a type that none expects: the receiver judges them.
 * Nothing is validated. Pure. Ownership: the document and the writer are the caller's. Threads: any, one at a
 * time. */
#ifndef AGW_A2A_TRANSLATE_TRANSLATE_H
#define AGW_A2A_TRANSLATE_TRANSLATE_H

#include "json/tape.h"
#include "json/writer.h"

enum agw_a2a_era { AGW_A2A_ERA_03, AGW_A2A_ERA_10 };

/* What a call's result is; one version does not say it in the result itself. */
enum agw_a2a_result {
    AGW_A2A_RESULT_RAW,       /* the same in both, or not translated: an extended card */
    AGW_A2A_RESULT_TASK,      /* a task */
    AGW_A2A_RESULT_EVENT,     /* a task, a message, or an update of a task */
    AGW_A2A_RESULT_PUSH,      /* one push configuration */
    AGW_A2A_RESULT_PUSH_LIST, /* all of them */
    AGW_A2A_RESULT_NOTHING,
};

/* Writes the request |doc| as |to| spells it, which must not be its own version. *ret_result is for its
 * answers. AGW_EINVAL: no object with a method; AGW_EUNSUPPORTED: no method of the other version that |to|
 * has a counterpart of (0.3 cannot list tasks); AGW_ENOMEM. After an error |w| holds a part. */
int agw_a2a_translate_request(const struct agw_json_doc *doc, enum agw_a2a_era to, struct agw_json_writer *w,
                              enum agw_a2a_result *ret_result);
/* Writes the answer or event |doc|, the result of which is a |result|, as |to| spells it. Errors keep their
 * codes, which are the same in both. AGW_EINVAL: no object; AGW_ENOMEM. */
int agw_a2a_translate_answer(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                             struct agw_json_writer *w);

#endif
