/* Any JSON as a request, as each kind of answer, to either version, and as a card: what comes out must be
 * JSON. */
#include <stdlib.h>
#include "a2a/translate/card.h"
#include "a2a/translate/rest.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void finish(struct agw_json_writer *w, int rc)
{
    struct agw_json_doc doc;
    if (rc == 0) {
        agw_check(agw_json_writer_end(w) == 0);
        agw_json_doc_init(&doc, 0);
        rc = agw_json_parse(&doc, agw_json_writer_text(w), NULL);
        agw_check(rc == 0 || rc == AGW_ELIMIT); /* a wrapper may make it too deep */
        agw_json_doc_free(&doc);
    }
    agw_json_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_json_doc doc;
    enum agw_a2a_result result;
    agw_json_doc_init(&doc, 0);
    for (int to = AGW_A2A_ERA_03;
         to <= AGW_A2A_ERA_10 && agw_json_parse(&doc, agw_str((const char *)data, size), NULL) == 0; to++) {
        struct agw_json_writer w;
        agw_json_writer_init(&w);
        finish(&w, agw_a2a_translate_request(&doc, (enum agw_a2a_era)to, &w, &result));
        for (int r = AGW_A2A_RESULT_RAW; r <= AGW_A2A_RESULT_NOTHING; r++) {
            agw_json_writer_init(&w);
            finish(&w, agw_a2a_translate_answer(&doc, (enum agw_a2a_era)to, (enum agw_a2a_result)r, &w));
            agw_json_writer_init(&w);
            finish(&w, agw_a2a_rest_answer(&doc, (enum agw_a2a_era)to, (enum agw_a2a_result)r, &w));
            agw_json_writer_init(&w);
            finish(&w, agw_a2a_rest_request(&doc, (enum agw_a2a_era)to, (enum agw_a2a_result)r, &w));
        }
    }
    if (doc.count > 0) {
        struct agw_json_writer w;
        agw_json_writer_init(&w);
        finish(&w, agw_a2a_card_for_both(&doc, &w));
    }
    agw_json_doc_free(&doc);
    return 0;
}
