#include "a2a/ability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

static struct agw_arena arena;
static struct agw_json_doc message, card;

static int setup(void **state)
{
    agw_arena_init(&arena, 1024, 0);
    agw_json_doc_init(&message, 0);
    agw_json_doc_init(&card, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_json_doc_free(&message);
    agw_json_doc_free(&card);
    agw_arena_free(&arena);
    return 0;
}

static struct agw_a2a_need need_of(enum agw_a2a_binding binding, enum agw_a2a_method method, const char *text)
{
    struct agw_a2a_call call = {.binding = binding, .method = method};
    struct agw_a2a_need need;
    assert_int_equal(agw_json_parse(&message, agw_str_c(text), NULL), 0);
    assert_int_equal(agw_a2a_need_read(&call, &message, &arena, &need), 0);
    return need;
}

static void what_messages_ask_for(void **state)
{
    struct agw_a2a_need n = need_of(AGW_A2A_JSONRPC, AGW_A2A_SEND_MESSAGE,
                                    "{\"params\":{\"tenant\":\"t\",\"metadata\":{\"skillId\":\"pa\\u0069nt\","
                                    "\"tag\":\"art\"},\"configuration\":{"
                                    "\"taskPushNotificationConfig\":{}},\"message\":{\"parts\":[{\"text\":"
                                    "\"x\"},{\"raw\":\"\",\"mediaType\":\"image/png\"},"
                                    "{\"text\":\"y\"},{\"data\":{}}]}}}");
    assert_true(agw_str_eq(n.skill, AGW_STR("paint")) && agw_str_eq(n.tag, AGW_STR("art")) &&
                agw_str_eq(n.tenant, AGW_STR("t")));
    assert_int_equal(n.mode_count, 3);
    assert_true(agw_str_eq(n.modes[1], AGW_STR("image/png")) &&
                agw_str_eq(n.modes[2], AGW_STR("application/json")));
    assert_true(n.push && !n.streaming);

    n = need_of(AGW_A2A_REST, AGW_A2A_SEND_STREAMING_MESSAGE,
                "{\"message\":{\"metadata\":{\"skill\":\"sing\"},\"parts\":[{\"kind\":\"file\",\"file\":{"
                "\"mimeType\":\"audio/wav\"}}]}}");
    assert_true(agw_str_eq(n.skill, AGW_STR("sing")) && n.streaming && !n.push);
    assert_true(n.mode_count == 1 && agw_str_eq(n.modes[0], AGW_STR("audio/wav")));

    static const char *const odd[] = {
        "[]", "{}", "{\"params\":7}", "{\"params\":{\"message\":[],\"metadata\":1,\"tenant\":{}}}",
        "{\"params\":{\"message\":{\"parts\":{\"text\":1},\"metadata\":{\"skill\":7}}}}"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(odd); i++) {
        n = need_of(AGW_A2A_JSONRPC, AGW_A2A_SEND_MESSAGE, odd[i]);
        assert_true(n.skill.n == 0 && n.tenant.n == 0 && n.mode_count == 0);
    }
}

#define SKILLS                                                                                               \
    "\"skills\":[{\"id\":\"paint\",\"tags\":[\"art\"],\"inputModes\":[\"image/"                              \
    "*\",\"text\"]},{\"id\":\"sum\"}]"

static void what_cards_offer(void **state)
{
    static const char full[] =
        "{" SKILLS ",\"capabilities\":{\"streaming\":true},\"defaultInputModes\":[\"text/plain\"],"
        "\"supportedInterfaces\":[{\"tenant\":\"a\"},{\"tenant\":\"b\"},{}]}";
    static const struct {
        const char *card;
        struct agw_a2a_need need;
        enum agw_a2a_fit fit;
    } cases[] = {
        {full, {.skill = {"paint", 5}}, AGW_A2A_FITS},
        {full, {.skill = {"sing", 4}}, AGW_A2A_FITS_NOT},
        {full, {.tag = {"art", 3}}, AGW_A2A_FITS},
        {full, {.tag = {"law", 3}}, AGW_A2A_FITS_NOT},
        {full, {.skill = {"sum", 3}, .tag = {"art", 3}}, AGW_A2A_FITS_NOT},
        {full, {.tenant = {"b", 1}}, AGW_A2A_FITS},
        {full, {.tenant = {"c", 1}}, AGW_A2A_FITS_NOT},
        {full, {.modes = {{"text/plain", 10}}, .mode_count = 1}, AGW_A2A_FITS},
        {full, {.modes = {{"image/png", 9}}, .mode_count = 1}, AGW_A2A_FITS_PARTLY},
        {full,
         {.skill = {"paint", 5}, .modes = {{"image/png", 9}, {"text/plain", 10}}, .mode_count = 2},
         AGW_A2A_FITS},
        {full, {.streaming = true}, AGW_A2A_FITS},
        {full, {.push = true}, AGW_A2A_FITS_PARTLY},
        {"{\"skills\":[{\"id\":\"a\",\"inputModes\":[]}],\"defaultInputModes\":[\"a/b\"]}",
         {.skill = {"a", 1}, .modes = {{"c/d", 3}}, .mode_count = 1},
         AGW_A2A_FITS_PARTLY},
        {"{}", {.streaming = true}, AGW_A2A_FITS_PARTLY},
        {"{}", {.tenant = {"c", 1}, .modes = {{"image/png", 9}}, .mode_count = 1}, AGW_A2A_FITS},
        {"{\"skills\":7}", {.skill = {"sum", 3}}, AGW_A2A_FITS_NOT},
        {"{\"skills\":[7,{\"id\":7,\"tags\":{}}]}", {.skill = {"sum", 3}}, AGW_A2A_FITS_NOT},
        {"{\"defaultInputModes\":[7,\"*/*\"]}", {.modes = {{"a/b", 3}}, .mode_count = 1}, AGW_A2A_FITS},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        assert_int_equal(agw_json_parse(&card, agw_str_c(cases[i].card), NULL), 0);
        if (agw_a2a_fits(&card, &cases[i].need) != cases[i].fit)
            fail_msg("case %zu: %d", i, agw_a2a_fits(&card, &cases[i].need));
    }
}

static void memory_that_runs_out(void **state)
{
    static const char text[] = "{\"tenant\":\"t\\u0061\",\"metadata\":{\"skillId\":\"x\\u0061\"},\"message\":"
                               "{\"parts\":[{\"mediaType\":\"a\\/b\"}]}}";
    struct agw_a2a_call call = {.binding = AGW_A2A_REST, .method = AGW_A2A_SEND_MESSAGE};
    struct agw_a2a_need need;
    bool reached = true;
    assert_int_equal(agw_json_parse(&message, agw_str_c(text), NULL), 0);
    for (long n = 1; reached; n++) {
        struct agw_arena small;
        agw_arena_init(&small, 16, 0);
        failmalloc_at(n);
        int rc = agw_a2a_need_read(&call, &message, &small, &need);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_messages_ask_for),
        cmocka_unit_test(what_cards_offer),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
