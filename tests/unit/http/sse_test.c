#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "http/sse.h"
#include "failmalloc.h"

struct example {
    const char *text;
    const char *expected; /* "<type|data|id>" an event; "!" before an id of its own; " r<ms>" for retry */
};

static const struct example streams[] = {
    {"data: a\n\n", "<|a|>"},
    {"data:a\n\n", "<|a|>"},
    {"data:  a\n\n", "<| a|>"},
    {"data: a\r\n\r\n", "<|a|>"},
    {"data: a\r\r", "<|a|>"},
    {"data: a\r\n\r\r\n", "<|a|>"},
    {"data: a\ndata: b\ndata\ndata:\n\n", "<|a\nb\n\n|>"},
    {"data\n\n", "<||>"},
    {"data:\n\n", "<||>"},
    {"data: \n\n", "<||>"},
    {"event: e\ndata: a\n\ndata: b\n\n", "<e|a|><|b|>"},
    {"event: e\n\ndata: a\n\n", "<|a|>"},
    {"event: e\nevent: f\ndata: a\n\n", "<f|a|>"},
    {"event\ndata: a\n\n", "<|a|>"},
    {"id: 1\ndata: a\n\ndata: b\n\n", "<|a|!1><|b|1>"},
    {"id: 1\n\ndata: b\n\n", "<|b|1>"},
    {"id: 1\ndata: a\n\nid\ndata: b\n\ndata: c\n\n", "<|a|!1><|b|!><|c|>"},
    {"id: 1\ndata:\n\n", "<||!1>"},
    {"retry: 1500\ndata: a\n\ndata: b\n\n", "<|a|> r1500<|b|>"},
    {"retry: 0\ndata: a\n\n", "<|a|> r0"},
    {"retry: 15x\nretry:\nretry: -1\nretry: 99999999999\ndata: a\n\n", "<|a|>"},
    {": comment\n:\ndata: a\n: more\n\n", "<|a|>"},
    {"Data: a\n\n", ""},
    {"dat: a\ndatas: b\n data: c\n\n", ""},
    {"data : a\n\n", ""},
    {"data: a: b\n\n", "<|a: b|>"},
    {"\n\n\r\n\r\ndata: a\n\n\n\n", "<|a|>"},
    {"data: a\n", ""},
    {"data: a", ""},
    {"", ""},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "<|a|>"},
    {"\xef\xbb\xbf\xef\xbb\xbf"
     "data: a\n\ndata: b\n\n",
     "<|b|>"},
    {"data: \xef\xbb\xbf\n\n", "<|\xef\xbb\xbf|>"},
    {"\xef\xbb"
     "data: a\n\ndata: b\n\n",
     "<|b|>"},
    {"\xef\n\ndata: b\n\n", "<|b|>"},
    {"event: message\nid: 7\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1}\n\n",
     "<message|{\"jsonrpc\":\"2.0\",\n\"id\":1}|!7>"},
};

struct run {
    struct agw_sse sse;
    char text[4096];
    size_t n;
    int r;
};

static void start(struct run *run, const struct agw_sse_limits *limits)
{
    agw_sse_init(&run->sse, limits);
    run->text[0] = '\0';
    run->n = 0;
    run->r = AGW_SSE_MORE;
}

static void note(struct run *run, const struct agw_sse_event *e)
{
    run->n += (size_t)snprintf(run->text + run->n, sizeof(run->text) - run->n, "<%.*s|%.*s|%s%.*s>",
                               AGW_STRF(e->type), AGW_STRF(e->data), e->has_id ? "!" : "", AGW_STRF(e->id));
    if (e->has_retry)
        run->n += (size_t)snprintf(run->text + run->n, sizeof(run->text) - run->n, " r%llu",
                                   (unsigned long long)e->retry_ms);
}

static void feed(struct run *run, const char *text, size_t n)
{
    unsigned char *p = malloc(n ? n : 1);
    size_t done = 0, used;
    struct agw_sse_event event;

    memcpy(p, text, n);
    while ((run->r = agw_sse_next(&run->sse, p + done, n - done, &used, &event)) == AGW_SSE_EVENT) {
        note(run, &event);
        done += used;
    }
    if (run->r == AGW_SSE_MORE)
        assert_int_equal(done + used, n);
    free(p);
}

static void test_streams_at_every_cut(void **state)
{
    static struct run run;

    for (size_t i = 0; i < AGW_ARRAY_LEN(streams); i++) {
        size_t n = strlen(streams[i].text);
        for (size_t cut = 0; cut <= n; cut++) {
            start(&run, NULL);
            feed(&run, streams[i].text, cut);
            feed(&run, streams[i].text + cut, n - cut);
            assert_int_equal(run.r, AGW_SSE_MORE);
            if (strcmp(run.text, streams[i].expected) != 0)
                fail_msg("%s\n cut at %zu gave %s, expected %s", streams[i].text, cut, run.text,
                         streams[i].expected);
            agw_sse_free(&run.sse);
        }
    }
}

