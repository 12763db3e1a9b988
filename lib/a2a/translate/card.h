/* Which versions an agent speaks over JSON-RPC, by its card; and a card that clients of both versions can
 * use.
 *
 * Pure. Ownership: documents and writers are the caller's. Threads: any, one at a time. */
#ifndef AGW_A2A_TRANSLATE_CARD_H
#define AGW_A2A_TRANSLATE_CARD_H

#include "a2a/translate/translate.h"

/* Bits of 1 << enum agw_a2a_era; 0: the card names no interface of JSON-RPC. An interface that tells no
 * version is 1.0's; the `url` at the top is 0.3's. */
unsigned agw_a2a_card_speaks(const struct agw_json_doc *card);
/* Writes |card| with the interface of JSON-RPC that the other version looks for, at the same URL: the gateway
 * translates what comes there. `url` at the top is added if it is absent. A card that speaks both, or none
 * over JSON-RPC, is written as it is. AGW_EINVAL: no object; AGW_ENOMEM. */
int agw_a2a_card_for_both(const struct agw_json_doc *card, struct agw_json_writer *w);

#endif
