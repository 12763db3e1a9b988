#include "a2a/translate/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

enum { OLD = 1 << AGW_A2A_ERA_03, NEW = 1 << AGW_A2A_ERA_10 };

#define LIST_OF(url, version)                                                                                \
    "{\"url\":\"" url "\",\"protocolBinding\":\"JSONRPC\",\"protocolVersion\":\"" version "\"}"
#define REST_OF(url, version)                                                                                \
    "{\"url\":\"" url "\",\"protocolBinding\":\"HTTP+JSON\",\"protocolVersion\":\"" version "\"}"
#define BOTH(url) "\"supportedInterfaces\":[" LIST_OF(url, "1.0") "," LIST_OF(url, "0.3") "]"
#define OLD_TOP(url) "\"url\":\"" url "\",\"preferredTransport\":\"JSONRPC\",\"protocolVersion\":\"0.3.0\""

static const struct {
    const char *card, *want; /* NULL: as it is */
    unsigned speaks;
} cases[] = {
    {"{\"name\":\"a\\u0062\",\"url\":\"http:\\/\\/a\"}",
     "{\"name\":\"a\\u0062\",\"url\":\"http:\\/\\/a\"," BOTH("http:\\/\\/a") "}", OLD},
    {"{\"url\":\"r\",\"preferredTransport\":\"HTTP+JSON\",\"additionalInterfaces\":[7,{\"url\":\"r\","
     "\"transport\":\"HTTP+JSON\"},{\"url\":\"j\",\"transport\":\"JSONRPC\"}]}",
     "{\"url\":\"r\",\"preferredTransport\":\"HTTP+JSON\",\"additionalInterfaces\":[7,{\"url\":\"r\","
     "\"transport\":\"HTTP+JSON\"},{\"url\":\"j\",\"transport\":\"JSONRPC\"}],\"supportedInterfaces\":"
     "[" LIST_OF("j", "1.0") "," LIST_OF("j", "0.3") "," REST_OF("r", "1.0") "," REST_OF("r", "0.3") "]}",
     OLD},
    {"{\"supportedInterfaces\":[" LIST_OF("j", "1.0") "]}", "{" BOTH("j") "," OLD_TOP("j") "}", NEW},
    {"{\"supportedInterfaces\":[{\"url\":\"j\",\"protocolBinding\":\"JSONRPC\"}]}",
     "{\"supportedInterfaces\":[{\"url\":\"j\",\"protocolBinding\":\"JSONRPC\"}," LIST_OF(
         "j", "0.3") "]," OLD_TOP("j") "}",
     NEW},
    {"{" BOTH("j") "}", NULL, OLD | NEW},
    {"{\"url\":\"j\",\"supportedInterfaces\":[" LIST_OF("j", "1.0") "]}", NULL, OLD | NEW},
    {"{\"supportedInterfaces\":[" LIST_OF("j", "0.3") "]}",
     "{\"supportedInterfaces\":[" LIST_OF("j", "0.3") "," LIST_OF("j", "1.0") "]}", OLD},
    {"{\"supportedInterfaces\":[" LIST_OF("j", "1.0") "],\"url\":7}", "{" BOTH("j") ",\"url\":7}", NEW},
    {"{\"supportedInterfaces\":[" REST_OF("r", "1.0") ",{}]}",
     "{\"supportedInterfaces\":[" REST_OF("r", "1.0") ",{}," REST_OF(
         "r", "0.3") "],\"url\":\"r\",\"preferredTransport\":\"HTTP+JSON\",\"protocolVersion\":\"0.3.0\"}",
     0},
    {"{\"url\":\"r\",\"preferredTransport\":\"HTTP+JSON\"}",
     "{\"url\":\"r\",\"preferredTransport\":\"HTTP+JSON\",\"supportedInterfaces\":[" REST_OF(
         "r", "1.0") "," REST_OF("r", "0.3") "]}",
     0},
    {"{\"supportedInterfaces\":[" LIST_OF("j", "1.0") "," REST_OF("r", "1.0") "]}",
     "{\"supportedInterfaces\":[" LIST_OF("j", "1.0") "," REST_OF("r", "1.0") "," LIST_OF(
         "j", "0.3") "," REST_OF("r", "0.3") "]," OLD_TOP("j") ",\"additionalInterfaces\":[{\"url\":\"r\","
                                                               "\"transport\":\"HTTP+JSON\"}]}",
     NEW},
    {"{\"supportedInterfaces\":[{\"url\":\"g\",\"protocolBinding\":\"GRPC\"}]}", NULL, 0},
    {"{\"supportedInterfaces\":7,\"url\":[]}", NULL, 0},
    {"{}", NULL, 0},
};

static int for_both(const char *text, char *out, size_t size, unsigned *ret_speaks)
{
    struct agw_json_doc doc;
    struct agw_json_writer w;
    agw_json_doc_init(&doc, 0);
    agw_json_writer_init(&w);
    int rc = agw_json_parse(&doc, agw_str_c(text), NULL);
    if (rc == 0) {
        *ret_speaks = agw_a2a_card_speaks(&doc, AGW_A2A_OVER_JSONRPC);
        rc = agw_a2a_card_for_both(&doc, &w);
    }
    if (rc == 0 && (rc = agw_json_writer_end(&w)) == 0) {
        struct agw_str s = agw_json_writer_text(&w);
        assert_true(s.n < size);
        memcpy(out, s.p, s.n);
        out[s.n] = 0;
    }
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
    return rc;
}

static void cards_for_both(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        char out[1024];
        unsigned speaks;
        assert_int_equal(for_both(cases[i].card, out, sizeof(out), &speaks), 0);
        assert_string_equal(out, cases[i].want ? cases[i].want : cases[i].card);
        assert_int_equal(speaks, cases[i].speaks);
    }
    unsigned speaks;
    assert_int_equal(for_both("[]", NULL, 0, &speaks), AGW_EINVAL);
    assert_int_equal(speaks, 0);
}

static void out_of_memory(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        for (long n = 1;; n++) {
            char out[1024];
            unsigned speaks;
            failmalloc_at(n);
            int rc = for_both(cases[i].card, out, sizeof(out), &speaks);
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_for_both),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