static void test_streams_bytewise(void **state)
{
    static struct run run;

    for (size_t i = 0; i < AGW_ARRAY_LEN(streams); i++) {
        start(&run, NULL);
        for (const char *p = streams[i].text; *p; p++)
            feed(&run, p, 1);
        assert_string_equal(run.text, streams[i].expected);
        agw_sse_free(&run.sse);
    }
}

static void test_nul(void **state)
{
    static const char text[] = "id: a\0b\ndata: c\0d\n\n";
    static struct run run;
    struct agw_sse_event event;
    size_t used;

    start(&run, NULL);
    assert_int_equal(agw_sse_next(&run.sse, (const unsigned char *)text, sizeof(text) - 1, &used, &event),
                     AGW_SSE_EVENT);
    assert_true(event.id.n == 0 && !event.has_id);
    assert_int_equal(event.data.n, 3);
    assert_int_equal(used, sizeof(text) - 1);
    agw_sse_free(&run.sse);
}

static void test_limits(void **state)
{
    static const struct agw_sse_limits limits = {.event = 20, .field = 4};
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"data: 01234567890123\n\n", AGW_SSE_MORE},
        {"data: 012345678901234\n\n", AGW_ELIMIT},
        {"data: 0123456789012345", AGW_ELIMIT},
        {": 012345678901234567890", AGW_ELIMIT},
        {"data: 0123456789\ndata: 012345678\n\n", AGW_SSE_MORE},
        {"data: 0123456789\ndata: 0123456789\n\n", AGW_ELIMIT},
        {"data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndat"
         "a\n"
         "data\ndata\ndata\ndata\ndata\ndata\n",
         AGW_ELIMIT},
        {"event: abcd\nid: abcd\ndata: a\n\n", AGW_SSE_MORE},
        {"event: abcde\n", AGW_ELIMIT},
        {"id: abcde\n", AGW_ELIMIT},
    };
    static struct run run;

    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        start(&run, &limits);
        feed(&run, cases[i].text, strlen(cases[i].text));
        assert_int_equal(run.r, cases[i].r);
        agw_sse_free(&run.sse);
        start(&run, &limits);
        for (const char *p = cases[i].text; *p && run.r == AGW_SSE_MORE; p++)
            feed(&run, p, 1);
        assert_int_equal(run.r, cases[i].r);
        agw_sse_free(&run.sse);
    }
}

/* A stream that goes on for ever holds no more memory than its largest event just then. */
static void test_memory_is_given_back(void **state)
{
    static struct run run;
    static char big[100000];

    memset(big, 'x', sizeof(big));
    start(&run, NULL);
    feed(&run, "data: ", 6);
    feed(&run, big, sizeof(big));
    assert_true(run.sse.line.cap >= sizeof(big));
    feed(&run, "\n", 1);
    assert_int_equal(run.sse.line.cap, 0);
    assert_true(run.sse.data.cap >= sizeof(big));
    run.n = 0;
    struct agw_sse_event event;
    size_t used;
    assert_int_equal(agw_sse_next(&run.sse, (const unsigned char *)"\n", 1, &used, &event), AGW_SSE_EVENT);
    assert_int_equal(event.data.n, sizeof(big));
    feed(&run, "data: a\n\n", 9);
    assert_true(run.sse.data.cap < 1000);
    agw_sse_free(&run.sse);
}

static void test_no_memory(void **state)
{
    static const char text[] = "event: e\nid: 12\ndata: a\ndata: b\n\n";
    static struct run run;
    static char wide[3000];
    bool reached = true;

    memset(wide, 'w', sizeof(wide));
    for (long n = 1; reached; n++) {
        struct agw_sse_event event;
        size_t used;
        int r = 0;
        start(&run, NULL);
        failmalloc_at(n);
        for (size_t i = 0; i < sizeof(text) - 1 && r == 0; i++)
            r = agw_sse_next(&run.sse, (const unsigned char *)text + i, 1, &used, &event);
        if (r == AGW_SSE_EVENT)
            r = agw_sse_next(&run.sse, (const unsigned char *)wide, sizeof(wide), &used, &event);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : AGW_SSE_MORE);
        agw_sse_free(&run.sse);
        assert_true(reached || n > 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_at_every_cut),
        cmocka_unit_test(test_streams_bytewise),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_is_given_back),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
