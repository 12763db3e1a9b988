/* A2A over HTTP+JSON in the words of the other version: 0.3 <-> 1.0. Bodies of 0.3 are the JSON of its
 * protocol buffers, as its SDKs send them: `content` for parts, files and data wrapped, a push
 * configuration's name for its ids. (Its paths: lib/a2a/call.h.) As in translate.h, what neither version
 * names stays as it came, and nothing is validated. Pure. Threads: any, one at a time. */
#ifndef AGW_A2A_TRANSLATE_REST_H
#define AGW_A2A_TRANSLATE_REST_H

#include "a2a/translate/translate.h"

/* Writes the body |doc| of a request that is answered by a |result|: of a push configuration, else a message.
 * AGW_ENOMEM. */
int agw_a2a_rest_request(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                         struct agw_json_writer *w);
/* Writes the answer |doc|, an error or one event of a stream. AGW_ENOMEM. */
int agw_a2a_rest_answer(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                        struct agw_json_writer *w);

#endif
