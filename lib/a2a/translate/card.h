/* Which versions an agent speaks, by its card; and a card that clients of both versions can use.
 *
 * Pure. Ownership: documents and writers are the caller's. Threads: any, one at a time. */
#ifndef AGW_A2A_TRANSLATE_CARD_H
#define AGW_A2A_TRANSLATE_CARD_H

#include "a2a/translate/translate.h"

/* Bindings that are translated. */
enum agw_a2a_over { AGW_A2A_OVER_JSONRPC, AGW_A2A_OVER_REST, AGW_A2A_OVER_COUNT };

/* Bits of 1 << enum agw_a2a_era; 0: the card names no interface of the binding. An interface that tells no
 * version is 1.0's; the `url` at the top is 0.3's. */
unsigned agw_a2a_card_speaks(const struct agw_json_doc *card, enum agw_a2a_over over);
/* True if a binding is there in one version alone. */
bool agw_a2a_card_lacks(const struct agw_json_doc *card);
/* Writes |card| with the interfaces that the other version looks for, at the same URLs: the gateway
 * translates what comes there. `url` at the top is added if it is absent. A binding that speaks both, or is
 * not there, stays as it is. AGW_EINVAL: no object; AGW_ENOMEM. */
int agw_a2a_card_for_both(const struct agw_json_doc *card, struct agw_json_writer *w);

#endif
