/* X-Forwarded-Client-Cert: what it says, and whose word is passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "failmalloc.h"
#include "proxy/forward/client_cert.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void test_what_is_said(void **state)
{
    const struct agw_tls_subject_name ours[] = {{AGW_TLS_NAME_DNS, AGW_STR("a.test")},
                                                {AGW_TLS_NAME_URI, AGW_STR("spiffe://a/ns/b")}},
                                      theirs[] = {{AGW_TLS_NAME_DNS, AGW_STR("c.test")},
                                                  {AGW_TLS_NAME_URI, AGW_STR("spiffe://a/x,y;z=\"1\"")},
                                                  {AGW_TLS_NAME_URI, AGW_STR("spiffe://a/\r\nEvil: yes")},
                                                  {AGW_TLS_NAME_IP, AGW_STR("1.2.3.4")}};
    struct agw_tls_peer self = {.names = ours, .name_count = 2},
                        peer = {.subject = AGW_STR("CN=c,O=\"C\""), .names = theirs, .name_count = 4};
    struct agw_str text;
    assert_int_equal(agw_client_cert_describe(&self, &peer, &text), 0);
    static const char want[] = "By=spiffe://a/ns/b;Hash=" ZEROS ";Subject=\"CN=c,O=\\\"C\\\"\";"
                               "URI=\"spiffe://a/x,y;z=\\\"1\\\"\";DNS=c.test";
    if (!agw_str_eq(text, agw_str_c(want)))
        fail_msg("%.*s", AGW_STRF(text));
    free((char *)text.p);
    assert_int_equal(agw_client_cert_text(NULL, &text), 0);
    assert_int_equal(text.n, 0);
}

static void test_modes(void **state)
{
    static const struct {
        const char *mode;
        const char *plain, *trusted, *verified; /* what is passed on, by who sent "a" and "b" */
    } rows[] = {
        {"sanitize", "", "", ""},
        {"sanitize-set", "", "", "own"},
        {"append-forward", "", "", "a,b,own"},
        {"forward-only", "", "", "a+b"},
        {"always-forward-only", "", "a+b", ""},
    };
    enum agw_client_cert_mode mode;
    assert_int_equal(agw_client_cert_mode(AGW_STR("SANITIZE"), &mode), AGW_EINVAL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *want[] = {rows[i].plain, rows[i].trusted, rows[i].verified};
        assert_int_equal(agw_client_cert_mode(agw_str_c(rows[i].mode), &mode), 0);
        for (int who = 0; who < 3; who++) {
            struct agw_arena arena;
            struct agw_msg m;
            agw_arena_init(&arena, 1024, 0);
            agw_msg_init(&m, &arena);
            struct agw_headers *h = &m.headers;
            agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("x"), AGW_STR("y"));
            agw_headers_add_id(h, AGW_HDR_X_FORWARDED_CLIENT_CERT, AGW_STR("a"));
            agw_headers_add_id(h, AGW_HDR_X_FORWARDED_CLIENT_CERT, AGW_STR("b"));
            struct agw_str own = who == 2 ? AGW_STR("own") : AGW_STR(""), got = AGW_STR("");
            assert_int_equal(agw_client_cert_forward(h, mode, own, who == 1), 0);
            for (uint32_t k = 0; k < h->n; k++)
                if (h->v[k].id == AGW_HDR_X_FORWARDED_CLIENT_CERT)
                    got = agw_arena_printf(&arena, "%.*s%s%.*s", AGW_STRF(got), got.n ? "+" : "",
                                           AGW_STRF(h->v[k].value));
            if (!agw_str_eq(got, agw_str_c(want[who])))
                fail_msg("%s, %d: %.*s", rows[i].mode, who, AGW_STRF(got));
            agw_arena_free(&arena);
        }
    }
}

static void test_without_memory(void **state)
{
    struct agw_tls_peer peer = {.subject = AGW_STR("CN=c")};
    for (long at = 1;; at++) {
        struct agw_str text = {NULL, 0};
        failmalloc_at(at);
        int rc = agw_client_cert_describe(&peer, &peer, &text);
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_int_equal(rc == 0, text.p != NULL);
        free((char *)text.p);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
